"""What kind of data: the linear probe and the intrinsic dimension on data whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mim4dd.data import characteristics, load
from mim4dd.data.characteristics import intrinsic_dimension, linear_probe
from mim4dd.records import ImageData


@pytest.mark.parametrize("dimension", [1, 3, 6])
def test_points_of_a_known_dimension_have_it(dimension: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.random((2_000, dimension)) @ rng.normal(size=(dimension, 64)) / 64 + 0.5
    found = intrinsic_dimension(points.reshape(-1, 1, 8, 8).astype(np.float32))
    assert found == pytest.approx(dimension, rel=0.12)


def test_identical_images_have_no_dimension() -> None:
    assert math.isnan(intrinsic_dimension(np.full((10, 1, 2, 2), 0.5, np.float32)))


def test_a_probe_is_perfect_where_a_pixel_tells_the_class_and_at_chance_where_none_does() -> None:
    rng = np.random.default_rng(0)

    def made(told: bool) -> ImageData:
        labels = np.arange(600) % 3
        images = rng.random((600, 1, 4, 4), dtype=np.float32) * 0.3
        if told:
            images[np.arange(600), 0, 0, labels] += 0.7
        return ImageData(images, labels, np.arange(600), ("a", "b", "c"), "made")

    assert linear_probe(made(True), made(True)) == 1
    assert linear_probe(made(False), made(False)) == pytest.approx(1 / 3, abs=0.1)


def test_digits_are_described() -> None:
    splits = load("digits")
    found = characteristics(splits)
    assert found == characteristics(splits)
    assert {key: found[key] for key in ("classes", "channels", "height", "width", "training_images")} == {
        "classes": 10,
        "channels": 1,
        "height": 8,
        "width": 8,
        "training_images": 1_100,
    }
    assert found["smallest_class"] <= 110 <= found["largest_class"]
    assert 0.9 < found["linear_probe"] < 1
    assert 5 < found["intrinsic_dimension"] < 20
