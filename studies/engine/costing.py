"""Running one trial that measures what a method costs: operations, seconds, bytes, of each stage apart.

An iteration is that of the loop that distils, between two of its reports. Each stage is timed once it is warm, in this
process, and its memory in a fresh one. What takes hours is measured on a part of it and scaled by its own count: a
preparation by the images that it passes through networks, the training of networks by its epochs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from mim4dd.errors import InputError
from studies.engine.load import BUSY, Load, quiet
from studies.engine.measuring import machine
from studies.engine.pace import pace_seconds
from studies.engine.problems import CLASSIFIED, COST, MEMORY, OWN, WINDOW, problem_of
from studies.engine.repeating import LONG_WINDOWS, Timing, timed
from studies.engine.running import run_trial
from studies.engine.runs import Saved, StepCallback
from studies.engine.sizes import size_in
from studies.engine.trial import Inputs, Outcome, Trial
from studies.engine.workloads import ITERATIONS, Workload, memory_of, operations

if TYPE_CHECKING:
    from mim4dd.methods.loop import Distillation
    from mim4dd.methods.task import DistillationTask, Preparation, Prepared

# How long a trial waits for other processes to leave the machine alone.
QUIET_SECONDS = 10.0


class CostRun:
    """A trial in progress that measures; an interrupted one begins again, since its numbers belong together."""

    def __init__(self, trial: Trial, inputs: Inputs, device: str, on_step: StepCallback | None) -> None:
        from mim4dd.cost import Meter

        self.meter, self.started, self.device = Meter(device), time.time(), device
        self.trial, self.inputs, self.on_step = trial, inputs, on_step
        self.progress = "waiting for a quiet machine"
        self.window = float(trial.config[WINDOW])
        problem, data = problem_of(str(trial.config[COST]), inputs.splits.train)
        self.workload = Workload(trial.config, problem, data, device)
        self.costs: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """Nothing: see the class."""
        return {}

    def _between(self) -> None:
        if self.on_step:
            self.on_step(self)

    def _timed(self, stage: str, work: Callable[[], object], other: Callable[[], object] | None = None) -> Timing:
        self.progress = f"measuring {stage}"
        return timed(work, self.window, self.device, self._between, other)

    def finish(self) -> Outcome:
        """Measure every stage that the method has."""
        waited, load, workload = quiet(QUIET_SECONDS), Load(), self.workload
        task = workload.task(self._prepare)
        run = workload.distillation(task, workload.method)
        if workload.method.iterations:
            self._iterations(run, task)
        elif self.trial.config["method"] == "random":
            self._evaluation(run)
        else:
            self._selection(run)
        if self.trial.config[MEMORY]:
            self.costs |= {key: float(value) for key, value in self._memory().items()}
        stored = len(run.synthetic().to_bytes())
        loaded = load.measured()
        counted = {**operations(workload), "stored_bytes": float(stored)}
        result = {
            "status": "ok",
            "reason": "",
            "problem": workload.problem.text,
            "iterations": workload.method.iterations,
            "held_out_images": self._held_out,
            "operations": counted,
        }
        measured = {
            "seconds": self.meter.seconds,
            "waited_seconds": waited,
            "cost": self.costs,
            **loaded,
            "busy": loaded["others_cores"] >= BUSY,
            **machine(self.device),
            "pace_seconds": pace_seconds(),
            "started": self.started,
            "ended": time.time(),
        }
        return Outcome(self.trial, result, {}, measured)

    @property
    def _held_out(self) -> int:
        """The images that a real run's networks classify: those of the study's own data, or of the data set."""
        if self.trial.config[COST] == OWN:
            return len(self.inputs.splits.validation) + len(self.inputs.splits.test)
        return size_in(self.trial.config).evaluated

    def _prepare(self, preparation: Preparation, task: DistillationTask) -> Prepared:
        """Make a small preparation here, and say what the whole would take on the whole data set.

        A short one is repeated: its first time has costs that do not grow with it.
        """
        from mim4dd.methods.task import prepare_here

        self.progress = "measuring preparation"
        made, problem = prepare_here(preparation, task), self.workload.problem
        seconds = made.seconds
        self._between()
        if seconds < LONG_WINDOWS * self.window:
            timing = self._timed("preparation", lambda: prepare_here(preparation, task))
            seconds = statistics.median(timing.wall)
        whole = self.workload.method.preparation
        assert whole is not None
        # One that passes no images through the network is taken to grow with them all the same.
        passes = preparation.image_passes(problem.images)
        scale = whole.image_passes(problem.whole) / passes if passes else problem.whole / problem.images
        stored = sum(array.nbytes for array in made.arrays.values())
        larger = getattr(whole, "snapshots", 1) / getattr(preparation, "snapshots", 1)
        self.costs |= {"preparation_seconds": seconds * scale, "prepared_bytes": float(stored * larger)}
        self.workload.prepared = made
        return made

    def _iterations(self, run: Distillation, task: DistillationTask) -> None:
        """Time iterations, those with the term in turns with the base's alone; count the operations of one more."""
        from mim4dd.complexity import counted_flops

        def iterate(one: Distillation) -> None:
            if one.iteration >= one.method.iterations:
                raise InputError(f"the method ends after {one.iteration} iterations, too few to measure one")
            one.advance(one.iteration + 1)

        own, base = partial(iterate, run), self.workload.base
        alone = None if base is None else partial(iterate, self.workload.distillation(task, base))
        timing = self._timed("iteration", own, alone)
        self.costs |= timing.medians("iteration")
        self.costs |= {"warmup_seconds": timing.warmup, "iterations_timed": float(len(timing.wall))}
        if timing.others:
            self.costs |= {"base_iteration_seconds": statistics.median(timing.others), "overhead": timing.ratio}
        if self.trial.config[MEMORY]:
            self.progress = "counting operations"
            self.costs["counted_flops"] = float(counted_flops(own))

    def _evaluation(self, run: Distillation) -> None:
        """Time epochs of the networks that evaluate a set, and their classification of images."""
        import torch

        from mim4dd.networks.chunks import predict

        training = self.workload.training(run)
        epochs, training.epochs = training.epochs, ITERATIONS

        def train() -> None:
            training.advance(training.epoch + 1)

        timing = self._timed("epoch", train)
        self.costs |= timing.medians("epoch")
        self.costs["training_seconds"] = epochs * statistics.median(timing.wall)
        params, real = training.params, self.workload.data.images[:CLASSIFIED]
        images = torch.from_numpy(run.synthetic().standard(real)).to(self.device)
        timing = self._timed("classification", lambda: predict(self.workload.network, params, images))
        self.costs["classified_image_seconds"] = statistics.median(timing.wall) / len(images)

    def _selection(self, run: Distillation) -> None:
        """Time the choice of real images, which sees all of them once its network is trained."""
        problem = self.workload.problem
        timing = self._timed("selection", lambda: run.method.initial(run.task))
        self.costs["selection_seconds"] = statistics.median(timing.wall) * problem.whole / problem.images

    def _memory(self) -> dict[str, float]:
        """Measure the peak memory in a fresh process; on a GPU here, where nothing else is on the device's account."""
        from studies.engine.statistics.processes import fresh_process

        selects = not self.workload.method.iterations and self.trial.config["method"] != "random"
        if selects:
            return {}
        self.progress = "measuring memory"
        if self.device.startswith("cuda"):
            return memory_of(self.workload)
        with fresh_process() as pool:
            pending = pool.submit(_memory_of, self.inputs.plugins, self.workload)
            while not pending.done():
                time.sleep(0.01)
                self._between()
            return pending.result()


def _memory_of(plugins: object, workload: Workload) -> dict[str, float]:
    """`memory_of` in a fresh process. plugins: installed where they are unpickled, before the workload is."""
    return memory_of(workload)


def cost_trial(
    trial: Trial,
    inputs: Inputs,
    device: str = "cpu",
    saved: Saved | None = None,
    on_step: StepCallback | None = None,
) -> Outcome:
    """Measure what a trial asks for, or, where it asks for nothing, distil and evaluate as in every study."""
    if COST not in trial.config:
        return run_trial(trial, inputs, device, saved, on_step)
    return CostRun(trial, inputs, device, on_step).finish()
