"""What runs on a worker: a trial, or the seeds of a setting, saved with the keeper as they go.

A trainable catches what a trial raises and reports it as an outcome: an exception that reached Tune would cost the
worker.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from mim4dd.records import Floats
from mim4dd.registry import Flat, flatten, unflatten
from studies.engine.running import Saved, TrialRun, Work, begin, memory_reason
from studies.engine.trial import RUNGS, Inputs, Outcome, Trial, validation_mean
from studies.engine.tuning.keeper import Worker, this_worker

if TYPE_CHECKING:
    from mim4dd.methods.prepared import Preparation, Prepared
    from mim4dd.methods.task import DistillationTask
    from perturbations import Perturbed
    from studies.engine.tuning.fitting import Search

METRIC = "validation_accuracy"
# A keeper hears so often of each trial: a thousand workers are two hundred words a second.
SIGN_SECONDS = 5.0
# What is prepared is taken for so large when the keeper makes room: experts of small networks are smaller.
PREPARED_BYTES = 64 << 20


@dataclass(frozen=True)
class Resources:
    """What each trial is given, and how many run at once (0: as many as fit)."""

    cpus: float = 1.0
    gpus: float = 0.0
    max_concurrent: int = 0

    @property
    def threads(self) -> int:
        """One for each CPU of a trial."""
        return max(1, int(self.cpus))

    @property
    def device(self) -> str:
        # From what the trial was given, never from what the machine has: a CPU trial on a GPU node sees its GPUs.
        return "cuda" if self.gpus else "cpu"


@dataclass(frozen=True, eq=False)
class Studio:
    """Where trials run: what each is given, what all share, who keeps their states and how often.

    inputs: a reference to `Inputs` in the object store, which a node reads once for all its trials.
    """

    resources: Resources
    inputs: Any
    keeper: Any
    checkpoint_seconds: float
    work: Work


class Desk:
    """A worker's side of the keeper for the trials of a unit: the pause that their runs call after every iteration."""

    def __init__(self, trials: Sequence[Trial], studio: Studio, worker: Worker) -> None:
        self.keeper, self.seconds = studio.keeper, studio.checkpoint_seconds
        asked = [studio.keeper.begin.remote(trial.hash, worker) for trial in trials]
        self.welcomes = {welcome.ticket.trial: welcome for welcome in ray.get(asked)}
        self.tickets = [welcome.ticket for welcome in self.welcomes.values()]
        self.runs: dict[str, TrialRun] = {}
        self.signed = self.kept = time.monotonic()
        self.answer: Any = None
        if any(welcome.stopping for welcome in self.welcomes.values()):
            self._wait()

    def state(self, trial: Trial) -> Saved:
        """What an earlier attempt has saved of a trial."""
        import torch

        welcome = self.welcomes[trial.hash]
        if welcome.state is None:
            return Saved(None, welcome.unreadable)
        try:
            return Saved(torch.load(io.BytesIO(welcome.state), weights_only=True))
        except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            return Saved(None, f"its checkpoint could not be read ({type(error).__name__})")

    def __call__(self, run: TrialRun) -> None:
        """Give a sign of life and save the runs' states, each when it is time; when told to stop, wait to be ended."""
        now = time.monotonic()
        if now - self.signed < min(SIGN_SECONDS, self.seconds):
            return
        self.signed, self.runs[run.trial.hash] = now, run
        # The answer to the last sign: a trial does not wait for this one's.
        if self.answer is not None and ray.wait([self.answer], timeout=0)[0] and ray.get(self.answer):
            self._save()
            self._wait()
        if now - self.kept >= self.seconds:
            self.kept = now
            self._save()
        self.answer = self.keeper.sign.remote(self.tickets, run.place)

    def wait_for(self, made: Any, place: str) -> None:
        """Wait until another has made something, with signs of life; told to stop, wait to be ended."""
        while not ray.wait([made], timeout=min(SIGN_SECONDS, self.seconds))[0]:
            if ray.get(self.keeper.sign.remote(self.tickets, place)):
                self._wait()

    def _save(self) -> None:
        for ticket in self.tickets:
            if ticket.trial in self.runs:
                self.keeper.save.remote(ticket, packed(self.runs[ticket.trial]))

    def _wait(self) -> None:
        ray.get(self.keeper.pause.remote(self.tickets))
        while True:
            time.sleep(60)

    def end(self) -> None:
        """The trials have their outcomes."""
        self.keeper.end.remote(self.tickets)


def packed(run: TrialRun) -> bytes:
    """A run's state as torch writes it."""
    import torch

    buffer = io.BytesIO()
    torch.save(run.state_dict(), buffer)
    return buffer.getvalue()


def shared_inputs(studio: Studio, worker: Worker, desk: Desk) -> Inputs:
    """The study's inputs, where what trials share is made once for all of them: perturbed splits, trained experts."""
    inputs: Inputs = ray.get(studio.inputs)

    def variant(text: str, seed: int) -> Perturbed:
        key = f"{inputs.splits.digest} {text} {seed}"
        size = inputs.splits.train.images.nbytes
        given = (studio.inputs, text, seed)
        (made,) = ray.get(studio.keeper.shared.remote(key, size, perturbed, given, worker.node))
        found: Perturbed = ray.get(made)
        return found if found.data.images.size else with_images(found, inputs.splits.train.images)

    def provide(preparation: Preparation, task: DistillationTask, text: str) -> Prepared:
        network, device = flatten(task.network, "network"), studio.resources.device
        told = [inputs.splits.digest, text, task.seed, network, type(preparation).__name__, asdict(preparation)]
        key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        given = (studio.inputs, preparation, text, task.seed, network, device, studio.resources.threads, visible)
        file = f"inputs/prepared-{key}.bin"
        (made,) = ray.get(studio.keeper.shared.remote(key, PREPARED_BYTES, prepared, given, worker.node, file))
        desk.wait_for(made, f"waiting for {type(preparation).__name__}")
        return unpacked(ray.get(made))

    return replace(inputs, variant=variant, provide=provide)


