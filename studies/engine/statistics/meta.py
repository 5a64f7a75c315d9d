"""A gain over several data sets: its random-effects mean, and its rank correlation with what kind of data they are.

The unit is a data set, of which there are few: intervals have one degree of freedom less than there are data sets, and
rank correlations are tested by their exact permutation distribution, which cannot reach small p-values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

# Up to so many data sets every order is counted: 40,320 of 8.
EXACT = 8
FEWEST_BLOCKS = 3


@dataclass(frozen=True)
class MetaMean:
    """The mean gain over data sets, its t interval with `blocks` - 1 degrees of freedom, and between what bounds the
    gain on another data set lies (predicted, None with fewer than 3).

    tau: the standard deviation of gains between data sets, without the error of each; i_squared: its share of the
    variance; q_p: the p-value of Cochran's test that the gains do not differ.
    """

    mean: float
    low: float
    high: float
    predicted: tuple[float, float] | None
    tau: float
    i_squared: float
    q_p: float
    blocks: int


def meta_mean(gains: ArrayLike, errors: ArrayLike) -> MetaMean | None:
    """The random-effects mean; None with fewer than two data sets whose standard error is known and above 0.

    Source: DerSimonian & Laird 1986 (tau); Hartung & Knapp 2001 (the interval); Higgins, Thompson & Spiegelhalter 2009
    (the prediction interval). Shapes: gains, errors [blocks], NaN where unknown.
    """
    values, spread = np.asarray(gains, dtype=float), np.asarray(errors, dtype=float)
    known = np.isfinite(values) & np.isfinite(spread) & (spread > 0)
    values, variance = values[known], spread[known] ** 2
    k = len(values)
    if k < 2:
        return None
    fixed = 1 / variance
    q = float((fixed * (values - (fixed * values).sum() / fixed.sum()) ** 2).sum())
    scale = float(fixed.sum() - (fixed**2).sum() / fixed.sum())
    tau_squared = max(0.0, (q - (k - 1)) / scale)
    weights = 1 / (variance + tau_squared)
    mean = float((weights * values).sum() / weights.sum())
    error = math.sqrt(float((weights * (values - mean) ** 2).sum() / ((k - 1) * weights.sum())))
    half = float(stats.t.ppf(0.975, k - 1)) * error
    predicted = None
    if k >= FEWEST_BLOCKS:
        reach = float(stats.t.ppf(0.975, k - 2)) * math.sqrt(tau_squared + error**2)
        predicted = (mean - reach, mean + reach)
    i_squared = max(0.0, (q - (k - 1)) / q) if q > 0 else 0.0
    q_p = float(stats.chi2.sf(q, k - 1))
    return MetaMean(mean, mean - half, mean + half, predicted, math.sqrt(tau_squared), i_squared, q_p, k)


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho over `blocks` data sets, its two-sided p-value, and the smallest that so many could give."""

    rho: float
    p: float
    least_p: float
    blocks: int


def rank_correlation(x: ArrayLike, y: ArrayLike) -> RankCorrelation | None:
    """Spearman's rank correlation, tested over all orders of up to EXACT data sets, by its t approximation over more.

    None with fewer than FEWEST_BLOCKS complete pairs, or where all x or all y are equal. Shapes: x, y [blocks].
    """
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    known = np.isfinite(a) & np.isfinite(b)
    a, b = (stats.rankdata(each[known]) for each in (a, b))
    k = len(a)
    if k < FEWEST_BLOCKS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    a, b = ((each - each.mean()) / np.linalg.norm(each - each.mean()) for each in (a, b))
    rho = float(np.clip(a @ b, -1, 1))
    if k > EXACT:
        t = rho * math.sqrt((k - 2) / max(1e-12, 1 - rho**2))
        return RankCorrelation(rho, float(2 * stats.t.sf(abs(t), k - 2)), 0.0, k)
    others = np.abs(np.array([a @ b[list(order)] for order in permutations(range(k))]))
    largest = float(others.max())
    p, least = (float((others >= bound - 1e-9).mean()) for bound in (abs(rho), largest))
    return RankCorrelation(rho, p, least, k)
