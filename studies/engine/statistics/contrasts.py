"""The one rule that decides: three tests a contrast, each Holm-adjusted over the contrast's family.

A contrast is a list of differences of sets of one seed, with a margin. Tests: *difference* (two-sided paired t),
*negligible* (two one-sided tests against -margin and +margin; the larger p), *beyond* (one-sided, the mean's size
against the margin). Intervals are pointwise; words follow the tests.
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
# Fewer pairs decide nothing: a t interval of four is three to four times as wide as that of twenty.
FEWEST_PAIRS = 5
# Nobody runs more pairs, and a forecast beyond is worth nothing.
MOST_PAIRS = 10_000
MARGIN = 0.005  # half a point of accuracy: less is of no use to anyone, whatever its sign


class Decision(StrEnum):
    """What a contrast's tests say."""

    GAIN = "gain"
    LOSS = "loss"
    NEGLIGIBLE = "negligible"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Tested:
    """The differences of one contrast: mean, pointwise 95 % t interval, and the three raw p-values.

    p-values are None where nothing can be tested: fewer than FEWEST_PAIRS pairs, pairs that still have no row, or
    differences without spread that are not all 0.
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
    """A contrast in its family: adjusted p-values, the decision, and how many pairs would decide.

    size: with a gain or loss, `beyond` the margin or `below` it, or "" where neither is shown. needed: the fewest and
    the most pairs from the ends of the effect's interval, the most None where an end is 0 or has the other sign;
    None altogether where it is decided or |t| < 1.
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

    absent: how many of the pairs still have no row: a decision is made at the planned n alone.
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
    """Decide a family, each test adjusted by Holm over it; a contrast that cannot be tested counts in its size."""
    adjusted = [_adjusted([getattr(one, kind) for one in contrasts]) for kind in ("difference", "negligible", "beyond")]
    return [
        _judged(one, family, len(contrasts), *(column[i] for column in adjusted)) for i, one in enumerate(contrasts)
    ]


def _adjusted(p: Sequence[float | None]) -> list[float | None]:
    found = holm([1.0 if value is None else value for value in p])
    return [None if value is None else one for value, one in zip(p, found, strict=True)]


def _judged(
    one: Tested, family: str, size: int, difference: float | None, negligible: float | None, beyond: float | None
) -> Judged:
    differs, alike, large = (p is not None and p < LEVEL for p in (difference, negligible, beyond))
    told = ""
    if differs:
        decision = Decision.GAIN if (one.interval.mean or 0.0) > 0 else Decision.LOSS
        told = "beyond" if large else "below" if alike else ""
    else:
        decision = Decision.NEGLIGIBLE if alike else Decision.UNDECIDED
    needed = pairs_needed(one, LEVEL / size) if decision is Decision.UNDECIDED else None
    return Judged(one, family, size, difference, negligible, beyond, decision, told, needed)


def pairs_needed(one: Tested, level: float) -> tuple[int, int | None] | None:
    """How many pairs would show the difference at power .8, were its spread to stay: from the ends of its interval.

    level: of the test, the family's strictest step of Holm. None where |t| < 1 or nothing has a spread.
    """
    t, interval = one.t, one.interval
    if t is None or abs(t) < 1 or interval.low is None or interval.high is None or not one.sd:
        return None
    far = max(abs(interval.low), abs(interval.high)) / one.sd
    near = 0.0 if interval.low <= 0 <= interval.high else min(abs(interval.low), abs(interval.high)) / one.sd
    fewest, most = pairs_for(far, level), pairs_for(near, level)
    if fewest is None:
        return None
    # What has not decided at n needs one more at least.
    return max(fewest, interval.n + 1), None if most is None else max(most, interval.n + 1)


def pairs_for(effect: float, level: float, power: float = POWER) -> int | None:
    """The fewest pairs, FEWEST_PAIRS at least, whose two-sided paired t test has the power; None beyond MOST_PAIRS.

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
