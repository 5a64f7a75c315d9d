"""Two stages of a design: every setting runs on the first seeds, and the best of them on the others, which judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from studies.answers.metrics import METRICS
from studies.engine.plan import Plan
from studies.engine.rows import Array, Row
from studies.engine.statistics.selection import best_setting

CHOSEN_BY = "validation"  # the metric that all choices read; what is stated is measured on test
# In the order of an analysis, which breaks ties in the same way.
TRIED = ("default", "variant", "design")


def best_on_all_seeds(plan: Plan, seeds: Sequence[int], first: int, rows: Mapping[str, Row]) -> Plan | None:
    """The plan with the best setting on every seed, chosen by the first ones; None while a row of these is missing.

    Where the training data vary, each kind chooses its own best setting, and every one of them runs on all kinds.
    """
    tried = sorted((one for one in plan.settings if one.arm.role in TRIED), key=lambda one: TRIED.index(one.arm.role))
    if any(trial not in rows for setting in tried for trial in setting.trials[:first]):
        return None
    best = set()
    for levels in {tuple(setting.levels.items()) for setting in tried}:
        compared = [setting for setting in tried if tuple(setting.levels.items()) == levels]
        chosen = best_setting(accuracies([[rows[trial] for trial in one.trials[:first]] for one in compared]))
        best |= {compared[chosen].arm.key} if chosen is not None else set()
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
