"""Running one trial: perturb, distil, evaluate, detect failures.

Independent of Ray: `run_trial` is a function of the trial's record and its inputs, on one device.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mim4dd.networks.precision import multiplying
from mim4dd.records import ImageData, Score, Synthetic
from mim4dd.registry import unflatten
from studies.engine import measuring
from studies.engine.cues import decoded, scored_by_part, seen
from studies.engine.judging import JUDGES, Judging, Scores
from studies.engine.load import Load
from studies.engine.runs import Saved, StepCallback
from studies.engine.trial import RUNG_NETWORKS, RUNGS, Inputs, Outcome, Trial, distillation_seed

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
        from mim4dd.methods.catalogue import standard_of
        from mim4dd.methods.loop import Distillation
        from mim4dd.methods.task import DistillationTask
        from mim4dd.networks import NETWORKS
        from mim4dd.train import RECIPES
        from perturbations import cue_of, label_noise

        self.meter, self.load, self.started, self.device = Meter(device), Load(), time.time(), device
        self.trial, self.inputs, config = trial, inputs, trial.config
        self.method = unflatten(METHODS, config, "method")
        self.network = unflatten(NETWORKS, config, "network")
        self.recipe = unflatten(RECIPES, config, "evaluation")
        self.seed = int(config["seed"])
        self.perturbations = inputs.chain(str(config.get("perturb", "")))
        noisy = config.get("selection") == "noisy" and label_noise(self.perturbations)
        self.selection = "noisy" if noisy else "clean"
        self.cue = cue_of(self.perturbations)
        self.splits = seen(inputs.splits, self.cue, self.seed)
        self.perturbed = inputs.perturbed(str(config.get("perturb", "")), self.seed)
        data, ipc, tail = self.perturbed.data, int(config["ipc"]), str(config.get("tail", "repeat"))
        on, standard = torch.device(device), standard_of(self.method)
        seed = distillation_seed(config)
        self.task = DistillationTask(data, self.network, ipc, seed, on, tail, self._prepare, standard)
        self.earlier_seconds = self.distil_seconds = self.waited_seconds = 0.0
        self.distillation = Distillation(self.task, self.method)
        self.rungs: list[dict[str, float]] = []
        self.training: Training | None = None
        # Of a checkpoint, until that training continues; and of the trial's own networks while others judge the set.
        self.saved_training: dict[str, Any] | None = None
        self.judging: Judging | None = None
        self.saved_judging: dict[str, Any] | None = None
        self.restart_reason = ""

    def _prepare(self, preparation: Preparation, task: DistillationTask) -> Prepared:
        """Get what a method needs before its first iteration: shared between trials, or made in this process."""
        return self._waited(lambda: self.inputs.prepared(preparation, task, str(self.trial.config.get("perturb", ""))))

    def _waited(self, get: Callable[[], Any]) -> Any:
        """What `get` returns, which another process may still be making: that time is no part of the trial's."""
        found, seconds = self.load.waited(get)
        self.waited_seconds += seconds
        return found

    @cached_property
    def noisy_validation(self) -> ImageData:
        """The validation images under the same label noise, as a user without clean labels would have them."""
        # The seed is the training split's, which also decides how labels are confused; draws go by an image's index.
        from perturbations import chain, label_noise

        noise = label_noise(self.perturbations)
        return chain(noise, self.splits.validation, seed=self.seed).data

    @property
    def interim_data(self) -> ImageData:
        """The validation images on which interim accuracies are measured."""
        split = self.noisy_validation if self.selection == "noisy" else self.splits.validation
        return split.take(self.inputs.interim_rows)

    @property
    def stops(self) -> list[int]:
        """The iterations at which interim accuracies are measured, if the trial has any, then the last iteration."""
        total = self.method.iterations
        rungs = RUNGS if self.trial.config.get("interim") else ()
        return [*sorted({int(total * part) for part in rungs} - {0, total}), total] if total else [0]

    def advance(self, until: int, on_step: StepCallback | None = None) -> None:
        """Distil up to an iteration and, if it is a rung, measure the interim accuracy."""
        run = self.distillation
        while run.iteration < until:
            before = run.iteration
            run.advance(before + 1)
            if run.iteration == before:
                break  # it has diverged
            if on_step:
                on_step(self)
        measured = {rung["iteration"] for rung in self.rungs}
        if run.iteration == until < self.method.iterations and until not in measured and run.diverged_at < 0:
            score = self._score(self._train_networks(RUNG_NETWORKS, on_step).params, self.interim_data)
            self.rungs.append({"iteration": until, "validation_accuracy": score.mean})

    @property
    def progress(self) -> str:
        """How far the trial is, in words."""
        if self.judging is not None:
            return f"evaluating, {self.judging.progress}"
        if self.training is not None:
            return f"evaluating, epoch {self.training.epoch} of {self.training.epochs}"
        return f"distilling, iteration {self.distillation.iteration} of {self.method.iterations}"

    @property
    def interim(self) -> float:
        """The accuracy that a scheduler sees: that of the last rung; chance before the first or after divergence."""
        if self.rungs and self.distillation.diverged_at < 0:
            return self.rungs[-1]["validation_accuracy"]
        return 1 / len(self.inputs.splits.classes)

    def state_dict(self) -> dict[str, Any]:
        """The state from which another process continues to bit-identical results."""
        return {
            # A selection method has no iterations: its choice is repeated from its seed.
            "distillation": self.distillation.state_dict() if self.method.iterations else None,
            "training": self.saved_training if self.training is None else self.training.state_dict(),
            "judging": self.saved_judging if self.judging is None else self.judging.state_dict(),
            "rungs": list(self.rungs),
            "seconds": self.earlier_seconds + self.meter.seconds,
            "distil_seconds": self.distil_seconds,
            "waited_seconds": self.waited_seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state that `state_dict` returned."""
        if state["distillation"] is not None:
            self.distillation.load_state_dict(state["distillation"])
        self.saved_training, self.saved_judging, self.rungs = state["training"], state["judging"], list(state["rungs"])
        self.earlier_seconds, self.distil_seconds = state["seconds"], state["distil_seconds"]
        self.waited_seconds += state["waited_seconds"]

    def finish(self, on_step: StepCallback | None = None) -> Outcome:
        """Evaluate the synthetic set; a diverged trial has an outcome with the iteration of its divergence."""
        from mim4dd.methods import Mim
        from mim4dd.picture import grid_png
        from studies.engine.failures import detect
        from studies.engine.failures.measures import term_measures

        run, network, inputs = self.distillation, self.network, self.inputs
        self.distil_seconds = self.distil_seconds or self.earlier_seconds + self.meter.seconds - self.waited_seconds
        synthetic = run.synthetic()
        result: dict[str, Any] = {
            "status": "diverged" if run.diverged else "ok",
            "reason": run.diverged,
            "diverged_at": run.diverged_at,
            "selection": self.selection,
            "synthetic_images": len(synthetic.labels),
            "entropy_nats": math.log(len(inputs.splits.classes)),
            "rungs": self.rungs,
            "validation_accuracy": None,
            "validation_recall": None,
            "usable_information_nats": None,
            "label_agreement_nats": None,
            "critic_information_nats": None,
            **measuring.training_data(self.task, self.perturbed, self.method),
        }
        report_only, measures, detecting = dict[str, Any](), term_measures(run.history), 0.0
        if not run.diverged:
            params = (trained := self._train_networks(self.recipe.networks, on_step)).params
            with multiplying(self.recipe.precision):
                validation = self._validated(params, synthetic)
                _, report_only = measuring.scored(params, network, synthetic, self.splits.test, "test")
                by_part = scored_by_part(params, network, synthetic, inputs.splits.test, self.cue, self.seed)
            if callable(inputs.reference):
                self.training = trained  # a state that is saved during the wait holds it
                self.training, inputs = None, replace(inputs, reference=self._waited(inputs.reference))
            result |= validation | measuring.information(self.task, self.method, run, self.splits, inputs, self.cue)
            if JUDGES in self.trial.config:
                self.saved_training = trained.state_dict()
                judging = self._judge(synthetic, (params, {"validation": validation, "test": report_only}), on_step)
                result, report_only = result | judging.result(), report_only | judging.report_only()
            if by_part:
                report_only["judged"] = {**report_only.get("judged", {}), **by_part}
            began = time.perf_counter()
            measures |= measuring.set_measures(self.trial, network, inputs, self.perturbed, params, synthetic, self.cue)
            if self.cue is not None and self.trial.config["method"] != "full":
                measures |= decoded(synthetic, inputs.splits, self.cue, self.seed)
            detecting = time.perf_counter() - began
        placebo = isinstance(self.method, Mim) and self.method.placebo
        result |= {"measures": measures} | detect(result | {"measures": measures}, run.history, placebo=placebo)
        return Outcome(
            self.trial,
            result,
            report_only,
            self._measured() | {"detect_seconds": detecting + run.probe_seconds},
            run.history,
            None if self.trial.config["method"] == "full" else synthetic,  # a copy of the data set is not saved
            grid_png(synthetic),
        )

    def _judge(self, synthetic: Synthetic, own: tuple[Params, Scores], on_step: StepCallback | None) -> Judging:
        """Hold the set against the other networks of the trial. own: its own, trained, and their scores."""
        judging = Judging(self.trial.config, synthetic, replace(self.inputs, splits=self.splits), self.device)
        if self.saved_judging is not None:
            judging.load_state_dict(self.saved_judging)
        self.judging = judging
        judging.run(lambda: on_step(self) if on_step else None, own)
        return judging

    def _validated(self, params: Params, synthetic: Synthetic) -> dict[str, Any]:
        """The scores on clean validation labels; under label noise, accuracy on noisy labels too."""
        from perturbations import label_noise

        noisy = self.noisy_validation if label_noise(self.perturbations) else None
        return measuring.validated(params, self.network, synthetic, self.splits.validation, noisy)

    def _measured(self) -> dict[str, Any]:
        """Seconds, memory, machine and its load, which differ between runs; the load is that of the last attempt."""
        total = self.earlier_seconds + self.meter.seconds
        return {
            **({"restarted": self.restart_reason} if self.restart_reason else {}),
            "seconds": total,
            "distil_seconds": self.distil_seconds,
            "evaluate_seconds": total - self.distil_seconds - self.waited_seconds,
            # Seconds waited for what trials share, and those that preparations and perturbed data took, in whichever
            # process.
            "waited_seconds": self.waited_seconds,
            "prepared_seconds": self.task.prepared_seconds,
            "perturbed_seconds": self.perturbed.seconds,
            "peak_bytes": self.meter.peak_bytes,
            **self.load.measured(),
            **measuring.machine(self.device),
            "started": self.started,
            "ended": time.time(),
        }

    def _train_networks(self, networks: int, on_step: StepCallback | None) -> Training:
        """Train networks on the present synthetic set, whole; the callback is called after every epoch."""
        from mim4dd.evaluation import training_on

        recipe = replace(self.recipe, networks=networks)
        training = training_on(self.distillation.synthetic(), self.network, recipe, seed=self.seed, device=self.device)
        if self.saved_training is not None:
            training.load_state_dict(self.saved_training)
            self.saved_training = None
        self.training = training
        while training.epoch < training.epochs:
            training.advance(training.epoch + 1)
            if on_step:
                on_step(self)
        self.training = None
        return training

    def _score(self, params: Params, split: ImageData) -> Score:
        from mim4dd.evaluation import score

        with multiplying(self.recipe.precision):
            return score(params, self.network, self.distillation.synthetic(), split)


def begin(trial: Trial, inputs: Inputs, device: str, saved: Saved) -> TrialRun:
    """Start a trial, or resume it from its checkpoint; a checkpoint that cannot be used is ignored, with the reason."""
    run = TrialRun(trial, inputs, device)
    run.restart_reason = saved.unreadable
    if saved.state is None:
        return run
    try:
        run.load_state_dict(saved.state)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        run = TrialRun(trial, inputs, device)
        run.restart_reason = f"its checkpoint could not be used ({type(error).__name__})"
    return run


def run_trial(
    trial: Trial,
    inputs: Inputs,
    device: str = "cpu",
    saved: Saved | None = None,
    on_step: StepCallback | None = None,
) -> Outcome:
    """Run a whole trial in this process: distil, then evaluate. Resumed from a checkpoint, it gives the same bits."""
    run = begin(trial, inputs, device, saved or Saved())
    for stop in run.stops:
        run.advance(stop, on_step)
    return run.finish(on_step)
