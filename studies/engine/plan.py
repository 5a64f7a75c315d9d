"""The plan of a study: its settings and their trials."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from mim4dd.registry import name_of, unflatten
from studies.engine.arms import Factor, Setting
from studies.engine.conditions import CLEAN, Condition
from studies.engine.rows import Row
from studies.engine.sizes import Size
from studies.engine.space import Space
from studies.engine.trial import Trial


def shipped(plan: Plan) -> dict[str, Any]:
    """What workers are sent of a plan besides records: perturbations, and what methods prepare, by what it is."""
    made: dict[str, Any] = {}
    for condition in plan.conditions:
        made |= {f"perturbation {name_of(each)}": each for each in condition.perturbations}
    for trial in plan.trials:
        if "method" not in trial.config:
            continue  # it scores a set
        method = unflatten(METHODS, trial.config, "method")
        made.setdefault(f"what method {name_of(method)} prepares", method.preparation)
    return made


@dataclass(frozen=True)
class Plan:
    """The settings of a study and their trials, in the order in which they run.

    conditions: the kinds of training data, the clean data first; factors: what varies besides the arms, training data
    included. notes: lines to print when the study starts, such as perturbations that were left out.
    second_stage: the whole plan by the rows of these trials, None while some are missing; a plan without it is whole.
    growth: the most trials that the second stage adds. size: of the data, once they are read; forecasts follow it.
    Raises: InputError for two levels of one name.
    """

    space: Space
    settings: tuple[Setting, ...]
    trials: tuple[Trial, ...]
    conditions: tuple[Condition, ...] = (CLEAN,)
    factors: tuple[Factor, ...] = ()
    notes: tuple[str, ...] = ()
    second_stage: Callable[[Mapping[str, Row]], Plan | None] | None = None
    growth: int = 0
    size: Size | None = None

    def __post_init__(self) -> None:
        for factor in self.factors:
            labels = [level.label for level in factor.levels]
            if twice := next((label for label in labels if labels.count(label) > 1), None):
                raise InputError(
                    f"two levels of {factor.name} have one name, {twice}: leave one out, or give values further apart"
                )

    def grown(self, rows: Mapping[str, Row]) -> Plan:
        """The whole plan, or this one while rows are missing that decide what else runs."""
        whole = self.second_stage and self.second_stage(rows)
        return replace(whole, size=self.size) if whole else self

    def on_seeds(self, arms: Container[str], seeds: Sequence[int]) -> Plan:
        """The plan with these arms, by their keys, on all of these seeds, of which they have the first ones."""
        trials = {trial.hash: trial for trial in self.trials}
        settings = []
        for setting in self.settings:
            if setting.arm.key in arms:
                config = trials[setting.trials[0]].config
                added = [Trial.of({**config, "seed": seed}) for seed in seeds[len(setting.trials) :]]
                trials |= {trial.hash: trial for trial in added}
                setting = replace(setting, trials=(*setting.trials, *(trial.hash for trial in added)))
            settings.append(setting)
        return replace(self, settings=tuple(settings), trials=tuple(trials.values()))
