"""Adaptive designs: what a search has tried becomes settings like those of any other design."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mim4dd.errors import InputError
from mim4dd.registry import Flat
from mim4dd.seeding import integer
from studies.engine.asked import Design
from studies.engine.design import Setting
from studies.engine.journal import Journal
from studies.engine.trial import Inputs, validation_mean

if TYPE_CHECKING:
    from optuna import Study

    from studies.engine.study import Plan
    from studies.engine.tuner import Sink, Workplace


def search_settings(
    plan: Plan, design: Design, seeds: tuple[int, ...], journal: Journal, inputs: Inputs, place: Workplace, sink: Sink
) -> tuple[Plan, int]:
    """Let Optuna suggest the settings that are still to come; the plan with all that were tried, and how many are not.

    The default is suggested first, and its finished trials are not run again. A search that was interrupted goes on in
    its own storage; what it suggests then depends on the order in which trials had finished.
    """
    from studies.engine.tuner import Search, run_search

    default = next(setting for setting in plan.settings if setting.role == "default")
    template = next(trial.config for trial in plan.trials if trial.hash == default.trials[0])
    storage = journal.out / "optuna.journal"
    tried = _tried(storage, design)
    search = Search(
        design=design.name,
        sampler_seed=integer("search", design.seed, _settle(storage, design)) % 2**32,
        # The default is the first suggestion, and none of those that were asked for.
        count=max(0, design.settings + 1 - len(tried)),
        space=plan.space,
        template={key: value for key, value in template.items() if key != "seed"},
        seeds=seeds,
        known={hash_: validation_mean(row["result"]) for hash_, row in journal.rows.items() if _accurate(row)},
        start=() if tried else _start(plan, template),
        asha=design.asha,
        storage=str(storage),
        name=design.name,
    )
    if search.count:
        run_search(search, inputs, place, sink)
    settings = list(plan.settings)
    tried = _tried(storage, design)
    for params in tried:
        trials = search.trials(params)
        if any(setting.trials == tuple(trial.hash for trial in trials) for setting in settings):
            continue
        knobs = {axis.key: axis.value(params[axis.key]) for axis in plan.space}
        role = "search" if any(trial.hash in journal.rows for trial in trials) else "stopped"
        settings.append(Setting(len(settings), role, knobs, None, tuple(trial.hash for trial in trials)))
    return replace(plan, settings=tuple(settings)), max(0, design.settings + 1 - len(tried))


def _start(plan: Plan, template: Flat) -> tuple[dict[str, float], ...]:
    """The default as Optuna samples it; nothing when `--range` leaves it out."""
    try:
        places = [axis.unit(template[axis.key]) for axis in plan.space]
    except InputError:
        return ()
    if not all(-1e-9 <= place <= 1 + 1e-9 for place in places):
        return ()
    return ({axis.key: axis.sampled(template[axis.key]) for axis in plan.space},)


def _settle(storage: Path, design: Design) -> int:
    """How many trials Optuna knows; those that a killed driver left running are marked as failed."""
    if not storage.exists():
        return 0
    from optuna.trial import TrialState

    study = _study(storage, design)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return len(study.trials)


def _accurate(row: dict[str, Any]) -> bool:
    return not math.isnan(validation_mean(row["result"]))


def _tried(storage: Path, design: Design) -> list[dict[str, Any]]:
    """The parameters of every setting that the search has an answer for."""
    if not storage.exists():
        return []
    from optuna.trial import TrialState

    return [trial.params for trial in _study(storage, design).get_trials(states=(TrialState.COMPLETE,))]


def _study(storage: Path, design: Design) -> Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.load_study(study_name=design.name, storage=JournalStorage(JournalFileBackend(str(storage))))
