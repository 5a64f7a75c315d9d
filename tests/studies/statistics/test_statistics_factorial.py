"""Factorial designs: weights against plain means and brute force over all orders, properties of Shapley, fractions."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest

from studies.engine.statistics.factorial import aliases, complete, effect_weights, fraction, shapley_weights

SIZES = [1, 2, 3, 5]


def values_of(factors: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=2**factors)


def brute_force(runs: np.ndarray, values: np.ndarray, member: int) -> float:
    """What a factor adds, mean over every order in which all factors are added."""
    value = {tuple(run): v for run, v in zip(runs.tolist(), values, strict=True)}
    added = []
    for order in permutations(range(runs.shape[1])):
        here = [False] * runs.shape[1]
        for factor in order:
            before = value[tuple(here)]
            here[factor] = True
            if factor == member:
                added.append(value[tuple(here)] - before)
    assert len(added) == math.factorial(runs.shape[1])
    return sum(added) / len(added)


@pytest.mark.parametrize("factors", SIZES)
def test_shapley_values_are_those_of_all_orders(factors: int) -> None:
    runs, values = complete(factors), values_of(factors)
    for member in range(factors):
        assert shapley_weights(runs, member) @ values == pytest.approx(brute_force(runs, values, member), abs=1e-12)


@pytest.mark.parametrize("factors", SIZES)
def test_shapley_values_sum_to_all_less_none_whatever_the_order_of_runs(factors: int) -> None:
    rng = np.random.default_rng(1)
    for draw in range(20):
        order = rng.permutation(2**factors)
        runs, values = complete(factors)[order], values_of(factors, draw)
        total = sum(shapley_weights(runs, member) @ values for member in range(factors))
        whole = values[runs.all(1)] - values[(~runs).all(1)]
        assert total == pytest.approx(float(whole[0]), abs=1e-12)


def test_shapley_values_are_symmetric_blind_to_dummies_and_additive() -> None:
    runs = complete(4)
    for draw in range(20):
        table = np.random.default_rng(draw).normal(size=(2, 3, 2))
        # Factors 0 and 1 matter by their number alone, factor 3 by nothing but a constant.
        values = table[runs[:, 2].astype(int), runs[:, :2].sum(1), 0] + 0.7 * runs[:, 3]
        phi = [shapley_weights(runs, k) @ values for k in range(4)]
        assert phi[0] == pytest.approx(phi[1], abs=1e-12)
        assert phi[3] == pytest.approx(0.7, abs=1e-12)
        other = values_of(4, draw)
        both = [shapley_weights(runs, k) @ (values + other) for k in range(4)]
        assert both == pytest.approx([one + shapley_weights(runs, k) @ other for k, one in enumerate(phi)], abs=1e-12)
        idle = values - 0.7 * runs[:, 3]
        assert shapley_weights(runs, 3) @ idle == pytest.approx(0, abs=1e-12)


def test_shapley_values_need_every_run_once() -> None:
    runs = complete(3)
    for wrong in (runs[1:], np.vstack([runs, runs[:1]]), np.vstack([runs[1:], runs[1:2]])):
        with pytest.raises(ValueError, match="Shapley values need all 8 runs once each"):
            shapley_weights(wrong, 0)


def test_effects_are_differences_of_plain_means() -> None:
    runs, values = complete(4), values_of(4)
    for a in range(4):
        plain = values[runs[:, a]].mean() - values[~runs[:, a]].mean()
        assert effect_weights(runs, [a]) @ values == pytest.approx(plain, abs=1e-12)
        for b in range(a):
            with_b, without = (
                values[runs[:, a] & (runs[:, b] == there)].mean() - values[~runs[:, a] & (runs[:, b] == there)].mean()
                for there in (True, False)
            )
            assert effect_weights(runs, [a, b]) @ values == pytest.approx(with_b - without, abs=1e-12)
            assert (effect_weights(runs, [b, a]) == effect_weights(runs, [a, b])).all()


def test_a_factor_that_acts_in_half_of_the_runs_has_half_its_effect_and_all_of_it_as_interaction() -> None:
    runs = complete(3)
    values = 3.0 * (runs[:, 0] & runs[:, 1])
    assert effect_weights(runs, [1]) @ values == pytest.approx(1.5)
    assert effect_weights(runs, [0, 1]) @ values == pytest.approx(3.0)
    assert shapley_weights(runs, 1) @ values == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("factors", "halvings", "shortest"), [(3, 1, 3), (4, 1, 4), (5, 1, 5), (6, 1, 6), (5, 2, 3), (6, 2, 4), (7, 3, 4)]
)
def test_a_fraction_is_balanced_and_has_the_best_resolution(factors: int, halvings: int, shortest: int) -> None:
    runs, words = fraction(factors, halvings)
    assert runs.shape == (2 ** (factors - halvings), factors)
    assert len(np.unique(runs, axis=0)) == len(runs)
    signs = np.where(runs, 1, -1)
    assert (signs.T @ signs == len(runs) * np.eye(factors)).all()
    assert len(set(words)) == 2**halvings - 1
    for word in words:
        assert len(set(signs[:, sorted(word)].prod(1).tolist())) == 1
    assert min(map(len, words)) == shortest  # the resolutions that tables of two-level designs give


def test_aliases_are_the_effects_with_the_same_weights() -> None:
    runs, words = fraction(6, 2)
    kinds = [effect for size in (1, 2) for effect in combinations(range(6), size)]
    for effect in kinds:
        own = effect_weights(runs, effect) / 2 ** len(effect)
        same = [
            other
            for other in kinds
            if other != effect and np.allclose(abs(own @ effect_weights(runs, other)) / 2 ** len(other), own @ own)
        ]
        assert aliases(words, effect) == same
    assert aliases((), (0,)) == []
    assert aliases([frozenset({0, 1, 2})], [0, 1, 2]) == [()]


def test_the_whole_design_is_a_fraction_without_words_and_too_few_runs_are_refused() -> None:
    runs, words = fraction(3, 0)
    assert (runs == complete(3)).all()
    assert words == ()
    for factors, halvings in ((4, 2), (2, 1), (7, 5), (3, 3)):
        with pytest.raises(ValueError, match=f"{factors} factors need more than"):
            fraction(factors, halvings)
