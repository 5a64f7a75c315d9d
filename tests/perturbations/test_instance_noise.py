"""Instance-dependent noise: its rates, its nesting, its dependence on pixels, and the formula written out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mim4dd.records import ImageData
from mim4dd.seeding import generator
from perturbations import ExponentialImbalance, InstanceNoise, chain
from perturbations.labels.instance import flip_chances

Make = Callable[..., ImageData]


def test_flip_chances_are_the_truncated_normal_s() -> None:
    from scipy.stats import truncnorm

    uniform = np.linspace(0, 1, 100, endpoint=False)
    for rate in (0.05, 0.2, 0.9):
        published = truncnorm(-rate / 0.1, (1 - rate) / 0.1, loc=rate, scale=0.1)
        assert flip_chances(rate, uniform) == pytest.approx(published.ppf(uniform), abs=1e-9)


@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_the_realised_rate_is_about_the_one_asked_for(rate: float, make: Make) -> None:
    made = InstanceNoise(rate=rate)(make([400] * 10, (1, 4, 4)), seed=0)
    # 4,000 images: the sampling error is below .008.
    assert made.realised["rate"] == pytest.approx(rate, abs=0.03)
    assert made.realised["asked"] is None


def test_a_rate_of_zero_is_the_control(train: ImageData) -> None:
    assert InstanceNoise(rate=0)(train, seed=0).data is train


def test_flips_are_nested_with_the_same_new_labels(train: ImageData) -> None:
    low, high = (InstanceNoise(rate=rate)(train, seed=1) for rate in (0.15, 0.45))
    assert 0 < low.flipped.sum() < high.flipped.sum()
    assert (high.data.labels[low.flipped] == low.data.labels[low.flipped]).all()


def test_labels_are_those_of_the_formula_one_image_at_a_time(make: Make) -> None:
    data = make([8, 0, 9, 7], (3, 3, 2))
    made = InstanceNoise(rate=0.5)(data, seed=4)
    annotator, draws = generator("label noise", "instance", "made/train", 4).spawn(2)
    weights = [annotator.standard_normal((18, 4), dtype=np.float32) for _ in range(4)]
    uniforms = draws.random((24, 3))
    for i in range(24):
        pixels, y = data.images.astype(np.float64), int(data.labels[i])
        x = ((pixels[i] - pixels.mean((0, 2, 3))[:, None, None]) / pixels.std((0, 2, 3))[:, None, None]).ravel()
        scores = np.exp(x @ weights[y])
        scores[y] = 0
        cdf = np.cumsum(scores / scores.sum())
        location, flip, which = uniforms[i]
        expected = int(np.searchsorted(cdf, which)) if flip < flip_chances(0.5, location) else y
        assert made.data.labels[i] == expected


def test_which_class_hangs_on_the_pixels(make: Make) -> None:
    # Two kinds of images: each kind of a class has its own wrong class, for the softmax of 64 pixels is nearly one-hot.
    data = make([2000, 2000, 2000], (1, 8, 8))
    kinds = np.random.default_rng(1).random((2, 1, 8, 8), dtype=np.float32)
    kind = data.index % 2
    made = InstanceNoise(rate=0.5)(ImageData(kinds[kind], data.labels, data.index, data.classes, data.source), seed=0)
    for label in range(3):
        for which in range(2):
            wrong = made.data.labels[made.flipped & (data.labels == label) & (kind == which)]
            assert np.bincount(wrong, minlength=3).max() > 0.8 * len(wrong)


def test_an_image_left_by_an_imbalance_keeps_its_noise(train: ImageData) -> None:
    whole = InstanceNoise(rate=0.4)(train, seed=0)
    fewer = chain([ExponentialImbalance(factor=4), InstanceNoise(rate=0.4)], train, seed=0)
    rows = np.searchsorted(train.index, fewer.data.index) if (np.diff(train.index) > 0).all() else None
    rows = rows if rows is not None else [train.index.tolist().index(i) for i in fewer.data.index.tolist()]
    # The flips are the very same; the new labels shift a little with the mean and std of the images that are left.
    assert (fewer.flipped == whole.flipped[rows]).all()
    assert (fewer.data.labels == whole.data.labels[rows]).mean() > 0.97


def test_constant_images_two_classes_and_a_hundred(make: Make) -> None:
    flat = make([30, 30])
    flat = ImageData(np.full_like(flat.images, 0.5), flat.labels, flat.index, flat.classes, flat.source)
    made = InstanceNoise(rate=0.5)(flat, seed=0)
    assert (made.data.labels[made.flipped] == 1 - flat.labels[made.flipped]).all()
    assert InstanceNoise(rate=0.5)(make([1] * 100, (1, 2, 2)), seed=0).flipped.sum() > 20
