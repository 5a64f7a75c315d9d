"""Ray Tune around the trial: the only file that imports it.

A unit of work is one Tune trial: a single trial of a fixed design, or, in a search, a setting with all its seeds, since
a searcher must hear one number for a setting. The trainable catches what a trial raises and reports it as an outcome:
an exception that reached Tune would cost the worker.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from mim4dd.information import Reference, train_reference
from mim4dd.networks import Network
from mim4dd.records import Splits
from mim4dd.registry import Flat
from studies.engine.design import search_sampler
from studies.engine.running import TrialRun, run_trial
from studies.engine.space import Space, Suggest
from studies.engine.trial import RUNGS, Inputs, LostTrialsError, Outcome, Trial, validation_mean

METRIC = "validation_accuracy"
CHECKPOINT_SECONDS = 30.0
RETRIES = 3


@dataclass(frozen=True)
class Resources:
    """What each trial is given, and how many run at once (0: as many as fit)."""

    cpus: float = 1.0
    gpus: float = 0.0
    max_concurrent: int = 0

    @property
    def device(self) -> str:
        # From what the trial was given, never from what the machine has: a CPU trial on a GPU node sees its GPUs.
        return "cuda" if self.gpus else "cpu"


@dataclass(frozen=True)
class Workplace:
    """Where trials run: resources, and the study folder for checkpoints where the worker can see it."""

    resources: Resources
    out: str

    def checkpoint(self, trial: Trial) -> Path | None:
        folder = Path(self.out) / "checkpoints"
        return folder / f"{trial.hash}.pt" if (Path(self.out) / "study.json").exists() else None


Sink = Callable[[Outcome, int], None]
"""Receives each finished trial and how often it was retried, on the driver."""


class Collector(tune.Callback):
    """Hands finished trials to the driver as they come, and takes them out of Tune's own records."""

    def __init__(self, sink: Sink | None = None) -> None:
        self.sink = sink

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks, and the driver holds locks, files and threads

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        for outcome in result.pop("outcomes", ()):
            assert self.sink is not None
            self.sink(outcome, trial.num_failures)


def run_fixed(trials: Sequence[Trial], inputs: Inputs, place: Workplace, sink: Sink) -> None:
    """Run each trial once, in this order as workers come free."""
    units = {"unit": tune.grid_search(list(range(len(trials))))}
    work = tune.with_parameters(fixed_unit, trials=list(trials), inputs=inputs, place=place)
    _fit(work, units, place, sink, tune.TuneConfig(reuse_actors=True, num_samples=1, trial_dirname_creator=_name))


@dataclass(frozen=True)
class Search:
    """An adaptive design: how settings become trials, and what is known already.

    template: the flat configuration; seeds: each setting's; known: validation accuracies by trial hash, so that
    finished trials are not run again; start: settings tried first, as Optuna samples them.
    """

    design: str
    sampler_seed: int
    count: int
    space: Space
    template: Flat
    seeds: tuple[int, ...]
    known: Mapping[str, float]
    start: tuple[Mapping[str, float], ...]
    asha: bool
    storage: str
    name: str

    def trials(self, sampled: Mapping[str, Any]) -> list[Trial]:
        """A suggestion as one trial a seed."""
        values = {axis.key: axis.value(sampled[axis.key]) for axis in self.space}
        return [Trial.of({**self.template, **values, "seed": seed}) for seed in self.seeds]


