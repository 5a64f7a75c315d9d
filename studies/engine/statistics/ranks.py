"""Average ranks of methods over blocks: the Friedman test, and Nemenyi's critical difference of two ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

FEWEST_BLOCKS = FEWEST_METHODS = 2


@dataclass(frozen=True)
class Ranks:
    """K methods ranked in each of B complete blocks, 1 the best; `lost_blocks` lack a method and are left out.

    average: mean rank of each method, in the order of the scores. friedman and iman_davenport: statistics and p of the
    hypothesis that all methods are equal (None with two methods, or if every block is one tie; F is also None if all
    blocks agree, since it is then infinite). critical_difference: Nemenyi's, of two average ranks. groups: indices of
    methods, best first, of which no two differ: the maximal groups of two or more. reason: why all of these are None or
    empty, "" otherwise. blocks_for_one_rank: how many blocks make the critical difference smaller than one rank.
    """

    methods: int
    blocks: int
    lost_blocks: int
    average: tuple[float, ...] | None
    friedman: float | None
    friedman_p: float | None
    iman_davenport: float | None
    iman_davenport_p: float | None
    critical_difference: float | None
    groups: tuple[tuple[int, ...], ...]
    blocks_for_one_rank: int | None
    reason: str


def rank_methods(scores: ArrayLike, level: float = 0.95) -> Ranks:
    """Ranks within blocks, higher scores first, mean ranks for ties; then the tests of Friedman and Nemenyi.

    Iman and Davenport's F = (B - 1) chi2 / (B (K - 1) - chi2) with K - 1 and (K - 1)(B - 1) degrees of freedom; both
    tests are approximations for more than about 10 blocks.

    Shapes: scores [B, K], NaN where a method has no score in a block.
    Raises: ValueError if scores have other axes or an infinite value.
    Source: Demsar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets", section 3.2.2.
    """
    table = np.asarray(scores, dtype=float)
    if table.ndim != 2:
        raise ValueError(f"scores must be [blocks, methods], got shape {table.shape}")
    if np.isinf(table).any():
        raise ValueError("scores must be finite, with NaN for a missing one, got an infinite value")
    complete = table[np.isfinite(table).all(axis=1)]
    methods, blocks, lost = table.shape[1], len(complete), len(table) - len(complete)
    needed = blocks_for_difference(methods, 1.0, level) if methods >= FEWEST_METHODS else None
    reason = ""
    if methods < FEWEST_METHODS:
        reason = f"ranks need at least {FEWEST_METHODS} methods, got {methods}"
    elif blocks < FEWEST_BLOCKS:
        reason = f"ranks need at least {FEWEST_BLOCKS} blocks with every method, got {blocks}"
    if reason:
        return Ranks(methods, blocks, lost, None, None, None, None, None, None, (), needed, reason)
    # Means of the same numbers in another order may differ in their last bit: these are ties too.
    ranks = stats.rankdata(-np.round(complete, 12), axis=1)
    average = ranks.mean(axis=0)
    chi2 = p = f = f_p = None
    if methods > 2 and (np.ptp(ranks, axis=1) > 0).any():
        chi2, p = (float(value) for value in stats.friedmanchisquare(*ranks.T))
        spare = blocks * (methods - 1) - chi2
        if spare > 1e-9 * blocks * methods:
            f = (blocks - 1) * chi2 / spare
            f_p = float(stats.f.sf(f, methods - 1, (methods - 1) * (blocks - 1)))
    difference = critical_difference(methods, blocks, level)
    return Ranks(
        methods,
        blocks,
        lost,
        tuple(float(rank) for rank in average),
        chi2,
        p,
        f,
        f_p,
        difference,
        alike(average, difference),
        needed,
        "",
    )


def critical_difference(methods: int, blocks: int, level: float = 0.95) -> float:
    """Nemenyi's critical difference q sqrt(K (K + 1) / (6 B)); q: the Studentized range's quantile for K, over sqrt(2).

    Raises: ValueError for fewer than two methods or no block.
    """
    if methods < FEWEST_METHODS or blocks < 1:
        raise ValueError(f"a critical difference needs two methods and a block, got {methods} and {blocks}")
    return _quantile(methods, level) * math.sqrt(methods * (methods + 1) / (6 * blocks))


def blocks_for_difference(methods: int, difference: float, level: float = 0.95) -> int:
    """The fewest blocks whose critical difference is smaller than this difference of average ranks."""
    return math.floor(_quantile(methods, level) ** 2 * methods * (methods + 1) / (6 * difference**2)) + 1


def alike(average: ArrayLike, difference: float) -> tuple[tuple[int, ...], ...]:
    """The maximal groups of two or more methods whose average ranks all differ by less than the critical difference.

    On a line each group is a run of neighbours, so a diagram can draw it as one bar.
    Shapes: average [K]; groups of indices into it, best rank first.
    """
    ranks = np.asarray(average, dtype=float)
    order = np.argsort(ranks, kind="stable")
    groups: list[tuple[int, ...]] = []
    previous_end = 0
    for start in range(len(order)):
        end = int(np.searchsorted(ranks[order], ranks[order[start]] + difference, side="left"))
        if end > previous_end and end - start > 1:
            groups.append(tuple(int(method) for method in order[start:end]))
        previous_end = max(previous_end, end)
    return tuple(groups)


def _quantile(methods: int, level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    return float(stats.studentized_range.ppf(level, methods, np.inf)) / math.sqrt(2)
