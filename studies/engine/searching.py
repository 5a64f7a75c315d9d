"""Adaptive designs: what a search has tried becomes settings like those of any other design."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mim4dd.registry import Flat
from mim4dd.seeding import integer
from studies.engine.asked import Design
from studies.engine.dashboard import STORAGE, opened
from studies.engine.design import Setting
from studies.engine.journal import Journal
from studies.engine.space import inside
from studies.engine.trial import validation_mean

if TYPE_CHECKING:
    from studies.engine.study import Plan
    from studies.engine.tuning import Sink, Studio


def search_settings(
    plan: Plan,
    design: Design,
    seeds: tuple[int, ...],
    journal: Journal,
    studio: Studio,
    sink: Sink,
    interrupted: Callable[[], bool],
) -> tuple[Plan, int]:
    """Let Optuna suggest the settings that are still to come; the plan with all that were tried, and how many are not.

    The default is suggested first, and its finished trials are not run again. A search that was interrupted goes on in
    its own storage with the settings that were running; what it suggests then depends on the order in which trials had
    finished.
    """
    from studies.engine.tuning import Search, run_search

    default = next(setting for setting in plan.settings if setting.role == "default")
    template = next(trial.config for trial in plan.trials if trial.hash == default.trials[0])
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
        known={hash_: validation_mean(row["result"]) for hash_, row in journal.rows.items() if _accurate(row)},
        start=running or (() if tried else _start(plan, template)),
        asha=design.asha,
        storage=str(storage),
        name=design.name,
    )
    if search.count:
        run_search(search, studio, sink, interrupted)
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


def _accurate(row: dict[str, Any]) -> bool:
    return not math.isnan(validation_mean(row["result"]))


def _tried(storage: Path, design: Design) -> list[dict[str, Any]]:
    """The parameters of every setting that the search has an answer for."""
    if not storage.exists():
        return []
    from optuna.trial import TrialState

    return [trial.params for trial in opened(storage, design.name).get_trials(states=(TrialState.COMPLETE,))]
