"""The plan of a study: its settings and their trials."""

from __future__ import annotations

from dataclasses import dataclass

from studies.engine.arms import Factor, Setting
from studies.engine.conditions import CLEAN, Condition
from studies.engine.space import Space
from studies.engine.trial import Trial


@dataclass(frozen=True)
class Plan:
    """The settings of a study and their trials, in the order in which they run.

    conditions: the kinds of training data, the clean data first; factors: what varies besides the arms, training data
    included. notes: lines to print when the study starts, such as perturbations that were left out.
    """

    space: Space
    settings: tuple[Setting, ...]
    trials: tuple[Trial, ...]
    conditions: tuple[Condition, ...] = (CLEAN,)
    factors: tuple[Factor, ...] = ()
    notes: tuple[str, ...] = ()
