"""Channel statistics against float64 by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mim4dd.data import channel_statistics, standardise
from mim4dd.errors import DataError


def test_statistics_are_those_of_float64() -> None:
    images = np.random.default_rng(0).random((50, 3, 8, 8), dtype=np.float32)
    mean, std = channel_statistics(images)
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_allclose(mean, images.astype(np.float64).mean(axis=(0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(std, images.astype(np.float64).std(axis=(0, 2, 3)), rtol=1e-7)


def test_standardised_images_have_mean_0_and_std_1() -> None:
    images = np.random.default_rng(0).random((50, 3, 8, 8), dtype=np.float32)
    before = images.copy()
    standard = standardise(images, *channel_statistics(images))
    assert standard.dtype == np.float32
    np.testing.assert_array_equal(images, before)
    np.testing.assert_allclose(standard.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=(0, 2, 3)), 1, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_channel_is_centred_and_finite(level: float) -> None:
    images = np.full((9, 1, 7, 7), level, dtype=np.float32)
    mean, std = channel_statistics(images)
    assert std[0] == np.float32(1e-6)
    np.testing.assert_allclose(standardise(images, mean, std), 0, atol=1e-6)


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="at least one image"):
        channel_statistics(np.empty((0, 1, 2, 2), dtype=np.float32))
