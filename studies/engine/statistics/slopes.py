"""Linear effects of knobs, each with the others constant, and the rank agreement between two kinds of data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mim4dd.seeding import generator

from .means import Array


@dataclass(frozen=True)
class Slope:
    """The linear effect of a knob from the lower to the upper end of its range, the others constant.

    The bounds are None below d + 3 settings.
    """

    value: float
    low: float | None
    high: float | None
    n: int


def knob_slopes(units: ArrayLike, y: ArrayLike, *, resamples: int = 2000, seed: int = 0) -> tuple[Slope, ...]:
    """Least-squares slopes of y on unit-scaled knobs, with 95 % bootstrap intervals over settings.

    A straight line shows whether larger values help; it cannot show a best value inside the range.
    Shapes: units [S, d], NaN for a setting without coordinates; y [S], NaN for one without a mean. Units: those of y.
    """
    x, values = np.asarray(units, dtype=float), np.asarray(y, dtype=float)
    complete = np.isfinite(x).all(1) & np.isfinite(values)
    x, values = x[complete], values[complete]
    n, knobs = x.shape
    if n <= knobs:
        return ()
    slopes = _fit(x, values)
    if n < knobs + 3:
        return tuple(Slope(float(value), None, None, n) for value in slopes)
    draws = generator("statistics.knob_slopes", seed, n).integers(n, size=(resamples, n))
    spread = np.array(
        [_fit(x[rows], values[rows]) for rows in draws if np.linalg.matrix_rank(_design(x[rows])) > knobs]
    )
    low, high = np.quantile(spread, [0.025, 0.975], axis=0)
    return tuple(Slope(float(v), float(a), float(b), n) for v, a, b in zip(slopes, low, high, strict=True))


def _design(x: Array) -> Array:
    return np.hstack([np.ones((len(x), 1)), x])


def _fit(x: Array, y: Array) -> Array:
    return np.asarray(np.linalg.lstsq(_design(x), y, rcond=None)[0][1:])


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of two lists of settings, with its 95 % bootstrap interval over settings."""

    value: float
    low: float
    high: float
    n: int


def rank_agreement(a: ArrayLike, b: ArrayLike, *, resamples: int = 2000, seed: int = 0) -> Agreement | None:
    """Whether settings that are better on one kind of data are better on the other.

    None without spread or below 6 settings, where the bootstrap's interval excludes 0 too often without any relation.
    """
    left, right = (np.asarray(side, dtype=float) for side in (a, b))
    complete = np.isfinite(left) & np.isfinite(right)
    left, right = left[complete], right[complete]
    n = len(left)
    if n < 6 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    draws = generator("statistics.rank_agreement", seed, n).integers(n, size=(resamples, n))
    spread = [_spearman(left[rows], right[rows]) for rows in draws if np.ptp(left[rows]) and np.ptp(right[rows])]
    low, high = np.quantile(spread, [0.025, 0.975])
    return Agreement(_spearman(left, right), float(low), float(high), n)


def _spearman(a: Array, b: Array) -> float:
    from scipy.stats import rankdata

    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
