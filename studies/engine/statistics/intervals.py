"""Intervals for few repetitions: means, paired differences, P(A > B); Holm's correction.

t intervals at every n: percentile bootstraps over 3, 5, 10 values have a coverage of 74, 85, 89 % instead of 95.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A mean of n values with its interval; the bounds are None if n < 2, the mean if n is 0."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class PairedInterval(Interval):
    """An interval of differences over n complete pairs; `lost` pairs had a missing value."""

    lost: int


@dataclass(frozen=True)
class Improvement:
    """P(A > B) + P(A = B) / 2 over n complete pairs; the bounds are None if every pair is a tie."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    ties: int
    lost: int


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """The mean of the finite values with its t interval.

    Shapes: values [n], NaN for a missing one; the interval's n is the number of finite values.
    Raises: ValueError if level is outside (0, 1).
    """
    _check_level(level)
    finite = _finite(values)
    n = len(finite)
    if n == 0:
        return Interval(None, None, None, 0)
    mean = float(finite.mean())
    if n == 1:
        return Interval(mean, None, None, 1)
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * finite.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def paired_interval(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> PairedInterval:
    """`mean_interval` of a - b over complete pairs; pairs with a missing value are counted in `lost`.

    Shapes: a, b [n], paired by index.
    Raises: ValueError if the lengths differ.
    """
    differences, lost = _differences(a, b)
    interval = mean_interval(differences, level)
    return PairedInterval(interval.mean, interval.low, interval.high, interval.n, lost)


def probability_of_improvement(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Improvement:
    """P(A > B) + P(A = B) / 2 over complete pairs, with an exact interval.

    Rule: Clopper-Pearson bounds [l, h] of wins among the m pairs that are no ties; the share of ties t = 1 - m / n is
    taken as known, so the interval is [l m/n + t/2, h m/n + t/2]. It does not include uncertainty about that share.

    Shapes: a, b [n], paired by index.
    Source: Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice", section 4.3 (the value).
    """
    _check_level(level)
    differences, lost = _differences(a, b)
    n, wins = len(differences), int((differences > 0).sum())
    ties = int((differences == 0).sum())
    if n == 0:
        return Improvement(None, None, None, 0, 0, lost)
    value = (wins + ties / 2) / n
    if ties == n:
        return Improvement(value, None, None, n, ties, lost)
    exact = stats.binomtest(wins, n - ties).proportion_ci(level, method="exact")
    low, high = ((bound * (n - ties) + ties / 2) / n for bound in (exact.low, exact.high))
    return Improvement(value, float(low), float(high), n, ties, lost)


def holm(pvalues: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the same order: the max of (m - rank) p over this and all smaller p, at most 1.

    Raises: ValueError if a p-value is outside [0, 1] or NaN.
    """
    p = np.asarray(pvalues, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be in [0, 1], got {list(pvalues)}; leave out tests without one")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    return tuple(float(value) for value in adjusted)


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    flat = np.asarray(values, dtype=float).ravel()
    return flat[np.isfinite(flat)]


def _differences(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], int]:
    left, right = (np.asarray(side, dtype=float).ravel() for side in (a, b))
    if len(left) != len(right):
        raise ValueError(f"pairs need equal lengths, got {len(left)} and {len(right)}; mark a missing value with NaN")
    complete = np.isfinite(left) & np.isfinite(right)
    return left[complete] - right[complete], int((~complete).sum())


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
