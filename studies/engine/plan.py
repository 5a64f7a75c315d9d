"""The plan of a study: its settings and every trial that they need."""

from __future__ import annotations

from dataclasses import dataclass

from studies.engine.arms import Factor, Setting
from studies.engine.conditions import CLEAN, Condition
from studies.engine.space import Space
from studies.engine.trial import Trial


@dataclass(frozen=True)
class Plan:
    """The settings of a study and every trial they need, in the order in which they are run.

    conditions: the training data, the clean ones first; factors: what varies besides the arms, those among it. notes:
    what a reader of its log must know, such as kinds that were left out.
    """

    space: Space
    settings: tuple[Setting, ...]
    trials: tuple[Trial, ...]
    conditions: tuple[Condition, ...] = (CLEAN,)
    factors: tuple[Factor, ...] = ()
    notes: tuple[str, ...] = ()
