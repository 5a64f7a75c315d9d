"""Intervals against scipy, loops and values worked by hand."""

import numpy as np
import pytest
from scipy import stats

from studies.engine.statistics import (
    holm,
    mean_interval,
    paired_interval,
    probability_of_improvement,
)


@pytest.mark.parametrize("n", [2, 3, 5, 19, 40])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_is_scipys_t_interval_at_every_n(n: int, level: float) -> None:
    values = np.random.default_rng(n).normal(size=n)
    found = mean_interval(values, level)
    low, high = stats.t.interval(level, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.mean == pytest.approx(values.mean())
    assert found.n == n


def test_nan_is_left_out_and_too_few_values_give_no_bounds() -> None:
    assert mean_interval([1.0, np.nan, 3.0]).n == 2
    one = mean_interval([2.0, np.nan])
    assert (one.mean, one.low, one.high, one.n) == (2.0, None, None, 1)
    none = mean_interval([np.nan, np.nan])
    assert (none.mean, none.low, none.n) == (None, None, 0)
    constant = mean_interval([0.5] * 4)
    assert (constant.low, constant.high) == (0.5, 0.5)


def test_lost_pairs_are_dropped_and_counted() -> None:
    found = paired_interval([1.0, 2.0, np.nan, 4.0], [0.5, 1.0, 1.0, np.nan])
    assert (found.n, found.lost) == (2, 2)
    assert found.mean == pytest.approx(0.75)
    with pytest.raises(ValueError, match="equal lengths"):
        paired_interval([1.0], [1.0, 2.0])


def test_probability_of_improvement_counts_ties_as_halves_with_exact_bounds_on_the_rest() -> None:
    found = probability_of_improvement([1, 1, 1, 1, 0], [0, 0, 0, 1, 1])
    assert (found.value, found.n, found.ties) == (0.7, 5, 1)
    low = stats.beta.ppf(0.025, 3, 2)
    high = stats.beta.ppf(0.975, 4, 1)
    assert found.low == pytest.approx((4 * low + 0.5) / 5)
    assert found.high == pytest.approx((4 * high + 0.5) / 5)


def test_five_wins_of_five_do_not_exclude_one_half() -> None:
    found = probability_of_improvement(np.ones(5), np.zeros(5))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 5))
    assert found.low is not None
    assert found.low < 0.5


def test_nothing_but_ties_or_losses_gives_no_bounds() -> None:
    ties = probability_of_improvement([1.0, 2.0], [1.0, 2.0])
    assert (ties.value, ties.low, ties.high) == (0.5, None, None)
    lost = probability_of_improvement([np.nan], [1.0])
    assert (lost.value, lost.n, lost.lost) == (None, 0, 1)


def test_holm_against_hand_values() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.9, 0.8]) == pytest.approx((1.0, 1.0))
    assert holm([]) == ()
    with pytest.raises(ValueError, match="p-values must be"):
        holm([0.1, np.nan])


def test_level_is_checked() -> None:
    with pytest.raises(ValueError, match="level must be in"):
        mean_interval([1.0, 2.0], level=95)
