"""Adaptive designs: what a search has tried becomes settings like those of any other design."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mim4dd.registry import Flat
from mim4dd.seeding import integer
from studies.engine.arms import Setting, changed
from studies.engine.dashboard import STORAGE, opened
from studies.engine.design import Design
from studies.engine.plan import Plan
from studies.engine.runner import Runner
from studies.engine.space import inside

if TYPE_CHECKING:
    from studies.engine.tuning import Search


def search_settings(plan: Plan, design: Design, seeds: tuple[int, ...], runner: Runner) -> tuple[Plan, int]:
    """Let Optuna suggest the settings that are still to come; the plan with all that were tried, and how many are not.

    The default is suggested first, and its finished trials are not run again. A search that was interrupted goes on in
    its own storage with the settings that were running; what it suggests then depends on the order in which trials had
    finished.
    """
    from studies.engine.tuning import Search

    default = next(setting for setting in plan.settings if setting.arm.role == "default")
    template = next(trial.config for trial in plan.trials if trial.hash == default.trials[0])
    journal = runner.journal
    storage = journal.out / STORAGE
    tried = _tried(storage, design)
    known, running = _settle(storage, design)
    search = Search(
        design=design.name,
        sampler_seed=integer("search", design.seed, known) % 2**32,
        # The default is the first suggestion, and none of those that were asked for.
        count=max(0, design.settings + 1 - len(tried)),
        space=plan.space,
        template={key: value for key, value in template.items() if key != "seed"},
        seeds=seeds,
        known={row.trial: row.validation_mean for row in journal.rows.values() if not math.isnan(row.validation_mean)},
        start=running or (() if tried else _start(plan, template)),
        asha=design.asha,
        storage=str(storage),
        name=design.name,
    )
    if search.count:
        runner.search(search)
    tried = _tried(storage, design)
    return _with_tried(plan, search, tried, journal.rows), max(0, design.settings + 1 - len(tried))


def _with_tried(plan: Plan, search: Search, tried: Sequence[dict[str, Any]], rows: Container[str]) -> Plan:
    """The plan with a setting for all that was tried: `stopped` where no seed has a row."""
    default = next(setting.arm for setting in plan.settings if setting.arm.role == "default")
    settings = list(plan.settings)
    for params in tried:
        trials = tuple(trial.hash for trial in search.trials(params))
        if any(setting.trials == trials for setting in settings):
            continue
        knobs = {axis.key: axis.value(params[axis.key]) for axis in plan.space}
        role = "search" if any(trial in rows for trial in trials) else "stopped"
        settings.append(Setting(len(settings), changed(default, role, knobs), trials=trials))
    return replace(plan, settings=tuple(settings))


def _start(plan: Plan, template: Flat) -> tuple[dict[str, float], ...]:
    """The default as Optuna samples it; nothing when `--range` leaves it out."""
    if not inside(plan.space, template):
        return ()
    return ({axis.key: axis.sampled(template[axis.key]) for axis in plan.space},)


def _settle(storage: Path, design: Design) -> tuple[int, tuple[dict[str, float], ...]]:
    """How many trials Optuna knows, and what those tried that a driver left running; these are marked as failed."""
    if not storage.exists():
        return 0, ()
    from optuna.trial import TrialState

    study = opened(storage, design.name)
    running = study.get_trials(states=(TrialState.RUNNING,))
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
    return len(study.trials), tuple(dict(trial.params) for trial in running if trial.params)


def _tried(storage: Path, design: Design) -> list[dict[str, Any]]:
    """The parameters of every setting that the search has an answer for."""
    if not storage.exists():
        return []
    from optuna.trial import TrialState

    return [trial.params for trial in opened(storage, design.name).get_trials(states=(TrialState.COMPLETE,))]
