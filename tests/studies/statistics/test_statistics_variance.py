"""Variance components: recovered on simulated data, equal to the ANOVA where balanced, tolerant of losses."""

import dataclasses
import json

import numpy as np
import pytest

from studies.engine.statistics import setting_means, variance_components


def simulated(S: int, R: int, E: int, sds: tuple[float, float, float, float], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    setting, common, cell, network = sds
    return (
        0.5
        + setting * rng.normal(size=(S, 1, 1))
        + common * rng.normal(size=(1, R, 1))
        + cell * rng.normal(size=(S, R, 1))
        + network * rng.normal(size=(S, R, E))
    )


def test_components_are_recovered_on_average() -> None:
    found = [variance_components(simulated(32, 5, 4, (3, 1, 2, 1.5), seed), resamples=1) for seed in range(60)]
    for name, truth in (("settings", 9.0), ("sets", 5.0), ("networks", 2.25)):
        values = np.array([getattr(one, name).value ** 2 for one in found])
        assert abs(values.mean() - truth) < 4 * values.std(ddof=1) / np.sqrt(len(values))
    shares = np.array([one.common_seed_share.value for one in found if one.common_seed_share])
    assert 0.1 < shares.mean() < 0.25


def test_losses_do_not_bias_the_components() -> None:
    rng = np.random.default_rng(1)
    found = []
    for seed in range(60):
        y = simulated(24, 4, 3, (3, 1, 2, 1.5), seed)
        y[rng.random(y.shape) < 0.1] = np.nan
        y[rng.random(y.shape[:2]) < 0.1] = np.nan
        found.append(variance_components(y, resamples=1))
    for name, truth in (("settings", 9.0), ("sets", 5.0), ("networks", 2.25)):
        values = np.array([getattr(one, name).value ** 2 for one in found])
        assert abs(values.mean() - truth) < 4 * values.std(ddof=1) / np.sqrt(len(values))
    assert any(one.lost_sets for one in found)


def test_balanced_components_are_the_anova_mean_squares() -> None:
    y = simulated(12, 4, 3, (3, 1, 2, 1.5))
    S, R, E = y.shape
    cells = y.mean(axis=2)
    rows, columns = cells.mean(axis=1), cells.mean(axis=0)
    residual = ((cells - rows[:, None] - columns[None] + cells.mean()) ** 2).sum() / ((S - 1) * (R - 1))
    networks = y.var(axis=2, ddof=1).mean()
    sets = cells.var(axis=1, ddof=1).mean() - networks / E
    common = columns.var(ddof=1) - residual / S
    found = variance_components(y, resamples=10)
    assert found.networks is not None
    assert found.networks.value**2 == pytest.approx(networks)
    assert found.sets is not None
    assert found.sets.value**2 == pytest.approx(sets)
    assert found.settings is not None
    assert found.settings.value**2 == pytest.approx(rows.var(ddof=1) - residual / R)
    assert found.common_seed_share is not None
    assert found.common_seed_share.value == pytest.approx(common / sets)
    assert found.effect_to_noise is not None
    assert found.effect_to_noise.value == pytest.approx(found.settings.value / found.sets.value)


def test_bootstrap_over_settings_covers_the_effect() -> None:
    covered = 0
    for seed in range(60):
        found = variance_components(simulated(40, 4, 3, (3, 1, 2, 1.5), seed), resamples=200).settings
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 3 <= found.high
    assert covered >= 50  # 83 %: a percentile bootstrap of a variance over 40 settings reaches about 92


def test_same_input_same_numbers_and_json() -> None:
    y = simulated(8, 3, 2, (1, 1, 1, 1))
    assert variance_components(y) == variance_components(y)
    json.dumps(dataclasses.asdict(variance_components(y)), allow_nan=False)


@pytest.mark.parametrize("shape", [(8, 1, 3), (8, 2, 1), (3, 3, 2), (1, 1, 1), (8, 2, 2)])
def test_degenerate_designs_answer_none_where_a_component_cannot_be_seen(shape: tuple[int, int, int]) -> None:
    S, R, E = shape
    found = variance_components(simulated(S, R, E, (1, 1, 1, 1)))
    assert (found.sets is None) == (R == 1)
    assert (found.settings is None) == (R == 1 or S == 1)
    assert (found.networks is None) == (E == 1)
    if S < 5 and found.sets is not None:
        assert found.sets.low is None


def test_constant_and_lost_scores() -> None:
    constant = variance_components(np.full((8, 3, 2), 0.1))
    assert constant.sets is not None
    assert (constant.sets.value, constant.effect_to_noise, constant.common_seed_share) == (0.0, None, None)
    nothing = variance_components(np.full((8, 3, 2), np.nan))
    assert (nothing.settings, nothing.n_settings, nothing.lost_settings, nothing.lost_sets) == (None, 0, 8, 24)
    with pytest.raises(ValueError, match="y must be"):
        variance_components(np.zeros((3, 3)))


def test_a_setting_that_lost_its_hard_seed_is_not_flattered() -> None:
    seeds, settings = np.array([-10.0, 0.0, 10.0]), np.arange(6.0)
    y = (settings[:, None] + seeds[None])[:, :, None]
    y[2, 0] = np.nan
    y[5] = np.nan
    means = setting_means(y)
    assert means.values == pytest.approx(settings[:5])
    assert means.kept.tolist() == [0, 1, 2, 3, 4]
    assert (means.lost_settings, means.lost_sets) == (1, 4)
