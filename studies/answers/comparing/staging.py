"""Two stages of a design: every setting runs on the first seeds, and the best of them on the others, which judge it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from studies.answers.metrics import METRICS
from studies.engine.arms import Setting
from studies.engine.plan import Plan
from studies.engine.rows import Array, Row
from studies.engine.statistics.selection import best_setting

CHOSEN_BY = "validation"  # the metric that all choices read; what is stated is measured on test


def best_on_all_seeds(
    plan: Plan, seeds: Sequence[int], first: int, group: Callable[[Setting], Hashable], rows: Mapping[str, Row]
) -> Plan | None:
    """The plan with the best setting of each group on every seed, chosen by the first; None while a row is missing.

    group: what a setting is compared within, None for one that is not chosen from; of ties the first setting is chosen.
    What is best at one level of a factor runs at all of them.
    """
    groups: dict[Hashable, list[Setting]] = {}
    for setting in plan.settings:
        if (key := group(setting)) is not None:
            groups.setdefault(key, []).append(setting)
    if any(trial not in rows for tried in groups.values() for setting in tried for trial in setting.trials[:first]):
        return None
    best = set()
    for tried in groups.values():
        chosen = best_setting(accuracies([[rows[trial] for trial in one.trials[:first]] for one in tried]))
        best |= {tried[chosen].arm.key} if chosen is not None else set()
    return plan.on_seeds(best, seeds)


def accuracies(rows: Sequence[Sequence[Row]]) -> Array:
    """The validation accuracies of settings on some seeds, NaN where a set has none, [settings, seeds, networks]."""
    scores = [[METRICS[CHOSEN_BY].scores(row) for row in of_setting] for of_setting in rows]
    networks = max((len(one) for of_setting in scores for one in of_setting), default=0) or 1
    values = np.full((len(rows), len(rows[0]), networks), np.nan)
    for i, of_setting in enumerate(scores):
        for j, one in enumerate(of_setting):
            values[i, j, : len(one)] = one
    return values
