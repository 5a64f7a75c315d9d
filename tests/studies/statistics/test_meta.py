"""Gains over few data sets: against a textbook computation, exact permutation, and what so few can decide."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from studies.engine.statistics.meta import meta_mean, rank_correlation

GAINS, ERRORS = np.array([0.01, 0.03, -0.01, 0.02]), np.array([0.004, 0.01, 0.006, 0.008])


def test_the_mean_is_dersimonian_and_laird_s_with_hartung_and_knapp_s_interval() -> None:
    found = meta_mean(GAINS, ERRORS)
    assert found is not None
    w = 1 / ERRORS**2
    q = sum(w * (GAINS - np.average(GAINS, weights=w)) ** 2)
    tau2 = (q - 3) / (w.sum() - (w**2).sum() / w.sum())
    v = 1 / (ERRORS**2 + tau2)
    mean = np.average(GAINS, weights=v)
    se = np.sqrt(sum(v * (GAINS - mean) ** 2) / 3 / v.sum())
    assert found.mean == pytest.approx(mean)
    assert (found.low, found.high) == pytest.approx(
        (mean - stats.t.ppf(0.975, 3) * se, mean + stats.t.ppf(0.975, 3) * se)
    )
    assert found.tau == pytest.approx(np.sqrt(tau2))
    assert found.i_squared == pytest.approx((q - 3) / q)
    assert found.q_p == pytest.approx(stats.chi2.sf(q, 3))
    assert found.predicted is not None
    assert found.predicted[0] < found.low < found.high < found.predicted[1]


def test_equal_errors_without_spread_between_give_the_plain_t_interval() -> None:
    gains = np.array([0.01, 0.011, 0.009, 0.0105, 0.0095])
    found = meta_mean(gains, np.full(5, 0.01))
    assert found is not None
    assert found.tau == 0
    half = stats.t.ppf(0.975, 4) * gains.std(ddof=1) / np.sqrt(5)
    assert (found.mean, found.high) == pytest.approx((gains.mean(), gains.mean() + half))


def test_its_interval_covers_the_mean_of_data_sets_that_differ() -> None:
    rng = np.random.default_rng(0)
    errors = np.array([0.004, 0.004, 0.01, 0.006, 0.008])
    covered = 0
    for _ in range(400):
        found = meta_mean(rng.normal(0.01, 0.01, 5) + rng.normal(0, errors), errors)
        assert found is not None
        covered += found.low <= 0.01 <= found.high
    assert 0.91 <= covered / 400 <= 0.98


@pytest.mark.parametrize(("gains", "errors"), [([0.1], [0.1]), ([0.1, np.nan], [0.1, 0.1]), ([0.1, 0.2], [0.1, 0.0])])
def test_fewer_than_two_data_sets_have_no_mean(gains: list[float], errors: list[float]) -> None:
    assert meta_mean(gains, errors) is None


def test_two_have_a_mean_with_one_degree_of_freedom_and_no_prediction() -> None:
    found = meta_mean([0.0, 0.02], [0.001, 0.001])
    assert found is not None
    assert found.predicted is None
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 1) * 0.01, rel=1e-6)


def test_rank_correlation_counts_every_order() -> None:
    x, y = [1.0, 5.0, 2.0, 9.0, 4.0], [0.1, 0.3, 0.2, 0.25, 0.4]
    found = rank_correlation(x, y)
    assert found is not None
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    orders = [abs(stats.spearmanr(x, [y[k] for k in order]).statistic) for order in permutations(range(5))]
    assert found.p == pytest.approx(np.mean([each >= abs(found.rho) - 1e-9 for each in orders]))
    assert found.least_p == pytest.approx(2 / 120)
    assert found.p >= found.least_p


def test_four_data_sets_in_perfect_order_are_not_significant() -> None:
    found = rank_correlation([1, 2, 3, 4], [10, 20, 30, 40])
    assert found is not None
    assert (found.rho, found.p) == pytest.approx((1.0, 2 / 24))


def test_more_data_sets_than_can_be_counted_use_the_approximation() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=12)
    y = x + rng.normal(size=12)
    found = rank_correlation(x, y)
    assert found is not None
    assert found.p == pytest.approx(stats.spearmanr(x, y).pvalue)


@pytest.mark.parametrize("x", [[1.0, 2.0], [1.0, 1.0, 1.0], [1.0, np.nan, 2.0]])
def test_what_has_no_order_has_no_correlation(x: list[float]) -> None:
    assert rank_correlation(x, list(range(len(x)))) is None
