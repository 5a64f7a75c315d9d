"""Crossed variance components: equal to the textbook mean squares, intervals that cover, losses counted."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from studies.engine.statistics import crossed_components, set_components
from studies.engine.statistics.crossed import complete_table

# Standard deviations: settings, seeds, networks, setting x seed, setting x network; as on digits, in points.
DIGITS = (0.2, 0.9, 1.9, 0.1, 0.65)


def simulated(S: int, R: int, E: int, sds: tuple[float, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shapes = ((S, 1, 1), (1, R, 1), (1, R, E), (S, R, 1), (S, R, E))
    return np.asarray(88 + sum(sd * rng.normal(size=shape) for sd, shape in zip(sds, shapes, strict=True)))


def test_components_are_recovered_on_average() -> None:
    names = ("settings", "seeds", "networks", "setting_by_seed", "setting_by_network")
    found = [crossed_components(simulated(24, 6, 4, (3, 4, 2, 2, 1.5), seed)) for seed in range(60)]
    for name, truth in zip(names, (3, 4, 2, 2, 1.5), strict=True):
        values = np.array([getattr(one, name).value ** 2 for one in found])
        assert abs(values.mean() - truth**2) < 4 * values.std(ddof=1) / np.sqrt(len(values))


def test_point_estimates_are_the_mean_squares_worked_by_sums() -> None:
    y = simulated(6, 4, 3, (3, 1, 2, 1.5, 1))
    S, R, E = y.shape
    cell = y.mean(2)
    interaction = sum(
        (cell[s, r] - cell[s].mean() - cell[:, r].mean() + cell.mean()) ** 2 for s in range(S) for r in range(R)
    )
    ms_cell = E * interaction / ((S - 1) * (R - 1))
    ms_setting = R * E * cell.mean(1).var(ddof=1)
    found = crossed_components(y)
    assert found.settings is not None
    assert found.paired is not None
    assert found.effect_to_paired is not None
    assert found.settings.value**2 == pytest.approx((ms_setting - ms_cell) / (R * E))
    assert found.paired.value == pytest.approx(np.sqrt(ms_cell / E))
    assert found.effect_to_paired.value == pytest.approx(found.settings.value / found.paired.value)
    low, high = found.paired.low, found.paired.high
    df = (S - 1) * (R - 1)
    assert (low, high) == pytest.approx([np.sqrt(ms_cell / E * df / stats.chi2.ppf(p, df)) for p in (0.975, 0.025)])


def test_paired_is_the_noise_that_stays_in_a_difference_within_a_seed() -> None:
    y = simulated(2, 4000, 5, (0, *DIGITS[1:]))
    found = crossed_components(y)
    differences = y[0].mean(1) - y[1].mean(1)
    assert found.paired is not None
    assert np.sqrt(2) * found.paired.value == pytest.approx(differences.std(ddof=1))
    assert found.paired.value == pytest.approx(np.sqrt(0.1**2 + 0.65**2 / 5), rel=0.05)


@pytest.mark.parametrize("shape", [(8, 3, 3), (32, 5, 5)])
def test_intervals_cover(shape: tuple[int, int, int]) -> None:
    E, runs = shape[2], 150
    truths = dict(zip(("settings", "seeds", "networks", "setting_by_seed", "setting_by_network"), DIGITS, strict=True))
    truths["paired"] = np.sqrt(DIGITS[3] ** 2 + DIGITS[4] ** 2 / E)
    truths["effect_to_paired"] = DIGITS[0] / truths["paired"]
    covered = dict.fromkeys(truths, 0)
    for seed in range(runs):
        found = crossed_components(simulated(*shape, DIGITS, seed))
        for name, truth in truths.items():
            one = getattr(found, name)
            covered[name] += one.low <= truth <= one.high
    assert min(covered.values()) >= 0.89 * runs
    assert max(covered.values()) <= runs


def test_one_setting_separates_sets_from_networks() -> None:
    covered = {"sets": 0, "networks": 0}
    for seed in range(150):
        found = set_components(simulated(1, 5, 5, DIGITS, seed)[0])
        for name, truth in (("sets", np.hypot(0.9, 0.1)), ("networks", np.hypot(1.9, 0.65))):
            one = getattr(found, name)
            covered[name] += one.low <= truth <= one.high
    assert min(covered.values()) >= 0.89 * 150
    y = simulated(1, 4, 3, (0, 1, 1, 0, 0))[0]
    between, within = y.mean(1).var(ddof=1), y.var(1, ddof=1).mean()
    found = set_components(y)
    assert found.sets is not None
    assert found.networks is not None
    assert found.sets.value**2 == pytest.approx(max(between - within / 3, 0))
    assert found.networks.value**2 == pytest.approx(within)


def test_unequal_networks_keep_the_sets_unbiased() -> None:
    found = []
    for seed in range(300):
        y = simulated(1, 6, 5, (0, 2, 1.5, 0, 0), seed)[0]
        y[0, 1:], y[1, 3:] = np.nan, np.nan
        sets = set_components(y).sets
        assert sets is not None
        found.append(sets.value**2)
    assert abs(np.mean(found) - 4) < 4 * np.std(found, ddof=1) / np.sqrt(len(found))


def test_the_complete_table_gives_up_what_costs_least() -> None:
    y = simulated(10, 4, 3, DIGITS)
    y[3] = np.nan
    y[4, 1] = np.nan
    y[5, 2, 0] = np.nan
    found = crossed_components(y)
    assert (found.n_settings, found.n_seeds, found.lost_settings, found.lost_seeds) == (7, 4, 3, 0)
    assert found == dataclasses.replace(crossed_components(np.delete(y, [3, 4, 5], axis=0)), lost_settings=3)
    most = simulated(10, 4, 3, DIGITS)
    most[:7, 2] = np.nan
    assert complete_table(most).shape == (10, 3, 3)
    padded = np.concatenate([y[:3], np.full((3, 4, 2), np.nan)], axis=2)
    assert complete_table(padded).shape == (3, 4, 3)


@pytest.mark.parametrize("shape", [(8, 1, 3), (1, 8, 3), (8, 3, 1), (2, 2, 2)])
def test_degenerate_designs_answer_none_where_a_component_cannot_be_seen(shape: tuple[int, int, int]) -> None:
    found = crossed_components(simulated(*shape, (1, 1, 1, 1, 1)))
    assert (found.settings is None) == (min(shape[:2]) < 2)
    assert (found.setting_by_seed is None) == (shape[2] == 1 or min(shape[:2]) < 2)
    sets = set_components(simulated(*shape, (1, 1, 1, 1, 1))[0])
    assert (sets.sets is None) == (shape[1] == 1)
    assert (sets.networks is None) == (shape[2] == 1)
    json.dumps([dataclasses.asdict(found), dataclasses.asdict(sets)], allow_nan=False)


def test_equal_scores_and_lost_ones() -> None:
    equal = crossed_components(np.full((8, 3, 2), 0.1))
    assert equal.settings is not None
    assert (equal.settings.value, equal.settings.high, equal.effect_to_paired) == (0.0, 0.0, None)
    nothing = crossed_components(np.full((8, 3, 2), np.nan))
    assert (nothing.paired, nothing.n_settings, nothing.lost_settings) == (None, 0, 8)
    assert set_components(np.full((3, 2), np.nan)).lost_sets == 3
    y = simulated(8, 3, 2, DIGITS)
    assert crossed_components(y) == crossed_components(y)
