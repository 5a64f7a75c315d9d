"""Exponents of costs: against made curves, scipy's solver, and by their coverage over simulated repeats."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from studies.engine.statistics.growth import HIGHEST, LOWEST, Growth, growth, power_fit

X = np.array([1.0, 2.0, 5.0, 10.0, 20.0, 50.0])


def noisy(y: np.ndarray, rng: np.random.Generator, noise: float = 0.03) -> np.ndarray:
    return y * np.exp(rng.normal(0, noise, np.shape(y)))


@pytest.mark.parametrize("p", [0.3, 0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("a", [0.0, 2.0, 100.0])
def test_exact_data_give_back_their_curve(a: float, p: float) -> None:
    y = a + 3 * X**p
    fit = power_fit(X, y)
    assert fit is not None
    assert fit.exponent == pytest.approx(p, abs=1e-4)
    assert (fit.a, fit.b) == (pytest.approx(a, abs=1e-3 * y.min()), pytest.approx(3, rel=1e-2))
    assert fit.misfit < 1e-5
    assert fit.at(X) == pytest.approx(y, rel=1e-5)


@pytest.mark.parametrize(("a", "b", "p"), [(0.0, 1.0, 1.0), (5.0, 1.0, 1.0), (0.0, 1.0, 2.0), (50.0, 0.1, 2.0)])
def test_noisy_data_give_back_their_exponent(a: float, b: float, p: float) -> None:
    rng = np.random.default_rng(0)
    found = growth(X, noisy(np.tile(a + b * X**p, (20, 1)), rng))
    assert found.exponent.n == 20
    assert found.exponent.mean == pytest.approx(p, abs=0.06)
    assert found.of_means is not None
    assert found.of_means.exponent == pytest.approx(p, abs=0.1)


def test_a_quadratic_with_a_large_constant_is_not_taken_for_less() -> None:
    rng = np.random.default_rng(1)
    y = 1000 + 0.8 * X**2
    slope = np.polyfit(np.log(X), np.log(y), 1)[0]
    assert slope < 0.3, "a straight line on log axes calls it nearly flat"
    found = growth(X, noisy(np.tile(y, (10, 1)), rng, 0.01))
    assert found.exponent.low is not None
    assert found.exponent.low > 1.5
    assert found.exponent.mean == pytest.approx(2, abs=0.3)


def test_each_p_of_the_profile_has_scipys_coefficients() -> None:
    from studies.engine.statistics.growth import _profile

    rng = np.random.default_rng(2)
    exponents = np.linspace(LOWEST, HIGHEST, 9)
    for y in (noisy(2 + X, rng, 0.3), noisy(X**2, rng, 0.3), noisy(5 / X, rng, 0.3), noisy(np.ones(6), rng, 0.3)):
        a, b, residuals = _profile(X / 50, y, exponents)
        for k, p in enumerate(exponents):
            expected, norm = nnls(np.stack([1 / y, (X / 50) ** p / y], axis=1), np.ones(6))
            assert (a[k], b[k]) == pytest.approx(tuple(expected), abs=1e-9, rel=1e-6)
            assert np.linalg.norm(residuals[k]) == pytest.approx(norm)


@pytest.mark.parametrize("y", [np.full(6, 7.0), 5 / X, np.array([1, 1.01, 0.99, 1, 1.005, 0.995])])
def test_flat_and_falling_data_have_no_exponent(y: np.ndarray) -> None:
    fit = power_fit(X, y)
    assert fit is not None
    assert (fit.b, fit.p, fit.exponent) == (0.0, None, None)
    assert y.min() <= fit.a <= y.max()
    assert fit.at([1.0, 99.0]) == pytest.approx([fit.a, fit.a])
    assert fit.misfit == pytest.approx(np.abs(fit.a / y - 1).max())


def test_noise_around_a_constant_is_rarely_called_growth() -> None:
    rng = np.random.default_rng(3)
    found = growth(X, noisy(np.ones((300, 6)), rng))
    assert 0.88 < found.lost / 300 <= 1
    # That it does not grow is told by the change, whose mean is 0.
    assert abs(np.mean(found.change)) < 0.01
    assert np.std(found.change) == pytest.approx(0.03 * np.sqrt(2), rel=0.15)


def test_a_jump_has_an_exponent_at_the_end_of_the_range_which_is_no_estimate() -> None:
    fit = power_fit(X, np.array([1, 1, 1, 1, 1, 9.0]))
    assert fit is not None
    assert (fit.p, fit.exponent) == (HIGHEST, None)
    found = growth(X, np.tile([1, 1, 1, 1, 1, 9.0], (5, 1)))
    assert (found.exponent.mean, found.lost) == (None, 5)


def test_missing_points_are_left_out_and_lost_repeats_counted() -> None:
    y = np.tile(2 + X, (4, 1))
    y[0, 1:4] = np.nan
    y[1, 2] = np.nan
    y[2, -1] = np.nan
    found = growth(X, y)
    assert [fit is None for fit in found.fits] == [True, False, False, False]
    assert (found.exponent.n, found.lost) == (3, 1)
    assert np.isnan(found.change).tolist() == [False, False, True, False]
    assert found.change[1] == pytest.approx(np.log(52 / 3))
    assert power_fit([1, 2, 2, 1, 3], [1, 2, 2, 1, 3]) is None, "three distinct x"


def test_what_no_power_fits_is_an_error_of_one_line() -> None:
    with pytest.raises(ValueError, match="must be above 0, got 0"):
        power_fit([0, 1, 2, 3], [1, 1, 1, 1])
    with pytest.raises(ValueError, match="must be above 0"):
        power_fit([1, 2, 3, 4], [1, 1, -1, 1])
    for x, runs in (([2, 1], [[1, 1]]), ([1, 2], [1, 1]), ([1, 2, 3], [[1, 1]])):
        with pytest.raises(ValueError, match="ascending x"):
            growth(x, runs)


@pytest.mark.parametrize(("a", "b", "p"), [(2.0, 1.0, 1.0), (100.0, 0.5, 1.5)])
def test_the_interval_of_p_covers_it(a: float, b: float, p: float) -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(200):
        found = growth(X, noisy(np.tile(a + b * X**p, (5, 1)), rng)).exponent
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= p <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_fit_is_plain_numbers() -> None:
    assert power_fit(X, X) == Growth(0.0, pytest.approx(1), pytest.approx(1), pytest.approx(0, abs=1e-5))
