"""Running one trial that scores a set: one from a file, or one selected from the real images, under every judge."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from mim4dd.errors import InputError
from mim4dd.records import Synthetic
from mim4dd.registry import unflatten
from studies.engine.judging import Judging
from studies.engine.load import Load
from studies.engine.measuring import machine
from studies.engine.trial import Inputs, Outcome, Trial

if TYPE_CHECKING:
    from mim4dd.methods.task import DistillationTask, Preparation, Prepared
    from studies.engine.runs import Saved, StepCallback

# The entry of a trial's configuration that names its set, instead of a method: `images_best@1a2b3c4d5e6f`.
SET = "set"


class ScoringRun:
    """A trial in progress that scores a set; it can be saved after any epoch of any judge."""

    def __init__(self, trial: Trial, inputs: Inputs, device: str = "cpu") -> None:
        from mim4dd.cost import Meter

        self.meter, self.load, self.started, self.device = Meter(device), Load(), time.time(), device
        self.trial, self.inputs = trial, inputs
        self.earlier_seconds = self.waited_seconds = self.prepared_seconds = 0.0
        self.synthetic = self._given() if SET in trial.config else self._selected()
        self.judging = Judging(trial.config, self.synthetic, inputs, device)

    def _given(self) -> Synthetic:
        name = str(self.trial.config[SET])
        if name not in self.inputs.sets:
            raise InputError(f"the study has no set {name}")
        return self.inputs.sets[name]

    def _selected(self) -> Synthetic:
        """The set of a method without iterations: real images, chosen from the training split."""
        import torch

        from mim4dd.methods import METHODS
        from mim4dd.methods.loop import Distillation
        from mim4dd.methods.task import DistillationTask
        from mim4dd.networks import NETWORKS

        config = self.trial.config
        method, network = unflatten(METHODS, config, "method"), unflatten(NETWORKS, config, "network")
        tail, device = str(config.get("tail", "repeat")), torch.device(self.device)
        train, ipc, seed = self.inputs.splits.train, int(config["ipc"]), int(config["seed"])
        task = DistillationTask(train, network, ipc, seed, device, tail, self._prepare)
        run = Distillation(task, method)
        run.advance(method.iterations)
        self.prepared_seconds = task.prepared_seconds
        return run.synthetic()

    def _prepare(self, preparation: Preparation, task: DistillationTask) -> Prepared:
        prepared: Prepared
        prepared, seconds = self.load.waited(lambda: self.inputs.prepared(preparation, task, ""))
        self.waited_seconds += seconds
        return prepared

    @property
    def progress(self) -> str:
        """How far the trial is, in words."""
        return self.judging.progress

    def state_dict(self) -> dict[str, Any]:
        """The state from which another process continues to bit-identical results."""
        return {"judging": self.judging.state_dict(), "seconds": self.earlier_seconds + self.meter.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state that `state_dict` returned."""
        self.judging.load_state_dict(state["judging"])
        self.earlier_seconds = state["seconds"]

    def finish(self, restart_reason: str, on_step: StepCallback | None) -> Outcome:
        """Score the set under every judge."""
        from mim4dd.picture import grid_png

        self.judging.run(lambda: on_step(self) if on_step else None)
        synthetic, config = self.synthetic, self.trial.config
        result = {
            "status": "ok",
            "reason": "",
            "synthetic_images": len(synthetic.labels),
            "entropy_nats": math.log(len(synthetic.classes)),
            **self.judging.result(),
        }
        measured = {
            **({"restarted": restart_reason} if restart_reason else {}),
            "seconds": self.earlier_seconds + self.meter.seconds,
            "waited_seconds": self.waited_seconds,
            "prepared_seconds": self.prepared_seconds,
            "peak_bytes": self.meter.peak_bytes,
            **self.load.measured(),  # of the last attempt
            **machine(self.device),
            "started": self.started,
            "ended": time.time(),
        }
        # Neither the data set nor the set that is in the file already is saved again.
        copy = config.get("method") == "full" or SET in config
        saved, picture = None if copy else synthetic, grid_png(synthetic)
        return Outcome(self.trial, result, self.judging.report_only(), measured, [], saved, picture)


def score_trial(
    trial: Trial,
    inputs: Inputs,
    device: str = "cpu",
    saved: Saved | None = None,
    on_step: StepCallback | None = None,
) -> Outcome:
    """Score a whole trial's set in this process. Resumed from a checkpoint, it gives the same bits."""
    run, reason = ScoringRun(trial, inputs, device), saved.unreadable if saved else ""
    if saved is not None and saved.state is not None:
        try:
            run.load_state_dict(saved.state)
        except (KeyError, ValueError, TypeError) as error:
            run = ScoringRun(trial, inputs, device)
            reason = f"its checkpoint could not be used ({type(error).__name__})"
    return run.finish(reason, on_step)
