"""A trial: a frozen record of everything that decides its result, and the plain function that runs it.

Nothing here has heard of Ray: `run_trial` is a function of the record and its inputs, on one device.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mim4dd.records import ImageData, Score, Splits, Synthetic
from mim4dd.registry import Flat, unflatten
from mim4dd.seeding import generator

if TYPE_CHECKING:
    import torch

    from mim4dd.information import Reference

# Interim accuracies, as fractions of a trial's iterations: what a scheduler may stop on and what a curve shows.
RUNGS = (0.25, 0.5)
RUNG_NETWORKS = 2
RUNG_IMAGES = 1_000


class LostTrialsError(RuntimeError):
    """Workers died again and again under some trials; the others have their rows."""


@dataclass(frozen=True)
class Trial:
    """One distil-then-evaluate, as flat scalars: data set and its digest, seed, method, network, recipe, rules."""

    items: tuple[tuple[str, str | int | float | bool], ...]

    @staticmethod
    def of(config: Mapping[str, str | int | float | bool]) -> Trial:
        return Trial(tuple(sorted(config.items())))

    @cached_property
    def config(self) -> Flat:
        return dict(self.items)

    @cached_property
    def hash(self) -> str:
        """The trial's name everywhere: sha256 of its config, 16 hex digits."""
        return hashlib.sha256(json.dumps(self.items, ensure_ascii=False).encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What all trials of a study share: the data, and the reference network that measures information."""

    splits: Splits
    reference: Reference

    @cached_property
    def watched(self) -> ImageData:
        """The validation images that interim accuracies are taken on: all, or a fixed draw of 1,000."""
        validation = self.splits.validation
        if len(validation) <= RUNG_IMAGES:
            return validation
        drawn = generator("interim accuracy").permutation(len(validation))[:RUNG_IMAGES]
        return validation.take(np.sort(drawn))


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished trial.

    `result` is equal whenever the trial is run again; `report_only` holds test accuracies, which no tuner or selection
    reads; `measured` differs between runs.
    """

    trial: Trial
    result: dict[str, Any]
    report_only: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    synthetic: Synthetic | None = None
    picture: bytes = b""

    @property
    def row(self) -> dict[str, Any]:
        """The JSON line that is the trial's record."""
        return {
            "trial": self.trial.hash,
            "config": self.trial.config,
            "result": self.result,
            "report_only": self.report_only,
            "measured": self.measured,
        }


def validation_mean(result: Mapping[str, Any]) -> float:
    """A result's mean validation accuracy; NaN when the trial has none."""
    accuracies = result.get("validation_accuracy")
    return sum(accuracies) / len(accuracies) if accuracies else math.nan


class TrialRun:
    """A trial in progress: advances to any iteration, can be saved there, and finishes with an outcome."""

    def __init__(self, trial: Trial, inputs: Inputs, device: str = "cpu") -> None:
        import torch

        from mim4dd.cost import Meter
        from mim4dd.methods import METHODS
        from mim4dd.methods.loop import Distillation
        from mim4dd.methods.problem import Problem
        from mim4dd.networks import NETWORKS
        from mim4dd.train import RECIPES

        self.meter, self.started, self.device = Meter(device), time.time(), device
        self.trial, self.inputs, config = trial, inputs, trial.config
        self.method = unflatten(METHODS, config, "method")
        self.network = unflatten(NETWORKS, config, "network")
        self.recipe = unflatten(RECIPES, config, "evaluation")
        self.seed = int(config["seed"])
        place = torch.device(device)
        self.problem = Problem(inputs.splits.train, self.network, int(config["ipc"]), self.seed, place)
        self.distillation = Distillation(self.problem, self.method)
        self.rungs: list[dict[str, float]] = []
        self.earlier_seconds = 0.0

    @property
    def stops(self) -> list[int]:
        """The iterations at which an interim accuracy is taken, then the last."""
        total = self.method.iterations
        return [*sorted({int(total * part) for part in RUNGS} - {0, total}), total] if total else [0]

    def advance(self, until: int, pause: Callable[[TrialRun], None] | None = None) -> None:
        """Distil up to an iteration, offering a pause about 25 times a trial; take the accuracy of a rung there."""
        run = self.distillation
        while run.iteration < until and run.diverged_at < 0:
            run.advance(min(until, run.iteration + run.every - run.iteration % run.every))
            if pause:
                pause(self)
        taken = {rung["iteration"] for rung in self.rungs}
        if run.iteration == until < self.method.iterations and until not in taken and run.diverged_at < 0:
            self.rungs.append(
                {"iteration": until, "validation_accuracy": self._score(RUNG_NETWORKS, self.inputs.watched)[0].mean}
            )

    @property
    def interim(self) -> float:
        """The accuracy at the last rung, chance before the first or after divergence: what a scheduler sees."""
        if self.rungs and self.distillation.diverged_at < 0:
            return self.rungs[-1]["validation_accuracy"]
        return 1 / len(self.inputs.splits.classes)

    def state_dict(self) -> dict[str, Any]:
        return {
            "distillation": self.distillation.state_dict(),
            "rungs": list(self.rungs),
            "seconds": self.earlier_seconds + self.meter.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.distillation.load_state_dict(state["distillation"])
        self.rungs, self.earlier_seconds = list(state["rungs"]), state["seconds"]

    def finish(self) -> Outcome:
        """Evaluate what was distilled; a diverged trial ends as an outcome that says where."""
        from mim4dd.picture import grid_png

        distilled, synthetic = self.meter.seconds, self.distillation.synthetic()
        diverged_at, splits = self.distillation.diverged_at, self.inputs.splits
        result: dict[str, Any] = {
            "status": "diverged" if diverged_at >= 0 else "ok",
            "reason": f"the pixels' gradient was not finite at iteration {diverged_at}" if diverged_at >= 0 else "",
            "diverged_at": diverged_at,
            "synthetic_images": len(synthetic.labels),
            "entropy_nats": math.log(len(splits.classes)),
            "rungs": self.rungs,
            "validation_accuracy": None,
            "validation_recall": None,
            "decodable_information_nats": None,
            "critic_information_nats": None,
        }
        report_only: dict[str, Any] = {}
        if diverged_at < 0:
            validation, test = self._score(self.recipe.networks, splits.validation, splits.test)
            result["validation_accuracy"], result["validation_recall"] = _plain(validation)
            report_only["test_accuracy"], report_only["test_recall"] = _plain(test)
            result |= self._information(synthetic)
        return Outcome(
            self.trial,
            result,
            report_only,
            self._measured(distilled),
            self.distillation.history,
            None if self.trial.config["method"] == "full" else synthetic,  # it is the data set, which is there already
            grid_png(synthetic),
        )

    def _score(self, networks: int, *splits: ImageData) -> list[Score]:
        from dataclasses import replace

        from mim4dd.evaluate import score, train_on

        synthetic, recipe = self.distillation.synthetic(), replace(self.recipe, networks=networks)
        params = train_on(synthetic, self.network, recipe, seed=self.seed, device=self.device)
        return [score(params, self.network, synthetic, split) for split in splits]

    def _information(self, synthetic: Synthetic) -> dict[str, float | None]:
        from mim4dd.information import decodable_information
        from mim4dd.methods import Mim

        found: dict[str, float | None] = {
            "decodable_information_nats": decodable_information(self.inputs.reference, synthetic, self.inputs.splits)
        }
        if isinstance(self.method, Mim):
            run, held_out = self.distillation, self.inputs.splits.validation
            pixels: torch.Tensor = run.learnable["pixels"].detach()
            found["critic_information_nats"] = self.method.critic_information(
                self.problem, run.learnable, pixels, run.labels, held_out
            )
        return found

    def _measured(self, distilled: float) -> dict[str, Any]:
        import platform

        import torch

        total = self.meter.seconds
        return {
            "seconds": self.earlier_seconds + total,
            "distil_seconds": self.earlier_seconds + distilled,
            "evaluate_seconds": total - distilled,
            "peak_bytes": self.meter.peak_bytes,
            "node": platform.node(),
            "device": self.device,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "started": self.started,
            "ended": time.time(),
        }


def run_trial(
    trial: Trial,
    inputs: Inputs,
    device: str = "cpu",
    *,
    state: dict[str, Any] | None = None,
    pause: Callable[[TrialRun], None] | None = None,
) -> Outcome:
    """Distil, then evaluate: the whole trial in this process.

    state: a `TrialRun.state_dict` to go on from, to the same bits; pause: called about 25 times, to save one.
    """
    run = TrialRun(trial, inputs, device)
    if state is not None:
        run.load_state_dict(state)
    for stop in run.stops:
        run.advance(stop, pause)
    return run.finish()


def _plain(score: Score) -> tuple[list[float], list[list[float | None]]]:
    """Accuracies and recalls as JSON has them; a class without images has recall null."""
    recall = [[None if math.isnan(value) else value for value in row] for row in score.recall.tolist()]
    return score.accuracy.tolist(), recall