def run_search(search: Search, inputs: Inputs, place: Workplace, sink: Sink) -> None:
    """Let Optuna suggest `count` settings inside Tune, each judged by its mean over the seeds."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    suggest = OptunaSearch(
        Suggest(search.space),
        metric=METRIC,
        mode="max",
        sampler=search_sampler(search.design, search.sampler_seed),
        points_to_evaluate=[dict(point) for point in search.start] or None,
        storage=JournalStorage(JournalFileBackend(search.storage)),
        study_name=search.name,
    )
    scheduler = None
    if search.asha:
        scheduler = tune.schedulers.ASHAScheduler(
            time_attr="rung", metric=METRIC, mode="max", max_t=100, grace_period=25, reduction_factor=2
        )
    config = tune.TuneConfig(
        search_alg=suggest,
        scheduler=scheduler,
        num_samples=search.count,
        max_concurrent_trials=place.resources.max_concurrent or None,
        reuse_actors=True,
        trial_dirname_creator=_name,
    )
    _fit(tune.with_parameters(search_unit, search=search, inputs=inputs, place=place), {}, place, sink, config)


def _fit(work: Any, space: dict[str, Any], place: Workplace, sink: Sink, config: Any) -> None:
    if place.resources.max_concurrent and config.search_alg is None:
        config.max_concurrent_trials = place.resources.max_concurrent
    resources = {"cpu": place.resources.cpus, "gpu": place.resources.gpus}
    # Tune's own records: rows and checkpoints of ours make them needless after the run.
    storage = Path(place.out) / "ray"
    shutil.rmtree(storage, ignore_errors=True)
    tuner = tune.Tuner(
        tune.with_resources(work, resources),
        param_space=space,
        tune_config=config,
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(storage),
            verbose=0,
            callbacks=[Collector(sink)],
            failure_config=tune.FailureConfig(max_failures=RETRIES),
        ),
    )
    results = tuner.fit()
    shutil.rmtree(storage, ignore_errors=True)
    if results.errors:
        raise LostTrialsError(
            f"{len(results.errors)} units were lost after {RETRIES} retries; the first: {results.errors[0]}"
        )


def _name(trial: Any) -> str:
    return str(trial.trial_id)


def reference_on_cluster(splits: Splits, network: Network, device: str) -> Reference:
    """Train the study's reference network on a worker, so that the driver needs no torch."""
    work: Any = ray.remote(num_cpus=1, num_gpus=1 if device == "cuda" else 0)(train_reference)
    reference: Reference = ray.get(work.remote(splits, network, device=device))
    return reference


def fixed_unit(config: dict[str, Any], trials: list[Trial], inputs: Inputs, place: Workplace) -> None:
    """The trainable of a fixed design: one trial, resumed from its checkpoint where there is one."""
    trial, began = trials[config["unit"]], time.time()
    try:
        outcome = _run_resumable(trial, inputs, place)
    except Exception as error:  # noqa: BLE001 - whatever a trial raises must not take its worker down
        outcome = failed(trial, error, began)
    tune.report({METRIC: _metric(outcome), "outcomes": [outcome]})


def search_unit(config: dict[str, Any], search: Search, inputs: Inputs, place: Workplace) -> None:
    """The trainable of a search: a setting's seeds side by side, rung by rung, so that a scheduler can judge them."""
    trials, began = search.trials(config), time.time()
    known = [search.known[trial.hash] for trial in trials if trial.hash in search.known]
    wanted = [trial for trial in trials if trial.hash not in search.known]
    try:
        _set_threads(place)
        runs = [TrialRun(trial, inputs, place.resources.device) for trial in wanted]
        for index in range(len(runs[0].stops) - 1 if runs else 0):
            for run in runs:
                run.advance(run.stops[index])
            rung = round(100 * RUNGS[index])
            tune.report({METRIC: _mean([*known, *(run.interim for run in runs)]), "rung": rung})
        outcomes = []
        for run in runs:
            run.advance(run.stops[-1])
            outcomes.append(run.finish())
    except Exception as error:  # noqa: BLE001 - as above
        outcomes = [failed(trial, error, began) for trial in wanted]
    tune.report({METRIC: _mean([*known, *map(_metric, outcomes)]), "rung": 100, "outcomes": outcomes})


def _run_resumable(trial: Trial, inputs: Inputs, place: Workplace) -> Outcome:
    import torch

    _set_threads(place)
    path, saved = place.checkpoint(trial), time.monotonic()
    state = torch.load(path, weights_only=True) if path is not None and path.exists() else None

    def pause(run: TrialRun) -> None:
        nonlocal saved
        if path is not None and time.monotonic() - saved > CHECKPOINT_SECONDS:
            path.parent.mkdir(exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            torch.save(run.state_dict(), part)
            os.replace(part, path)
            saved = time.monotonic()

    return run_trial(trial, inputs, place.resources.device, state=state, pause=pause)


def failed(trial: Trial, error: Exception, began: float) -> Outcome:
    """What a trial raised, as an outcome with status `error`, so that the study goes on and the row says why."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    measured = {"seconds": time.time() - began, "started": began, "ended": time.time()}
    return Outcome(trial, {"status": "error", "reason": reason[:2000]}, measured=measured)


def _metric(outcome: Outcome) -> float:
    """Mean validation accuracy; 0 for a trial that has none, which is below any that has."""
    mean = validation_mean(outcome.result)
    return mean if mean == mean else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _set_threads(place: Workplace) -> None:
    import torch

    # At every unit: workers are reused, and OpenMP's count belongs to the thread that set it.
    torch.set_num_threads(max(1, int(place.resources.cpus)))
