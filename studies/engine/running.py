"""The plain function that runs a trial: perturb, distil, evaluate, look for failures.

Nothing here has heard of Ray: `run_trial` is a function of the record and its inputs, on one device.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mim4dd.records import ImageData, Score, Synthetic
from mim4dd.registry import unflatten
from studies.engine.trial import RUNG_NETWORKS, RUNGS, Inputs, Outcome, Trial

if TYPE_CHECKING:
    import torch

    from mim4dd.methods.prepared import Preparation, Prepared
    from mim4dd.methods.task import DistillationTask
    from mim4dd.networks.stacked import Params
    from mim4dd.train import Training

# A transition matrix of more classes would make a row long and a figure unreadable.
LARGEST_MATRIX = 20


class TrialRun:
    """A trial in progress: advances to any iteration, can be saved there, and finishes with an outcome."""

    def __init__(self, trial: Trial, inputs: Inputs, device: str = "cpu") -> None:
        import torch

        from mim4dd.cost import Meter
        from mim4dd.methods import METHODS
        from mim4dd.methods.loop import Distillation
        from mim4dd.methods.task import DistillationTask
        from mim4dd.networks import NETWORKS
        from mim4dd.train import RECIPES
        from perturbations import label_noise

        self.meter, self.started, self.device = Meter(device), time.time(), device
        self.trial, self.inputs, config = trial, inputs, trial.config
        self.method = unflatten(METHODS, config, "method")
        self.network = unflatten(NETWORKS, config, "network")
        self.recipe = unflatten(RECIPES, config, "evaluation")
        self.seed = int(config["seed"])
        self.perturbations = inputs.chain(str(config.get("perturb", "")))
        noisy = config.get("selection") == "noisy" and label_noise(self.perturbations)
        self.selection = "noisy" if noisy else "clean"
        self.perturbed = inputs.perturbed(str(config.get("perturb", "")), self.seed)
        tail, place = str(config.get("tail", "repeat")), torch.device(device)
        self.task = DistillationTask(
            self.perturbed.data, self.network, int(config["ipc"]), self.seed, place, tail, self._prepare
        )
        self.earlier_seconds = self.distil_seconds = self.waited_seconds = 0.0
        self.distillation = Distillation(self.task, self.method)
        self.rungs: list[dict[str, float]] = []
        self.training: Training | None = None
        self.held: dict[str, Any] | None = None
        self.restarted = ""

    def _prepare(self, preparation: Preparation, task: DistillationTask) -> Prepared:
        """What a method needs before its first iteration, from whoever shares it between trials."""
        from mim4dd.methods.prepared import prepare_here

        began = time.perf_counter()
        try:
            if self.inputs.provide is None:
                return prepare_here(preparation, task)
            return self.inputs.provide(preparation, task, str(self.trial.config.get("perturb", "")))
        finally:
            self.waited_seconds += time.perf_counter() - began

    @cached_property
    def noisy_validation(self) -> ImageData:
        """The validation images under the same label noise: what a user without clean labels has.

        The seed is the training split's, for it also says who mislabels (the weights of instance noise); an image's
        draws belong to its index, so those of validation are its own.
        """
        from perturbations import chain, label_noise

        noise = label_noise(self.perturbations)
        return chain(noise, self.inputs.splits.validation, seed=self.seed).data

    @property
    def watched(self) -> ImageData:
        """What interim accuracies are taken on."""
        noisy = self.selection == "noisy"
        return (self.noisy_validation if noisy else self.inputs.splits.validation).take(self.inputs.watched)

    @property
    def stops(self) -> list[int]:
        """The iterations at which an interim accuracy is taken, then the last."""
        total = self.method.iterations
        return [*sorted({int(total * part) for part in RUNGS} - {0, total}), total] if total else [0]

    def advance(self, until: int, pause: Pause | None = None) -> None:
        """Distil up to an iteration, and take the accuracy of a rung there; each iteration ends in a pause."""
        run = self.distillation
        while run.iteration < until:
            before = run.iteration
            run.advance(before + 1)
            if run.iteration == before:
                break  # it has diverged
            if pause:
                pause(self)
        taken = {rung["iteration"] for rung in self.rungs}
        if run.iteration == until < self.method.iterations and until not in taken and run.diverged_at < 0:
            found = self._score(self._trained(RUNG_NETWORKS, pause), self.watched)
            self.rungs.append({"iteration": until, "validation_accuracy": found.mean})

    @property
    def place(self) -> str:
        """Where the trial is, in words."""
        if self.training is not None:
            return f"evaluating, epoch {self.training.epoch} of {self.training.epochs}"
        return f"distilling, iteration {self.distillation.iteration} of {self.method.iterations}"

    @property
    def interim(self) -> float:
        """The accuracy at the last rung, chance before the first or after divergence: what a scheduler sees."""
        if self.rungs and self.distillation.diverged_at < 0:
            return self.rungs[-1]["validation_accuracy"]
        return 1 / len(self.inputs.splits.classes)

    def state_dict(self) -> dict[str, Any]:
        """Everything that another process needs to go on to the same bits."""
        return {
            # What a selection chose is found again from its seed.
            "distillation": self.distillation.state_dict() if self.method.iterations else None,
            "training": self.held if self.training is None else self.training.state_dict(),
            "rungs": list(self.rungs),
            "seconds": self.earlier_seconds + self.meter.seconds,
            "distil_seconds": self.distil_seconds,
            "waited_seconds": self.waited_seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        if state["distillation"] is not None:
            self.distillation.load_state_dict(state["distillation"])
        self.held, self.rungs = state["training"], list(state["rungs"])
        self.earlier_seconds, self.distil_seconds = state["seconds"], state["distil_seconds"]
        self.waited_seconds += state["waited_seconds"]

    def finish(self, pause: Pause | None = None) -> Outcome:
        """Evaluate what was distilled; a diverged trial ends as an outcome that says where."""
        from mim4dd.picture import grid_png
        from studies.engine.failures import detect

        run, splits = self.distillation, self.inputs.splits
        distilled = self.earlier_seconds + self.meter.seconds - self.waited_seconds
        self.distil_seconds = self.distil_seconds or distilled
        synthetic = run.synthetic()
        result: dict[str, Any] = {
            "status": "diverged" if run.diverged else "ok",
            "reason": run.diverged,
            "diverged_at": run.diverged_at,
            "selection": self.selection,
            "synthetic_images": len(synthetic.labels),
            "entropy_nats": math.log(len(splits.classes)),
            "rungs": self.rungs,
            "validation_accuracy": None,
            "validation_recall": None,
            "decodable_information_nats": None,
            "critic_information_nats": None,
            **self._training_data(),
        }
        report_only: dict[str, Any] = {}
        measures: dict[str, float] = {}
        detecting = 0.0
        if not run.diverged:
            params = self._trained(self.recipe.networks, pause)
            result |= self._validated(params)
            report_only["test_accuracy"], report_only["test_recall"] = _plain(self._score(params, splits.test))
            result |= self._information(synthetic)
            began = time.perf_counter()
            measures = self._measures(params, synthetic)
            detecting = time.perf_counter() - began
        result |= {"measures": measures} | detect(result | {"measures": measures}, run.history)
        return Outcome(
            self.trial,
            result,
            report_only,
            self._measured() | {"detect_seconds": detecting + run.probe_seconds},
            run.history,
            None if self.trial.config["method"] == "full" else synthetic,  # it is the data set, which is there already
            grid_png(synthetic),
        )

    def _training_data(self) -> dict[str, Any]:
        """What the perturbations made of the training split, and which classes are short of images."""
        from mim4dd.methods.catalogue import real_images_a_batch

        task, counts = self.task, self.perturbed.data.counts
        realised = {name: {**found} for name, found in self.perturbed.realised.items()}
        for found in realised.values():
            for key in ("transition", "asked"):
                if len(counts) > LARGEST_MATRIX:
                    found.pop(key, None)
                elif found.get(key) is not None:
                    found[key] = [[round(value, 5) for value in row] for row in found[key]]
        return {
            "train_counts": counts.tolist(),
            # By true class: noise hides a tail by filling it with other classes' images.
            "clean_counts": np.bincount(self.perturbed.clean_labels, minlength=len(counts)).tolist(),
            "wrong_labels": float(self.perturbed.flipped.mean()),
            "perturbed": realised,
            "tail": {
                "policy": task.tail,
                "short_of_ipc": task.shortfall(task.ipc),
                "short_of_batch": task.shortfall(real_images_a_batch(self.method)),
                "absent": task.shortfall(1),
            },
        }

    def _trained(self, networks: int, pause: Pause | None) -> Params:
        """Networks trained on the set as it is; a pause is offered after every epoch."""
        from mim4dd.evaluate import training_on

        recipe = replace(self.recipe, networks=networks)
        training = training_on(self.distillation.synthetic(), self.network, recipe, seed=self.seed, device=self.device)
        if self.held is not None:
            training.load_state_dict(self.held)
            self.held = None
        self.training = training
        while training.epoch < training.epochs:
            training.advance(training.epoch + 1)
            if pause:
                pause(self)
        self.training = None
        return training.params

    def _score(self, params: Params, split: ImageData) -> Score:
        from mim4dd.evaluate import score

        return score(params, self.network, self.distillation.synthetic(), split)

    def _validated(self, params: Params) -> dict[str, Any]:
        """Accuracy and recall on clean validation labels, and accuracy on noisy ones where there is label noise."""
        from mim4dd.evaluate import classify, tally
        from perturbations import label_noise

        clean, noisy = self.inputs.splits.validation, self.noisy_validation
        guesses = classify(params, self.network, self.distillation.synthetic(), clean)
        accuracy, recall = _plain(tally(guesses, clean))
        found: dict[str, Any] = {"validation_accuracy": accuracy, "validation_recall": recall}
        if label_noise(self.perturbations):
            found["noisy_validation_accuracy"] = tally(guesses, noisy).accuracy.tolist()
            found["noisy_validation_wrong_labels"] = float((noisy.labels != clean.labels).mean())
        return found

    def _measures(self, params: Params, synthetic: Synthetic) -> dict[str, float]:
        """The numbers about the synthetic set and its networks that detectors judge."""
        from studies.engine.failures.measures import flipped_agreement, synthetic_measures

        reference, train = self.inputs.reference, self.inputs.splits.train
        whole = self.trial.config["method"] == "full"
        found = {} if whole else synthetic_measures(synthetic, reference, train)
        return found | flipped_agreement(params, self.network, synthetic, self.perturbed)

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
                self.task, run.learnable, pixels, run.labels, held_out
            )
        return found

    def _measured(self) -> dict[str, Any]:
        import platform

        import torch

        total = self.earlier_seconds + self.meter.seconds
        return {
            **({"restarted": self.restarted} if self.restarted else {}),
            "seconds": total,
            "distil_seconds": self.distil_seconds,
            "evaluate_seconds": total - self.distil_seconds - self.waited_seconds,
            # For what is made once for all trials that share it; and what making it took, whoever waited for it.
            "waited_seconds": self.waited_seconds,
            "prepared_seconds": self.task.prepared_seconds,
            "peak_bytes": self.meter.peak_bytes,
            "node": platform.node(),
            "device": self.device,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "started": self.started,
            "ended": time.time(),
        }


Pause = Callable[[TrialRun], None]
"""Called after every iteration and every epoch, to look at the clock, give a sign of life, or save the state."""


@dataclass(frozen=True)
class Saved:
    """What an earlier attempt has left: its `TrialRun.state_dict`, or None; lost: why it could not be read, or ""."""

    state: dict[str, Any] | None = None
    lost: str = ""


Work = Callable[[Trial, Inputs, str, Saved, Pause | None], Outcome]
"""What a study does with a trial: its record, its inputs, a device, what is saved of it, the pause to offer."""


def begin(trial: Trial, inputs: Inputs, device: str, saved: Saved) -> TrialRun:
    """A trial at its beginning, or where an earlier attempt was saved; a state that does not fit costs no trial."""
    run = TrialRun(trial, inputs, device)
    run.restarted = saved.lost
    if saved.state is None:
        return run
    try:
        run.load_state_dict(saved.state)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        run = TrialRun(trial, inputs, device)
        run.restarted = f"its checkpoint could not be used ({type(error).__name__})"
    return run


def run_trial(
    trial: Trial, inputs: Inputs, device: str = "cpu", saved: Saved | None = None, pause: Pause | None = None
) -> Outcome:
    """Distil, then evaluate: the whole trial in this process, from where it was saved, to the same bits."""
    run = begin(trial, inputs, device, saved or Saved())
    for stop in run.stops:
        run.advance(stop, pause)
    return run.finish(pause)


def memory_reason(error: Exception) -> str:
    """What a device out of memory was asked for, from PyTorch's message."""
    found = re.search(r"[Tt]ried to allocate ([\d.]+ \w+)", str(error))
    told = f"tried to allocate {found[1]}" if found else str(error).partition("\n")[0]
    return f"out of GPU memory: {told}"


def _plain(score: Score) -> tuple[list[float], list[list[float | None]]]:
    """Accuracies and recalls as JSON has them; a class without images has recall null."""
    recall = [[None if math.isnan(value) else value for value in row] for row in score.recall.tolist()]
    return score.accuracy.tolist(), recall
