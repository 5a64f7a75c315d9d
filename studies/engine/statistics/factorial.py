"""Two-level factorial designs: effects, interactions and Shapley values as weights of runs; fractions and aliases.

A run is a set of factors at their high level (present); the others are at their low level. Every quantity is a weighted
sum of the runs' values, so that pairs of one seed give it an interval without any model of the values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import combinations, product

import numpy as np
import numpy.typing as npt

from .means import Array

Runs = npt.NDArray[np.bool_]
Word = frozenset[int]


def complete(factors: int) -> Runs:
    """Every run of so many factors, [2^factors, factors], all low first."""
    return np.array(list(product((False, True), repeat=factors)), dtype=bool).reshape(-1, factors)


def effect_weights(runs: Runs, members: Sequence[int]) -> Array:
    """The weights of runs whose sum is the effect of some factors, [runs].

    One factor: the mean of the runs with it less that of the runs without it. Two: the effect of one with the other
    present, less the same without it; and so on. Of a fraction it is that effect with its aliases, see `aliases`.
    Shapes: runs [runs, factors], a complete design or one of `fraction`.
    """
    signs = np.where(runs[:, list(members)], 1.0, -1.0).prod(axis=1)
    return np.asarray(signs * 2.0 ** len(members) / len(runs))


def shapley_weights(runs: Runs, member: int) -> Array:
    """The weights of runs whose sum is a factor's Shapley value, [runs].

    The mean, over all orders in which the factors can be added to the run without any, of what this one adds; the
    values of all factors sum to the run with all less the run without any.
    Shapes: runs [2^factors, factors], those of `complete` in any order.
    Source: Shapley 1953, "A value for n-person games", with weights |S|! (k - |S| - 1)! / k! of S without the factor.
    Raises: ValueError where runs are missing.
    """
    k = runs.shape[1]
    if len(np.unique(runs, axis=0)) != 2**k or len(runs) != 2**k:
        raise ValueError(f"Shapley values need all {2**k} runs once each, got {len(runs)}")
    others = runs.sum(axis=1) - runs[:, member]
    share = np.array([math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k) for size in range(k)])
    return np.asarray(np.where(runs[:, member], 1.0, -1.0) * share[others])


def fraction(factors: int, halvings: int) -> tuple[Runs, tuple[Word, ...]]:
    """The regular fraction 1 / 2^halvings with the fewest short aliases, and its defining words.

    The last factors are products of the others. Of all choices of these products the one with the fewest shortest
    words is taken (minimum aberration). halvings 0 is the complete design, without words.
    Shapes: runs [2^(factors - halvings), factors]; words: all 2^halvings - 1 products of factors that are constant.
    Source: Fries & Hunter 1980, "Minimum aberration 2^(k-p) designs".
    Raises: ValueError where fewer runs are left than there are effects of single factors and a mean.
    """
    basic = factors - halvings
    if basic < 1 or 2**basic <= factors:
        raise ValueError(f"{factors} factors need more than {2 ** max(basic, 0)} runs")
    candidates = [frozenset(word) for size in range(2, basic + 1) for word in combinations(range(basic), size)]
    chosen = min(combinations(candidates, halvings), key=lambda generators: _aberration(factors, generators))
    runs = complete(basic)
    made = [_signs(runs, generator) for generator in chosen]
    return np.column_stack([runs, *made]) if made else runs, _subgroup(factors, chosen)


def _signs(runs: Runs, word: Word) -> Runs:
    """Whether the product of these factors' signs is positive, [runs]."""
    return np.asarray(np.where(runs[:, sorted(word)], 1, -1).prod(axis=1) > 0)


def _subgroup(factors: int, generators: Sequence[Word]) -> tuple[Word, ...]:
    """All products of the defining words of generators: of factor basic + k, generator k."""
    basic = factors - len(generators)
    words = [generator | {basic + k} for k, generator in enumerate(generators)]
    return tuple(
        reduce(frozenset.symmetric_difference, chosen)
        for size in range(1, len(words) + 1)
        for chosen in combinations(words, size)
    )


def _aberration(factors: int, generators: Sequence[Word]) -> tuple[int, ...]:
    """The number of defining words of each length, shortest first."""
    lengths = [len(word) for word in _subgroup(factors, generators)]
    return tuple(lengths.count(length) for length in range(1, factors + 1))


def aliases(words: Sequence[Word], members: Sequence[int], most: int = 2) -> list[tuple[int, ...]]:
    """The effects of at most so many factors that a fraction cannot tell from this one, () for the mean.

    words: the fraction's defining words.
    """
    found = (tuple(sorted(word ^ frozenset(members))) for word in words)
    return sorted((effect for effect in found if len(effect) <= most), key=lambda effect: (len(effect), effect))