def prepared(
    inputs: Inputs,
    preparation: Preparation,
    text: str,
    seed: int,
    network: Flat,
    device: str,
    threads: int,
    visible: str | None,
) -> bytes:
    """The task that makes what a method needs before its first iteration, as one safetensors file.

    visible: the devices of the worker that asked, which waits meanwhile.
    """
    if visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible
    import torch
    from safetensors.numpy import save

    from mim4dd.methods.prepared import prepare_here
    from mim4dd.methods.task import DistillationTask
    from mim4dd.networks import NETWORKS

    set_up(threads)
    train = inputs.perturbed(text, seed).data
    task = DistillationTask(train, unflatten(NETWORKS, network, "network"), 1, seed, torch.device(device))
    made = prepare_here(preparation, task)
    return save(dict(made.arrays), {"seconds": repr(made.seconds)})


def unpacked(content: bytes) -> Prepared:
    """What `prepared` has packed."""
    from safetensors.numpy import load

    from mim4dd.methods.prepared import Prepared

    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return Prepared(load(content), float(header["__metadata__"]["seconds"]))


def perturbed(inputs: Inputs, text: str, seed: int) -> Perturbed:
    """The task that makes a variant, on some node; without pixels where they are those of the clean split."""
    found = inputs.perturbed(text, seed)
    same = found.data.images is inputs.splits.train.images
    return with_images(found, found.data.images[:, :0]) if same else found


def with_images(found: Perturbed, images: Floats) -> Perturbed:
    """The same labels on other pixels."""
    return replace(found, data=replace(found.data, images=images))


def trial_of(config: dict[str, Any]) -> Trial:
    """The trial that a feeder has put into a Tune config."""
    return Trial.of(json.loads(config["trial"]))


def fixed_unit(config: dict[str, Any], studio: Studio) -> None:
    """The trainable of a fixed design: one trial, resumed from what an earlier attempt has saved."""
    trial, began, worker = trial_of(config), time.time(), this_worker()
    desk = Desk([trial], studio, worker)
    try:
        set_up(studio.resources.threads)
        inputs = shared_inputs(studio, worker, desk)
        outcome = studio.work(trial, inputs, studio.resources.device, desk.state(trial), desk)
    except Exception as error:  # noqa: BLE001 - whatever a trial raises must not take its worker down
        outcome = failed(trial, error, began)
    desk.end()
    tune.report({METRIC: metric(outcome), "outcomes": [outcome]})


def search_unit(config: dict[str, Any], search: Search, studio: Studio) -> None:
    """The trainable of a search: a setting's seeds side by side, rung by rung, so that a scheduler can judge them."""
    wanted, began, worker = search.unknown(config), time.time(), this_worker()
    known = [search.known[trial.hash] for trial in search.trials(config) if trial.hash in search.known]
    desk = Desk(wanted, studio, worker)
    try:
        set_up(studio.resources.threads)
        inputs, device = shared_inputs(studio, worker, desk), studio.resources.device
        runs = [begin(trial, inputs, device, desk.state(trial)) for trial in wanted]
        for index in range(len(runs[0].stops) - 1 if runs else 0):
            for run in runs:
                run.advance(run.stops[index], desk)
            rung = round(100 * RUNGS[index])
            tune.report({METRIC: mean([*known, *(run.interim for run in runs)]), "rung": rung})
        outcomes = []
        for run in runs:
            run.advance(run.stops[-1], desk)
            outcomes.append(run.finish(desk))
    except Exception as error:  # noqa: BLE001 - as above
        outcomes = [failed(trial, error, began) for trial in wanted]
    desk.end()
    tune.report({METRIC: mean([*known, *map(metric, outcomes)]), "rung": 100, "outcomes": outcomes})


def failed(trial: Trial, error: Exception, began: float) -> Outcome:
    """What a trial raised, as an outcome with status `error`, so that the study goes on and the row says why."""
    import torch

    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, torch.OutOfMemoryError):
        reason = f"{memory_reason(error)} by {', '.join(f'{k} {v}' for k, v in sized(trial).items())}"
        torch.cuda.empty_cache()
    return without_result(trial, reason, began)


def without_result(trial: Trial, reason: str, began: float) -> Outcome:
    """The outcome, with status `error`, of a trial that has none of its own."""
    measured = {"seconds": time.time() - began, "started": began, "ended": time.time()}
    return Outcome(trial, {"status": "error", "reason": reason[:2000]}, measured=measured)


def sized(trial: Trial) -> dict[str, Any]:
    """The knobs that decide what memory a trial takes."""
    ends = ("ipc", "batch_real", "width", "depth", "evaluation.batch", "evaluation.networks")
    return {key: value for key, value in trial.config.items() if key.endswith(ends)}


def metric(outcome: Outcome) -> float:
    """Mean validation accuracy; 0 for a trial that has none, which is below any that has."""
    found = validation_mean(outcome.result)
    return found if found == found else 0.0


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def set_up(threads: int) -> None:
    """Give this worker as many threads as the trial has CPUs, and have it keep the memory that it frees."""
    import torch

    from mim4dd.memory import keep_freed_memory

    keep_freed_memory()
    # At every unit: workers are reused, and OpenMP's count belongs to the thread that set it.
    torch.set_num_threads(threads)
