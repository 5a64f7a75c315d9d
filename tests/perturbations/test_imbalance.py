"""Class imbalance by exact counts, nested between factors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mim4dd.errors import DataError
from mim4dd.records import ImageData
from perturbations import ExponentialImbalance, StepImbalance

Make = Callable[..., ImageData]
KINDS = [ExponentialImbalance, StepImbalance]


def test_exponential_counts_are_the_published_ones(make: Make) -> None:
    made = ExponentialImbalance(factor=100.0)(make([5_000] * 10), seed=0)
    published = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert made.data.counts.tolist() == published == made.realised["counts"]
    assert made.realised["factor"] == 100


def test_exponential_counts_start_from_the_smallest_class(make: Make) -> None:
    made = ExponentialImbalance(factor=4.0)(make([90, 70, 64]), seed=0)
    assert made.data.counts.tolist() == [64, 32, 16]


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_of_one_image_leaves_nothing_to_be_unequal(make: Make, kind: type[ExponentialImbalance]) -> None:
    with pytest.raises(DataError, match=r"first cuts every class to the smallest, and class 2 of .* has 1 image"):
        kind(factor=4.0)(make([90, 70, 1]), seed=0)
    assert len(kind(factor=1.0)(make([90, 70, 1]), seed=0).data) == 161, "the control changes nothing"


@pytest.mark.parametrize("factor", [2.0, 5.0, 10.0, 100.0])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_the_ends_are_whole_where_the_factor_divides(factor: float, classes: int, make: Make) -> None:
    counts = ExponentialImbalance(factor=factor)(make([100] * classes), seed=0).data.counts
    assert (counts[0], counts[-1]) == (100, 100 / factor)
    assert (np.diff(counts) <= 0).all()


@pytest.mark.parametrize(
    ("minority", "rare"), [(0.0, 1), (0.1, 1), (0.2, 2), (0.5, 5), (0.9, 9), (0.95, 9), (1.0, 9), (0.24, 2)]
)
def test_step_makes_the_last_classes_rare(minority: float, rare: int, make: Make) -> None:
    made = StepImbalance(factor=8.0, minority=minority)(make([33] * 10), seed=0)
    assert made.data.counts.tolist() == [33] * (10 - rare) + [4] * rare
    assert made.realised["factor"] == 33 / 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_random_order_permutes_the_same_counts(kind: type, make: Make) -> None:
    data = make([100] * 10)
    made = kind(factor=10.0, order="random")(data, seed=0).data.counts
    assert sorted(made) == sorted(kind(factor=10.0)(data, seed=0).data.counts)
    assert made.tolist() != sorted(made, reverse=True)
    assert (made.argsort() == kind(factor=10.0, order="random")(data, seed=0).data.counts.argsort()).all()


@pytest.mark.parametrize("order", ["label", "random"])
@pytest.mark.parametrize("kind", KINDS)
def test_images_kept_at_a_high_factor_are_among_those_kept_at_a_lower_one(
    kind: type, order: str, train: ImageData
) -> None:
    kept = [set(kind(factor=f, order=order)(train, seed=2).data.index.tolist()) for f in (2.0, 5.0, 50.0)]
    assert kept[2] < kept[1] < kept[0] < set(train.index.tolist())
    assert set(kind(factor=50.0, order=order)(train, seed=3).data.index.tolist()) != kept[2]


@pytest.mark.parametrize("kind", KINDS)
def test_images_keep_their_order_label_and_index(kind: type, train: ImageData) -> None:
    made = kind(factor=10.0)(train, seed=0).data
    rows = [train.index.tolist().index(index) for index in made.index.tolist()]
    assert rows == sorted(rows)
    assert (made.labels == train.labels[rows]).all()
    assert (made.images == train.images[rows]).all()
    assert (made.source, made.classes) == (train.source, train.classes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_of_one_is_the_control(kind: type, make: Make) -> None:
    data = make([5, 9, 7])
    made = kind(factor=1.0)(data, seed=0)
    assert made.data is data
    assert made.realised == {"counts": [5, 9, 7], "factor": 1.8}


@pytest.mark.parametrize("kind", KINDS)
def test_no_class_is_lost(kind: type, make: Make) -> None:
    assert kind(factor=1e9)(make([7] * 5), seed=0).data.counts.min() == 1
    assert kind(factor=2.0)(make([6, 6]), seed=0).data.counts.tolist() == [6, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_data_that_cannot_be_made_imbalanced(kind: type, make: Make) -> None:
    with pytest.raises(DataError, match="needs an image of every class, made/train has none of 1"):
        kind()(make([3, 0, 3]), seed=0)
    with pytest.raises(DataError, match="needs at least 2 classes"):
        kind()(make([3]), seed=0)
