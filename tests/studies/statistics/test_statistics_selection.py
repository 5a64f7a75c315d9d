"""Selection: the best, its region, regret without the winner's curse, the leak of choosing on test."""

import dataclasses
import json

import numpy as np
import pytest

from studies.engine.statistics import (
    best_setting,
    one_standard_error_region,
    regret_of,
    selection_leak,
    split_choice,
)

Y = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.5, 4.5, 3.5], [9.0, 9.0, np.nan]])[:, :, None]


def test_the_best_is_whole_and_the_others_are_counted() -> None:
    best = best_setting(Y)
    assert (best.index, best.mean, best.eligible, best.ineligible) == (1, 5.0, 3, 1)
    assert best.se == pytest.approx(1 / np.sqrt(3))


def test_the_region_holds_what_lies_within_one_standard_error() -> None:
    region = one_standard_error_region(Y)
    assert region.indices == (1, 2)
    assert region.threshold == pytest.approx(5 - 1 / np.sqrt(3))
    assert one_standard_error_region(Y[:, :1]).indices == (3,)


def test_regret_is_the_paired_gain_over_the_default() -> None:
    regret = regret_of(0, Y)
    assert regret.best == 1
    assert (regret.naive.mean, regret.naive.low, regret.naive.n) == (3.0, 3.0, 3)
    # without each seed in turn: (1, 1, 2) win; on the seed left out they gain 4-1, 5-2, 3.5-3
    assert regret.choices == (1, 1, 2)
    assert regret.cross_fitted.mean == pytest.approx((3 + 3 + 0.5) / 3)


def test_a_default_that_lost_a_seed_loses_a_pair() -> None:
    regret = regret_of(3, Y)
    assert (regret.naive.n, regret.naive.lost) == (2, 1)
    assert (regret.cross_fitted.n, regret.cross_fitted.lost) == (2, 1)
    with pytest.raises(ValueError, match="default must be an index"):
        regret_of(4, Y)


def test_on_pure_noise_cross_fitting_is_unbiased_where_the_naive_regret_is_not() -> None:
    rng = np.random.default_rng(0)
    regrets = [regret_of(0, rng.normal(size=(16, 4, 2))) for _ in range(400)]
    naive = np.array([regret.naive.mean for regret in regrets], dtype=float)
    cross = np.array([regret.cross_fitted.mean for regret in regrets], dtype=float)
    assert naive.mean() > 0.5
    assert abs(cross.mean()) < 3 * cross.std(ddof=1) / np.sqrt(len(cross))


def test_the_leak_of_choosing_on_test() -> None:
    validation = np.array([[1.0, 1.0], [3.0, 3.0], [2.0, 2.0], [9.0, np.nan]])[:, :, None]
    test = np.array([[1.0, 1.0], [2.0, 2.0], [2.5, 3.5], [9.0, 9.0]])[:, :, None]
    leak = selection_leak(validation, test)
    assert (leak.leak, leak.on_test, leak.on_validation) == (1.0, 2, 1)
    assert (leak.eligible, leak.ineligible) == (3, 1)
    assert selection_leak(test, test).leak == 0
    with pytest.raises(ValueError, match="share settings and seeds"):
        selection_leak(validation, test[:2])


@pytest.mark.parametrize("shape", [(3, 1, 2), (1, 2, 1), (4, 2, 1)])
def test_few_seeds_give_bounds_where_they_can(shape: tuple[int, int, int]) -> None:
    y = np.random.default_rng(0).normal(size=shape)
    regret = regret_of(0, y)
    assert (regret.naive.low is None) == (shape[1] == 1)
    assert (regret.cross_fitted.mean is None) == (shape[1] == 1)
    assert best_setting(y).index in one_standard_error_region(y).indices
    json.dumps(dataclasses.asdict(regret), allow_nan=False)


def test_all_lost_gives_no_answer() -> None:
    y = np.full((3, 2, 2), np.nan)
    assert best_setting(y).index is None
    assert one_standard_error_region(y).indices == ()
    assert regret_of(0, y).naive.mean is None
    assert selection_leak(y, y).leak is None


def test_a_split_choice_never_sees_the_judging_seeds() -> None:
    y = np.random.default_rng(3).normal(size=(8, 6, 3))
    found = split_choice(y, (4, 0, 1))
    assert found.judging == (2, 3, 5)
    changed = y.copy()
    changed[:, [2, 3, 5]] = np.random.default_rng(4).normal(size=(8, 3, 3))
    changed[2, 3] = np.nan
    assert split_choice(changed, (4, 0, 1)) == found
    assert found.best == int(y[:, [4, 0, 1]].mean(axis=(1, 2)).argmax())


def test_the_region_of_a_split_choice_is_one_paired_standard_error_wide() -> None:
    seeds = 10 * np.array([1.0, -2.0, 0.5, 3.0])  # cancel within a seed
    noise = np.array([[1, -1, 0, 9], [-1, 1, 0, 9], [1, -1, 0, 9], [-1, 1, 0, 9]])
    y = (np.array([5.0, 4.5, 3.0, 5.0]) + 0.0)[:, None] + seeds + noise
    y[3, 1] = np.nan
    found = split_choice(y[:, :, None], (0, 1, 2))
    assert (found.best, found.region) == (0, (0, 1))
    rows = (y - y[:3].mean(0))[:3, :3]
    residual = rows - rows.mean(1, keepdims=True)
    assert found.error == pytest.approx(np.sqrt(2 / 3 * (residual**2).sum() / 4))
    alone = split_choice(y[:3, :, None], (2,))
    assert (alone.region, alone.error) == ((0,), None)
    with pytest.raises(ValueError, match="some but not all"):
        split_choice(y[:, :, None], (0, 1, 2, 3))
    with pytest.raises(ValueError, match="each once"):
        split_choice(y[:, :, None], (0, 0))


def test_a_choice_on_some_seeds_does_not_err_on_the_others_where_leaving_one_out_does() -> None:
    rng, wrong = np.random.default_rng(5), {"split": 0, "left out": 0}
    for _ in range(400):
        y = rng.normal(size=(16, 10, 1))
        choice, left_out = split_choice(y, range(5)), regret_of(0, y).cross_fitted
        cells = y[:, list(choice.judging), 0]
        gain = cells[list(choice.region)].mean(0) - cells[0]
        t = gain.mean() / (gain.std(ddof=1) / np.sqrt(5)) if np.ptp(gain) else 0.0
        wrong["split"] += abs(t) > 2.776
        wrong["left out"] += left_out.low is not None and not left_out.low <= 0 <= (left_out.high or 0)
    assert wrong["split"] <= 0.08 * 400
    assert wrong["left out"] >= 0.11 * 400
