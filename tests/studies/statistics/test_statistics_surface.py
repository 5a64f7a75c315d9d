"""The surface: known functions recovered within the band, interactions found where they are and not elsewhere."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import integrate

from studies.engine.statistics import fit_surface, interaction_shares, response_curves, response_maps
from studies.engine.statistics.design import even_points
from studies.engine.statistics.posterior import posterior_average, posterior_hyperparameters
from studies.engine.statistics.response import MISFIT

NAMES = ("a", "b", "dummy")


def scores(x: np.ndarray, f: np.ndarray, R: int = 4, noise: float = 0.05, common: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return f[:, None, None] + common * rng.normal(size=(1, R, 1)) + noise * rng.normal(size=(len(x), R, 2))


def additive(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(4 * x[:, 0]) + 0.5 * x[:, 1])


def test_curves_recover_an_additive_function_within_their_bands() -> None:
    x = even_points(32, 3, "surface")
    y = scores(x, additive(x), common=0.0)
    surface = fit_surface(x, y, NAMES)
    assert surface is not None
    assert surface.fit.r_squared > 0.95
    a, b, dummy = response_curves(surface)
    grid = np.array(a.grid)
    truths = (np.sin(4 * grid) + 0.25, 0.5 * grid + (1 - np.cos(4)) / 4, np.full(25, 0.25 + (1 - np.cos(4)) / 4))
    for curve, truth in zip((a, b, dummy), truths, strict=True):
        inside = (np.array(curve.low) <= truth) & (truth <= np.array(curve.high))
        assert inside.mean() >= 0.8
        assert np.abs(np.array(curve.mean) - truth).max() < 0.1
        assert len(curve.grid) == 25
    json.dumps([dataclasses.asdict(curve) for curve in (a, b, dummy)], allow_nan=False)
    json.dumps(dataclasses.asdict(surface.fit), allow_nan=False)


def test_the_average_over_other_knobs_and_its_variance_match_a_direct_joint_posterior() -> None:
    x = even_points(16, 3, "joint")
    surface = fit_surface(x, scores(x, additive(x)), NAMES)
    assert surface is not None
    theta = surface.kernel.theta
    groups = np.repeat(even_points(32, 3)[None], 2, axis=0)
    groups[:, :, 0] = np.array([[0.5], [0.9]])
    means, variances = posterior_average(surface, theta, groups)
    inverse = np.linalg.inv(surface.kernel(x) + np.diag(surface.noise))
    for nodes, mean, variance in zip(groups, means, variances, strict=True):
        cross = surface.prior(nodes, surface.x)
        assert mean == pytest.approx((cross @ inverse @ surface.z).mean())
        assert variance == pytest.approx((surface.prior(nodes, nodes) - cross @ inverse @ cross.T).mean(), rel=1e-3)


def test_a_band_averages_over_length_scales_and_is_as_wide_as_said() -> None:
    x = even_points(16, 3, "joint")
    surface = fit_surface(x, scores(x, additive(x)), NAMES)
    assert surface is not None
    curve = response_curves(surface, points=3, over=32, samples=5)[0]
    groups = even_points(32, 3)[None].copy()
    groups[:, :, 0] = 0.5
    drawn = [posterior_average(surface, theta, groups) for theta in posterior_hyperparameters(surface, samples=5)]
    means, variances = np.array(drawn)[:, :, 0].T
    assert curve.mean[1] == pytest.approx(surface.centre + surface.scale * means.mean())
    half = MISFIT * 1.96 * surface.scale * np.sqrt(variances.mean() + means.var())
    assert (curve.high[1] - curve.low[1]) / 2 == pytest.approx(half, rel=1e-4)


def test_a_band_with_the_level_is_wider_by_the_t_interval_of_the_seeds() -> None:
    x = even_points(16, 3, "level")
    y = scores(x, additive(x), R=3, common=3.0)
    surface = fit_surface(x, y, NAMES)
    assert surface is not None
    shape, whole = response_curves(surface, points=5)[0], response_curves(surface, level=True, points=5)[0]
    assert whole.mean == shape.mean
    level = 4.302653 * y.mean(axis=(0, 2)).std(ddof=1) / np.sqrt(3)
    halves = [(np.array(one.high) - np.array(one.low)) / 2 for one in (shape, whole)]
    assert halves[1] == pytest.approx(np.hypot(halves[0], level))
    alone = fit_surface(x, y[:, :1], NAMES)
    assert alone is not None
    with pytest.raises(ValueError, match="two seeds"):
        response_curves(alone, level=True)


def test_seed_effects_shared_by_all_settings_are_no_noise() -> None:
    x = even_points(16, 3, "shared")
    surface = fit_surface(x, scores(x, additive(x), common=3.0), NAMES)
    assert surface is not None
    assert surface.fit.noise < 0.05
    assert surface.fit.noise_known
    assert surface.fit.level_error == pytest.approx(3 * 0.5, rel=0.9)


@pytest.mark.slow
def test_a_product_interacts_and_a_sum_does_not() -> None:
    x = even_points(64, 3, "pairs")
    product = fit_surface(x, scores(x, x[:, 0] * x[:, 1], noise=0.01), NAMES)
    total = fit_surface(x, scores(x, x[:, 0] + x[:, 1], noise=0.01), NAMES)
    assert product is not None
    assert total is not None
    found = interaction_shares(product)
    shares = {share.knobs: share for share in found.pairs}
    # Var(ab) = 7/144, of which a and b alone 3/144 each
    assert shares["a", "b"].value == pytest.approx(1 / 7, abs=0.02)
    assert shares["a", "b"].low - 0.005 <= 1 / 7 <= shares["a", "b"].high + 0.005
    assert found.first[0].value == pytest.approx(3 / 7, abs=0.03)
    assert shares["a", "dummy"].value < 0.01
    assert found.remainder < 0.02
    assert max(share.high for share in interaction_shares(total, samples=20).pairs) < 0.02
    assert interaction_shares(product) == found
    json.dumps(dataclasses.asdict(found), allow_nan=False)


def test_maps_hold_every_pair_and_average_to_the_curve() -> None:
    x = even_points(32, 3, "maps")
    surface = fit_surface(x, scores(x, x[:, 0] * x[:, 1], noise=0.01, common=0.0), NAMES)
    assert surface is not None
    maps = response_maps(surface)
    assert [(one.first, one.second) for one in maps] == [("a", "b"), ("a", "dummy"), ("b", "dummy")]
    table = np.array(maps[0].mean)
    grid = np.array(maps[0].grid)
    assert table.shape == (15, 15)
    assert table == pytest.approx(np.outer(grid, grid), abs=0.1)
    curve = response_curves(surface, points=15)[0]
    assert integrate.simpson(table, x=grid, axis=1) == pytest.approx(curve.mean, abs=0.01)
    assert np.array(maps[0].half_width).min() >= 0


def test_pure_noise_has_no_predictive_r_squared() -> None:
    x = even_points(32, 3, "noise")
    surface = fit_surface(x, np.random.default_rng(2).normal(size=(32, 3, 1)), NAMES)
    assert surface is not None
    assert surface.fit.r_squared < 0.3
    found = interaction_shares(surface, samples=10)
    assert max(share.high - share.low for share in found.first) > 0.1


def test_one_seed_fits_its_noise_and_lost_trials_are_counted() -> None:
    x = even_points(16, 3, "one")
    y = scores(x, additive(x), R=1)
    y[0] = np.nan
    surface = fit_surface(x, y, NAMES)
    assert surface is not None
    assert not surface.fit.noise_known
    assert surface.fit.level_error is None
    interaction_shares(surface, samples=3)
    assert (surface.fit.n_settings, surface.fit.lost_settings, surface.fit.lost_sets) == (15, 1, 1)


@pytest.mark.parametrize("kept", [0, 1, 4])
def test_too_few_settings_or_a_flat_one_give_no_surface(kept: int) -> None:
    x = even_points(8, 3, "few")
    y = scores(x, additive(x))
    y[kept:] = np.nan
    assert fit_surface(x, y, NAMES) is None
    assert fit_surface(x, np.full((8, 2, 2), 0.1), NAMES) is None


def test_replicates_without_any_spread_still_fit() -> None:
    x = even_points(16, 3, "exact")
    y = np.repeat(additive(x)[:, None, None], 3, axis=1)
    surface = fit_surface(x, y, NAMES)
    assert surface is not None
    assert surface.fit.r_squared > 0.8


def test_a_surface_of_noise_explains_nothing_and_one_of_a_function_does() -> None:
    x = even_points(64, 3, "noise")
    noise = fit_surface(x, np.random.default_rng(2).normal(size=(64, 3, 1)), NAMES)
    smooth = fit_surface(x, scores(x, additive(x)), NAMES)
    assert noise is not None
    assert smooth is not None
    assert not noise.fit.explains
    assert smooth.fit.explains
