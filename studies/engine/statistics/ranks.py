"""Average ranks of methods over blocks, whether they differ at all, and how far apart two must be to differ."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

FEWEST_BLOCKS = FEWEST_METHODS = 2


@dataclass(frozen=True)
class Ranks:
    """K methods ranked in each of B whole blocks, 1 the best; `lost_blocks` lacked a method and are left out.

    average: mean rank of each method, in the order given. friedman and iman_davenport: statistics and p of the
    hypothesis that all methods are alike (None with two methods, or where every block is one tie; the F is None too
    where all blocks agree and it is infinite). critical_difference: of two average ranks, Nemenyi's. groups: indices
    of methods, best first, of which no two differ: the maximal ones, of two or more. All of these are None or empty
    where `reason` says why. blocks_for_one_rank: how many blocks bring the critical difference below one rank.
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
    """Ranks within blocks, higher scores first, ties sharing their mean rank; then Friedman and Nemenyi.

    Iman and Davenport's F = (B - 1) chi2 / (B (K - 1) - chi2) with K - 1 and (K - 1)(B - 1) degrees of freedom; both
    tests are approximations that want more than about 10 blocks.

    Shapes: scores [B, K], NaN where a method has no score in a block.
    Raises: ValueError where scores have other axes or an infinite value.
    Source: Demsar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets", section 3.2.2.
    """
    table = np.asarray(scores, dtype=float)
    if table.ndim != 2:
        raise ValueError(f"scores must be [blocks, methods], got shape {table.shape}")
    if np.isinf(table).any():
        raise ValueError("scores must be finite, with NaN for a missing one, got an infinite value")
    whole = table[np.isfinite(table).all(axis=1)]
    methods, blocks, lost = table.shape[1], len(whole), len(table) - len(whole)
    needed = blocks_for_difference(methods, 1.0, level) if methods >= FEWEST_METHODS else None
    reason = ""
    if methods < FEWEST_METHODS:
        reason = f"ranks need at least {FEWEST_METHODS} methods, got {methods}"
    elif blocks < FEWEST_BLOCKS:
        reason = f"ranks need at least {FEWEST_BLOCKS} blocks with every method, got {blocks}"
    if reason:
        return Ranks(methods, blocks, lost, None, None, None, None, None, None, (), needed, reason)
    # Means of equal numbers in another order differ in their last bit: that is a tie too.
    ranks = stats.rankdata(-np.round(whole, 12), axis=1)
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
    """Nemenyi's: q sqrt(K (K + 1) / (6 B)), q the Studentized range's quantile for K and infinite df over sqrt(2).

    Raises: ValueError for fewer than two methods or no block.
    """
    if methods < FEWEST_METHODS or blocks < 1:
        raise ValueError(f"a critical difference needs two methods and a block, got {methods} and {blocks}")
    return _quantile(methods, level) * math.sqrt(methods * (methods + 1) / (6 * blocks))


def blocks_for_difference(methods: int, difference: float, level: float = 0.95) -> int:
    """The fewest blocks whose critical difference lies below a difference of average ranks."""
    return math.floor(_quantile(methods, level) ** 2 * methods * (methods + 1) / (6 * difference**2)) + 1


def alike(average: ArrayLike, difference: float) -> tuple[tuple[int, ...], ...]:
    """The maximal groups of two or more methods whose average ranks all differ by less than the critical difference.

    On a line these are runs of neighbours, so a diagram can draw each as one bar.
    Shapes: average [K]; the groups hold indices into it, best rank first.
    """
    ranks = np.asarray(average, dtype=float)
    order = np.argsort(ranks, kind="stable")
    found: list[tuple[int, ...]] = []
    reached = 0
    for first in range(len(order)):
        beyond = int(np.searchsorted(ranks[order], ranks[order[first]] + difference, side="left"))
        if beyond > reached and beyond - first > 1:
            found.append(tuple(int(method) for method in order[first:beyond]))
        reached = max(reached, beyond)
    return tuple(found)


def _quantile(methods: int, level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    return float(stats.studentized_range.ppf(level, methods, np.inf)) / math.sqrt(2)
