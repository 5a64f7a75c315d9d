"""Selection: the best setting, the region of the best, and the leak of choosing on test."""

import numpy as np
import pytest

from studies.engine.statistics import best_setting, one_standard_error_region, selection_leak

Y = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.5, 4.5, 3.5], [9.0, 9.0, np.nan]])[:, :, None]


def test_the_best_has_all_its_sets() -> None:
    assert best_setting(Y) == 1
    assert best_setting(Y[:, :2]) == 3
    assert best_setting(np.full((3, 2, 2), np.nan)) is None


def test_the_region_holds_what_lies_within_one_paired_standard_error_of_the_best() -> None:
    # Seeds shift all settings alike, which the paired error leaves out: residuals are +-0.1 here.
    y = np.array([[1.0, 2.0], [1.0, 2.2], [1.2, 2.0], [0.5, 1.5]])[:, :, None]
    means = y[:, :, 0].mean(axis=1)
    residual = y[:, :, 0] - means[:, None] - y[:, :, 0].mean(axis=0) + y.mean()
    error = np.sqrt(2 * (residual**2).sum() / (3 * 1) / 2)
    assert error == pytest.approx(np.sqrt(2 * 0.04 / 3 / 2))
    assert one_standard_error_region(y) == (0, 1, 2)
    assert one_standard_error_region(y + np.array([0.0, 0.0, 0.05, 0.0])[:, None, None]) == (1, 2)
    assert one_standard_error_region(100 * y) == (0, 1, 2)


def test_with_one_seed_only_ties_are_in_the_region_and_lost_settings_never_are() -> None:
    assert one_standard_error_region(Y[:, :1]) == (3,)
    assert one_standard_error_region(np.array([2.0, 1.0, 2.0])[:, None, None]) == (0, 2)
    assert 3 not in one_standard_error_region(Y)
    assert one_standard_error_region(np.full((3, 2, 2), np.nan)) == ()


def test_the_leak_of_choosing_on_test() -> None:
    validation = np.array([[1.0, 1.0], [3.0, 3.0], [2.0, 2.0], [9.0, np.nan]])[:, :, None]
    test = np.array([[1.0, 1.0], [2.0, 2.0], [2.5, 3.5], [9.0, 9.0]])[:, :, None]
    leak = selection_leak(validation, test)
    assert (leak.leak, leak.on_test, leak.on_validation) == (1.0, 2, 1)
    assert (leak.eligible, leak.ineligible) == (3, 1)
    assert selection_leak(test, test).leak == 0
    assert selection_leak(np.full((3, 2, 2), np.nan), np.full((3, 2, 2), np.nan)).leak is None
    with pytest.raises(ValueError, match="share settings and seeds"):
        selection_leak(validation, test[:2])
