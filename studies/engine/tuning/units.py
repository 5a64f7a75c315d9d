"""The functions that run on workers: a trial, or the seeds of a setting, with checkpoints at the monitor.

They catch what a trial raises and report it as an outcome: on an exception, Tune would end the worker.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from ray import tune

from mim4dd.pulse import heard_by
from studies.engine.running import begin
from studies.engine.trial import RUNGS, Outcome, Trial, failed, validation_mean
from studies.engine.tuning.context import METRIC, ExecutionContext
from studies.engine.tuning.monitor import this_worker
from studies.engine.tuning.search import Search
from studies.engine.tuning.session import WorkerSession
from studies.engine.tuning.sharing import set_up, shared_inputs


def trial_of(config: dict[str, Any]) -> Trial:
    """The trial in the Tune config of a `Feeder`."""
    return Trial.of(json.loads(config["trial"]))


def fixed_unit(config: dict[str, Any], context: ExecutionContext) -> None:
    """The trainable of a fixed design: one trial, resumed from the checkpoint of an earlier attempt."""
    trial, began = trial_of(config), time.time()
    session = WorkerSession([trial], context, this_worker())
    try:
        inputs = shared_inputs(context, session)  # before torch is imported: what it asks for is made meanwhile
        set_up(context.resources.threads)
        with heard_by(session.beat):
            outcome = context.work(trial, inputs, context.resources.device, session.saved(trial), session)
    except Exception as error:  # noqa: BLE001 - whatever a trial raises must not take its worker down
        outcome = failed(trial, error, began)
    session.end()
    tune.report({METRIC: metric(outcome), "outcomes": [outcome]})


def search_unit(config: dict[str, Any], search: Search, context: ExecutionContext) -> None:
    """The trainable of a search: a setting's seeds together, rung by rung, so that a scheduler can stop the setting."""
    trials, began = search.unknown(config), time.time()
    known = [search.known[trial.hash] for trial in search.trials(config) if trial.hash in search.known]
    outcomes: list[Outcome] = []
    session = WorkerSession(trials, context, this_worker())
    try:
        inputs, device = shared_inputs(context, session), context.resources.device
        set_up(context.resources.threads)
        with heard_by(session.beat):
            runs = [begin(trial, inputs, device, session.saved(trial)) for trial in trials]
            for index in range(len(runs[0].stops) - 1 if runs else 0):
                for run in runs:
                    run.advance(run.stops[index], session)
                rung = round(100 * RUNGS[index])
                tune.report({METRIC: mean([*known, *(run.interim for run in runs)]), "rung": rung})
            for run in runs:
                run.advance(run.stops[-1], session)
                outcomes.append(run.finish(session))
    except Exception as error:  # noqa: BLE001 - as above
        outcomes += [failed(trial, error, began) for trial in trials[len(outcomes) :]]
    session.end()
    tune.report({METRIC: mean([*known, *map(metric, outcomes)]), "rung": 100, "outcomes": outcomes})


def metric(outcome: Outcome) -> float:
    """Mean validation accuracy; 0 for a trial without one, so that it is worst."""
    accuracy = validation_mean(outcome.result)
    return accuracy if accuracy == accuracy else 0.0


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)
