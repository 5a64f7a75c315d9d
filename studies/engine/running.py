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

from mim4dd.records import ImageData, Score, Synthetic
from mim4dd.registry import unflatten
from studies.engine.measuring import information, machine, plain, set_measures, training_data, validated
from studies.engine.trial import RUNG_NETWORKS, RUNGS, Inputs, Outcome, Trial

if TYPE_CHECKING:
    from mim4dd.methods.task import DistillationTask, Preparation, Prepared
    from mim4dd.networks.stacked import Params
    from mim4dd.train import Training


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
        from mim4dd.methods.task import prepare_here

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
    def progress(self) -> str:
        """How far the trial is, in words."""
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

        run = self.distillation
        distilled = self.earlier_seconds + self.meter.seconds - self.waited_seconds
        self.distil_seconds = self.distil_seconds or distilled
        synthetic = run.synthetic()
        result: dict[str, Any] = {
            "status": "diverged" if run.diverged else "ok",
            "reason": run.diverged,
            "diverged_at": run.diverged_at,
            "selection": self.selection,
            "synthetic_images": len(synthetic.labels),
            "entropy_nats": math.log(len(self.inputs.splits.classes)),
            "rungs": self.rungs,
            "validation_accuracy": None,
            "validation_recall": None,
            "decodable_information_nats": None,
            "critic_information_nats": None,
            **training_data(self.task, self.perturbed, self.method),
        }
        report_only: dict[str, Any] = {}
        measures: dict[str, float] = {}
        detecting = 0.0
        if not run.diverged:
            params = self._trained(self.recipe.networks, pause)
            result |= self._validated(params, synthetic)
            report_only["test_accuracy"], report_only["test_recall"] = plain(
                self._score(params, self.inputs.splits.test)
            )
            result |= information(self.task, self.method, run, self.inputs)
            began = time.perf_counter()
            measures = set_measures(self.trial, self.network, self.inputs, self.perturbed, params, synthetic)
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

    def _validated(self, params: Params, synthetic: Synthetic) -> dict[str, Any]:
        """Accuracy and recall on clean validation labels, and accuracy on noisy ones where there is label noise."""
        from perturbations import label_noise

        noisy = self.noisy_validation if label_noise(self.perturbations) else None
        return validated(params, self.network, synthetic, self.inputs.splits.validation, noisy)

    def _measured(self) -> dict[str, Any]:
        """What the trial took, which differs from run to run."""
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
            **machine(self.device),
            "started": self.started,
            "ended": time.time(),
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


Pause = Callable[[TrialRun], None]
"""Called after every iteration and every epoch, to look at the clock, send a heartbeat, or save the state."""


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
