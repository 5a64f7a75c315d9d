"""The one decision rule: three tests for each contrast, each Holm-adjusted over the contrast's family.

A contrast consists of paired differences (synthetic sets of the same seed) and a margin. Tests: *difference* (two-sided
paired t), *negligible* (two one-sided tests against -margin and +margin; the larger p), *beyond* (one-sided, the
absolute mean against the margin). Intervals are pointwise; decisions follow the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .intervals import Interval, holm, mean_interval

LEVEL = 0.05
POWER = 0.8
# With fewer pairs every contrast is undecided: a t interval of 4 is three to four times as wide as one of 20.
FEWEST_PAIRS = 5
# The largest forecast of a number of pairs: more than anyone would run.
MOST_PAIRS = 10_000
MARGIN = 0.005  # half a point of accuracy: less is of no use to anyone, whatever its sign


class Decision(StrEnum):
    """The conclusion from a contrast's tests."""

    GAIN = "gain"
    LOSS = "loss"
    NEGLIGIBLE = "negligible"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Tested:
    """The tests of one contrast: mean difference with its pointwise 95 % t interval, and the three raw p-values.

    The p-values are None if the contrast cannot be tested (why_not): fewer than FEWEST_PAIRS pairs, pairs that have no
    row yet, or differences that are all equal but not 0.
    """

    interval: Interval
    sd: float | None
    margin: float
    difference: float | None
    negligible: float | None
    beyond: float | None
    why_not: str = ""

    @property
    def t(self) -> float | None:
        """The t statistic; None without spread."""
        if self.interval.mean is None or not self.sd:
            return None
        return self.interval.mean / (self.sd / math.sqrt(self.interval.n))


@dataclass(frozen=True)
class Judged:
    """A contrast within its family: adjusted p-values, the decision, and the number of pairs needed to decide.

    size: of a gain or loss: `beyond` the margin, `below` it, or "" if neither is shown. needed: the fewest and the most
    pairs, from the ends of the effect's interval; the most is None if the interval contains 0. needed is None if the
    contrast is decided or |t| < 1.
    """

    tested: Tested
    family: str
    family_size: int
    difference: float | None
    negligible: float | None
    beyond: float | None
    decision: Decision
    size: str
    needed: tuple[int, int | None] | None

    @property
    def interval(self) -> Interval:
        return self.tested.interval

    @property
    def decided(self) -> bool:
        return self.decision is not Decision.UNDECIDED


def three_tests(differences: ArrayLike, *, margin: float = MARGIN, absent: int = 0) -> Tested:
    """The three tests of the finite differences.

    absent: the number of pairs without a row; if it is not 0, nothing is tested, since n is fixed by the plan.
    Shapes: differences [n], NaN for a lost pair. Units: margin in those of the differences.
    """
    planned = np.asarray(differences, dtype=float).ravel()
    values = planned[np.isfinite(planned)]
    interval, n = mean_interval(values), len(values)
    sd = float(values.std(ddof=1)) if n > 1 else None
    if absent:
        return Tested(interval, sd, margin, None, None, None, f"{absent} of {len(planned)} pairs have not run yet")
    if n < FEWEST_PAIRS:
        few = f"{n} pair{' is' if n == 1 else 's are'} too few to decide"
        return Tested(interval, sd, margin, None, None, None, few)
    mean = float(values.mean())
    assert sd is not None
    if sd <= 1e-12:
        if abs(mean) > 1e-12:
            return Tested(interval, sd, margin, None, None, None, "every pair differs by the same amount")
        return Tested(interval, sd, margin, 1.0, 0.0 if margin > 0 else 1.0, 1.0)
    se = sd / math.sqrt(n)

    def upper(excess: float) -> float:
        return float(stats.t.sf(excess / se, n - 1))

    return Tested(
        interval,
        sd,
        margin,
        difference=2 * upper(abs(mean)),
        negligible=upper(margin - abs(mean)),
        beyond=upper(abs(mean) - margin),
    )


def judge(family: str, contrasts: Sequence[Tested]) -> list[Judged]:
    """Decide a family, each test adjusted by Holm over all its contrasts, including those that cannot be tested."""
    kinds = ("difference", "negligible", "beyond")
    adjusted = [_adjusted([getattr(contrast, kind) for contrast in contrasts]) for kind in kinds]
    return [
        _judged(contrast, family, len(contrasts), *(column[i] for column in adjusted))
        for i, contrast in enumerate(contrasts)
    ]


def _adjusted(pvalues: Sequence[float | None]) -> list[float | None]:
    adjusted = holm([1.0 if raw is None else raw for raw in pvalues])
    return [None if raw is None else value for raw, value in zip(pvalues, adjusted, strict=True)]


def _judged(
    contrast: Tested,
    family: str,
    family_size: int,
    difference: float | None,
    negligible: float | None,
    beyond: float | None,
) -> Judged:
    differs, alike, large = (p is not None and p < LEVEL for p in (difference, negligible, beyond))
    size = ""
    if differs:
        decision = Decision.GAIN if (contrast.interval.mean or 0.0) > 0 else Decision.LOSS
        size = "beyond" if large else "below" if alike else ""
    else:
        decision = Decision.NEGLIGIBLE if alike else Decision.UNDECIDED
    needed = pairs_needed(contrast, LEVEL / family_size) if decision is Decision.UNDECIDED else None
    return Judged(contrast, family, family_size, difference, negligible, beyond, decision, size, needed)


def pairs_needed(contrast: Tested, level: float) -> tuple[int, int | None] | None:
    """The fewest and the most pairs that show the difference at power .8, for effects at the ends of its interval.

    The standard deviation is taken as it is. level: of the test, the family's strictest step of Holm. None where
    |t| < 1 or there is no spread.
    """
    t, interval = contrast.t, contrast.interval
    if t is None or abs(t) < 1 or interval.low is None or interval.high is None or not contrast.sd:
        return None
    far = max(abs(interval.low), abs(interval.high)) / contrast.sd
    near = 0.0 if interval.low <= 0 <= interval.high else min(abs(interval.low), abs(interval.high)) / contrast.sd
    fewest, most = pairs_for(far, level), pairs_for(near, level)
    if fewest is None:
        return None
    # Undecided with n pairs, it needs at least n + 1.
    return max(fewest, interval.n + 1), None if most is None else max(most, interval.n + 1)


def pairs_for(effect: float, level: float, power: float = POWER) -> int | None:
    """The fewest pairs, at least FEWEST_PAIRS, for a two-sided paired t test of this power; None above MOST_PAIRS.

    effect: mean over standard deviation. Source: the noncentral t distribution.
    """

    def enough(n: int) -> bool:
        bound = stats.t.isf(level / 2, n - 1)
        return bool(stats.nct.sf(bound, n - 1, effect * math.sqrt(n)) >= power)

    if effect <= 0 or not enough(MOST_PAIRS):
        return None
    low, high = FEWEST_PAIRS - 1, MOST_PAIRS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
