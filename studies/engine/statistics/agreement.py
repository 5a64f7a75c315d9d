"""How far two conditions rank the same settings, or methods, alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mim4dd.seeding import generator

from .means import Array


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


def concordance(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's tau-b of two lists: pairs in the same order less those in opposite orders, ties aside, as a share.

    NaN without two complete entries, or without spread.
    """
    from scipy.stats import kendalltau

    left, right = (np.asarray(side, dtype=float) for side in (a, b))
    complete = np.isfinite(left) & np.isfinite(right)
    left, right = left[complete], right[complete]
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(kendalltau(left, right).statistic)


def _spearman(a: Array, b: Array) -> float:
    from scipy.stats import rankdata

    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
