"""Running fixed designs and searches in Ray Tune, without its own records: rows and checkpoints replace these."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from cluster import ClusterLost
from studies.engine.design import BY_SEED, search_sampler
from studies.engine.runs import Work
from studies.engine.space import Suggest
from studies.engine.trial import Inputs, Trial
from studies.engine.tuning.cache import start_cache
from studies.engine.tuning.context import METRIC, ExecutionContext, Resources
from studies.engine.tuning.feeding import RETRIES, Collector, Feed, Feeder, InterruptedFit, NoRoom, Sink, Told
from studies.engine.tuning.monitor import start_monitor
from studies.engine.tuning.scratch import scratch_folder
from studies.engine.tuning.search import Search
from studies.engine.tuning.units import fixed_unit, search_unit, trial_of


def open_context(
    resources: Resources, inputs: Inputs, out: Path, *, checkpoint_seconds: float, silence_seconds: float, work: Work
) -> ExecutionContext:
    """Put the inputs into the object store and start the monitor and the cache."""
    monitor, cache = start_monitor(out, silence_seconds), start_cache(out)
    return ExecutionContext(resources, ray.put(inputs), monitor, cache, checkpoint_seconds, work)


def run_fixed(
    trials: Sequence[Trial], context: ExecutionContext, sink: Sink, told: Told, interrupted: Callable[[], bool]
) -> bool:
    """Run each trial once, started in this order as workers become free; returns False if interrupted.

    interrupted: returns whether the study has received a signal to stop.
    Raises: StorageError when the study folder cannot be written; ClusterLost when Ray is lost.
    """
    feed = Feed(trials, context.resources.at_once)
    work = tune.with_parameters(fixed_unit, context=context)
    completed = True
    while feed.waiting and completed:
        feed.start_chunk()
        config = tune.TuneConfig(search_alg=Feeder(feed), num_samples=-1)
        collector = Collector(context.monitor, sink, told, interrupted, lambda config: [trial_of(config)], feed)
        completed = _fit(work, config, collector, context.resources, retries=0)
    return completed


def run_search(
    search: Search, context: ExecutionContext, sink: Sink, told: Told, interrupted: Callable[[], bool]
) -> bool:
    """Let Optuna suggest `count` settings, each scored by its mean over the seeds; returns False if interrupted.

    Raises: StorageError when the study folder cannot be written; ClusterLost when Ray is lost.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    suggest = Suggestions(
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
        max_concurrent_trials=context.resources.at_once or None,
    )
    work = tune.with_parameters(search_unit, search=search, context=context)
    collector = Collector(context.monitor, sink, told, interrupted, search.unknown)
    return _fit(work, config, collector, context.resources, retries=RETRIES)


class Suggestions(OptunaSearch):
    """Optuna's suggestions; tells Optuna the accuracy of each seed of a setting beside their mean."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if result and BY_SEED in result and trial_id not in self._completed_trials:
            self._ot_trials[trial_id].set_user_attr(BY_SEED, dict(result[BY_SEED]))
        super().on_trial_complete(trial_id, result, error)


def _fit(work: Any, config: Any, collector: Collector, resources: Resources, *, retries: int) -> bool:
    """One run of Tune; returns False if interrupted."""
    config.reuse_actors, config.trial_dirname_creator = True, _directory_name
    # Let as many trials wait for a worker as there can be workers; by default Tune starts a searcher's one by one.
    slots = max(1, int(ray.cluster_resources().get("CPU", 1) / resources.cpus))
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(min(slots, resources.at_once or slots))
    room = NoRoom(collector, lambda: _bundles(resources))
    with scratch_folder() as storage:
        tuner = tune.Tuner(
            tune.with_resources(work, tune.PlacementGroupFactory(room.asked, strategy="STRICT_PACK")),
            tune_config=config,
            run_config=tune.RunConfig(
                name="trials",
                storage_path=str(storage),
                verbose=0,
                callbacks=[collector],
                stop=room,
                failure_config=tune.FailureConfig(max_failures=retries),
            ),
        )
        try:
            tuner.fit()
            collector.raise_storage_error()
        except InterruptedFit:
            return False
        except ray.exceptions.RayError as error:
            raise lost_by(error) from error
    return True


def _bundles(resources: Resources) -> list[dict[str, float]]:
    """What a unit reserves on its node: what its worker uses, and for an exclusive one all other CPUs of the node.

    As many CPUs as the largest node has are free only where nothing else runs.
    """
    worker = {"CPU": resources.cpus, "GPU": resources.gpus}
    if not resources.exclusive:
        return [worker]
    nodes = (node["Resources"] for node in ray.nodes() if node["Alive"])
    sizes = (node.get("CPU", 0.0) for node in nodes if node.get("GPU", 0.0) >= resources.gpus)
    largest = max(sizes, default=0.0)
    rest = round(largest - resources.cpus, 4)  # Ray's finest fraction
    # Apart from the worker's, which Ray and the libraries take for the number of threads.
    return [worker, {"CPU": rest}] if rest > 0 else [worker]


def _directory_name(trial: Any) -> str:
    return str(trial.trial_id)


def lost_by(error: Exception) -> ClusterLost:
    """Ray's error in what every trial needs as one line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ClusterLost(f"Ray was lost: {first[:200]}")
