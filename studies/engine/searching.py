"""Adaptive designs: what a search has tried becomes settings like those of any other design."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from studies.engine.design import Setting
from studies.engine.journal import Journal
from studies.engine.options import Options
from studies.engine.trial import Inputs, validation_mean

if TYPE_CHECKING:
    from studies.engine.study import Plan
    from studies.engine.tuner import Sink, Workplace


def search_settings(
    plan: Plan, options: Options, journal: Journal, inputs: Inputs, place: Workplace, sink: Sink
) -> Plan:
    """Let Optuna suggest the settings that are still to come, and return the plan with all that were tried.

    The default is suggested first, and its finished trials are not run again. A search that was interrupted goes on in
    its own storage; what it suggests then depends on the order in which trials had finished.
    """
    from studies.engine.tuner import Search, run_search

    default = next(setting for setting in plan.settings if setting.role == "default")
    template = next(trial.config for trial in plan.trials if trial.hash == default.trials[0])
    storage = journal.out / "optuna.journal"
    tried = _tried(storage, options)
    search = Search(
        design=options.design,
        count=max(0, options.settings - len(tried)),
        space=plan.space,
        template={key: value for key, value in template.items() if key != "seed"},
        seeds=options.seeds,
        known={hash_: validation_mean(row["result"]) for hash_, row in journal.rows.items() if _accurate(row)},
        start=() if tried else ({axis.key: axis.sampled(template[axis.key]) for axis in plan.space},),
        asha=options.asha,
        storage=str(storage),
        name=options.design,
    )
    if search.count:
        run_search(search, inputs, place, sink)
    settings = list(plan.settings)
    for params in _tried(storage, options):
        trials = search.trials(params)
        if any(setting.trials == tuple(trial.hash for trial in trials) for setting in settings):
            continue
        knobs = {axis.key: axis.value(params[axis.key]) for axis in plan.space}
        role = "search" if any(trial.hash in journal.rows for trial in trials) else "stopped"
        settings.append(Setting(len(settings), role, knobs, None, tuple(trial.hash for trial in trials)))
    return replace(plan, settings=tuple(settings))


def _accurate(row: dict[str, Any]) -> bool:
    return bool(row["result"].get("validation_accuracy"))


def _tried(storage: Any, options: Options) -> list[dict[str, Any]]:
    """The parameters of every setting that the search has an answer for."""
    if not storage.exists():
        return []
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    study = optuna.load_study(study_name=options.design, storage=JournalStorage(JournalFileBackend(str(storage))))
    return [trial.params for trial in study.get_trials(states=(TrialState.COMPLETE,))]
