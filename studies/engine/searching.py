"""Adaptive designs: the settings that a search has tried are added to the plan."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mim4dd.registry import Flat, Scalar
from mim4dd.seeding import integer
from studies.engine.arms import Setting, changed
from studies.engine.dashboard import STORAGE, describe, open_storage, restored_storage, tried_trial
from studies.engine.design import Design
from studies.engine.plan import Plan
from studies.engine.rows import Row
from studies.engine.runner import Runner
from studies.engine.space import inside, keys_of

if TYPE_CHECKING:
    from studies.engine.tuning.search import Search


def search_settings(
    plan: Plan, design: Design, seeds: tuple[int, ...], question: str, runner: Runner
) -> tuple[Plan, int]:
    """Run the remaining settings of a search. question: the study's, for Optuna's dashboard.

    The default is suggested first; its finished trials are not run again. An interrupted search continues in its own
    storage, with the settings that were running; its further suggestions depend on the order in which trials finished.

    Returns: the plan with every setting that was tried, and the number of settings that were not.
    """
    from studies.engine.tuning.search import Search

    default = next(setting for setting in plan.settings if setting.arm.role == "default")
    template = next(trial.config for trial in plan.trials if trial.hash == default.trials[0])
    journal = runner.journal
    storage = journal.out / STORAGE
    _restore(storage, design, plan, template, seeds, journal.rows)
    tried, first = _tried_params(storage, design), _default_params(plan, template)
    # The default is the first suggestion, in addition to the number of settings requested, if it lies in the space.
    wanted = design.settings + len(first)
    known, running = _end_running(storage, design)
    search = Search(
        design=design.name,
        sampler_seed=integer("search", design.seed, known) % 2**32,
        count=max(0, wanted - len(tried)),
        space=plan.space,
        template={key: value for key, value in template.items() if key != "seed"},
        seeds=seeds,
        known={row.trial: row.validation_mean for row in journal.rows.values() if not math.isnan(row.validation_mean)},
        start=running or (() if tried else first),
        asha=design.asha,
        storage=str(storage),
        name=design.name,
    )
    if search.count:
        describe(open_storage(storage, design.name), question, journal.out)
        runner.search(search)
    tried = _tried_params(storage, design)
    return _with_tried(plan, search, tried, journal.rows), max(0, wanted - len(tried))


def _with_tried(plan: Plan, search: Search, tried: Sequence[dict[str, Any]], rows: Container[str]) -> Plan:
    """The plan with a setting for each that was tried; its role is `stopped` if no seed has a row."""
    default = next(setting.arm for setting in plan.settings if setting.arm.role == "default")
    settings = list(plan.settings)
    for params in tried:
        trials = tuple(trial.hash for trial in search.trials(params))
        if any(setting.trials == trials for setting in settings):
            continue
        knobs = search.knobs(params)
        role = "search" if any(trial in rows for trial in trials) else "stopped"
        settings.append(Setting(len(settings), changed(default, role, knobs), trials=trials))
    return replace(plan, settings=tuple(settings))


def _restore(
    storage: Path, design: Design, plan: Plan, template: Flat, seeds: tuple[int, ...], rows: Mapping[str, Row]
) -> None:
    """Make a storage that cannot be read again, with the settings whose seeds all have rows."""
    if not storage.exists():
        return
    study, was_damaged = restored_storage(storage, design.name, plan.space)
    if was_damaged:
        for knobs, of_seeds in _settings_of(rows.values(), plan, template, seeds):
            # As the search scores a trial without an accuracy.
            scores = [0.0 if math.isnan(row.validation_mean) else row.validation_mean for row in of_seeds]
            study.add_trial(tried_trial(plan.space, knobs, sum(scores) / len(scores), of_seeds, {}))


def _settings_of(
    rows: Iterable[Row], plan: Plan, template: Flat, seeds: tuple[int, ...]
) -> Iterator[tuple[Flat, list[Row]]]:
    """The knobs of the settings in the space whose seeds all have rows, each with its rows."""
    varied = keys_of(plan.space)
    found: dict[tuple[Scalar, ...], dict[Scalar, Row]] = {}
    for row in rows:
        config = row.config
        knobs = {key: config[key] for key in varied if key in config}
        if config == {**template, **knobs, "seed": config.get("seed", "")} and inside(plan.space, config):
            found.setdefault(tuple(knobs.values()), {})[config["seed"]] = row
    for values, of_seeds in found.items():
        if set(seeds) <= set(of_seeds):
            yield dict(zip(varied, values, strict=True)), [of_seeds[seed] for seed in seeds]


def _default_params(plan: Plan, template: Flat) -> tuple[Flat, ...]:
    """The default as Optuna parameters; empty if it lies outside the space."""
    if not inside(plan.space, template):
        return ()
    return ({axis.key: template[axis.key] for axis in plan.space},)


def _end_running(storage: Path, design: Design) -> tuple[int, tuple[Flat, ...]]:
    """Mark the trials that an earlier driver left running as failed; returns the number of all trials, and
    the parameters of those marked."""
    if not storage.exists():
        return 0, ()
    from optuna.trial import TrialState

    study = open_storage(storage, design.name)
    running = study.get_trials(states=(TrialState.RUNNING,))
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
    return len(study.trials), tuple(dict(trial.params) for trial in running if trial.params)


def _tried_params(storage: Path, design: Design) -> list[dict[str, Any]]:
    """The Optuna parameters of every setting that the search has completed."""
    if not storage.exists():
        return []
    from optuna.trial import TrialState

    return [trial.params for trial in open_storage(storage, design.name).get_trials(states=(TrialState.COMPLETE,))]
