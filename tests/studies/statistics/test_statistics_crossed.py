"""Crossed variance components: unbiased, equal to the mean squares, with intervals that cover."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from studies.engine.statistics import CrossedComponents, crossed_components

SDS = {"settings": 3.0, "seeds": 1.0, "networks": 1.2, "setting_seed": 2.0, "setting_network": 1.5}


def simulated(S: int, R: int, E: int, seed: int = 0, **sds: float) -> np.ndarray:
    rng, of = np.random.default_rng(seed), SDS | sds
    return (
        0.5
        + of["settings"] * rng.normal(size=(S, 1, 1))
        + of["seeds"] * rng.normal(size=(1, R, 1))
        + of["networks"] * rng.normal(size=(1, R, E))
        + of["setting_seed"] * rng.normal(size=(S, R, 1))
        + of["setting_network"] * rng.normal(size=(S, R, E))
    )


def values(found: CrossedComponents, name: str) -> tuple[float, float, float]:
    estimate = getattr(found, name)
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.value, estimate.low, estimate.high


def test_components_are_recovered_on_average() -> None:
    found = [crossed_components(simulated(32, 5, 4, seed)) for seed in range(80)]
    for name, truth in SDS.items():
        squares = np.array([values(one, name)[0] ** 2 for one in found])
        # A negative estimate counts as 0, which for the small components biases the mean a little upwards.
        assert abs(squares.mean() - truth**2) < 4 * squares.std(ddof=1) / np.sqrt(len(squares)) + 0.05


@pytest.mark.parametrize(("S", "R", "E"), [(9, 10, 5), (64, 5, 5), (16, 3, 5)])
def test_intervals_cover(S: int, R: int, E: int) -> None:
    truth = SDS | {"paired": (SDS["setting_seed"] ** 2 + SDS["setting_network"] ** 2 / E) ** 0.5}
    truth["effect_to_paired"] = truth["settings"] / truth["paired"]
    covered = dict.fromkeys(truth, 0)
    runs = 150
    for seed in range(runs):
        found = crossed_components(simulated(S, R, E, 1000 + seed))
        for name, value in truth.items():
            _, low, high = values(found, name)
            covered[name] += low <= value <= high
    # Below 133 of 150 a coverage of 95 % has a probability of 0.001.
    assert min(covered.values()) >= stats.binom.ppf(0.001, runs, 0.95), covered


def test_shared_seeds_and_networks_cancel_from_the_paired_error() -> None:
    y = simulated(12, 4, 3)
    shifted = y + np.random.default_rng(1).normal(size=(1, 4, 3)) * 50
    assert values(crossed_components(shifted), "paired") == pytest.approx(values(crossed_components(y), "paired"))


def test_the_paired_error_is_the_interaction_mean_square_with_its_chi_square_interval() -> None:
    y = simulated(12, 4, 3)
    cells = y.mean(axis=2)
    residual = cells - cells.mean(1)[:, None] - cells.mean(0) + cells.mean()
    df = 11 * 3
    square = (residual**2).sum() / df
    value, low, high = values(crossed_components(y), "paired")
    assert value == pytest.approx(square**0.5)
    exact = np.sqrt(square * df / stats.chi2.ppf([0.975, 0.025], df))
    assert (low, high) == pytest.approx(tuple(exact), rel=0.02)


def test_one_setting_has_seeds_and_networks() -> None:
    y = simulated(1, 6, 4)
    found = crossed_components(y)
    within, means = y[0].var(axis=1, ddof=1).mean(), y[0].mean(axis=1)
    assert values(found, "networks")[0] == pytest.approx(within**0.5)
    assert values(found, "seeds")[0] == pytest.approx(max(0.0, means.var(ddof=1) - within / 4) ** 0.5)
    assert (found.settings, found.paired, found.effect_to_paired) == (None, None, None)


def test_lost_sets_leave_a_balanced_rest_and_are_counted() -> None:
    y = simulated(6, 5, 3)
    lost = y.copy()
    lost[5, 1:] = np.nan
    lost[0, 4] = np.nan
    found = crossed_components(lost)
    assert (found.n_settings, found.n_seeds, found.lost) == (5, 4, 5)
    assert values(found, "settings") == values(crossed_components(y[:5, :4]), "settings")


def test_equal_accuracies_have_no_spread_and_few_numbers_no_estimate() -> None:
    flat = crossed_components(np.full((4, 3, 2), 0.7))
    assert values(flat, "settings") == (0, 0, 0)
    assert flat.effect_to_paired is None
    for y in (np.full((3, 2, 2), np.nan), np.ones((1, 1, 1)), np.ones((4, 1, 1))):
        found = crossed_components(y)
        assert found.settings is None
        json.dumps(dataclasses.asdict(found), allow_nan=False)
