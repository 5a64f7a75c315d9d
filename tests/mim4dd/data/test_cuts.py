"""Stratified cuts against exact counts."""

from __future__ import annotations

import numpy as np
import pytest

from mim4dd.data import cut
from mim4dd.data.cuts import stratified_shares
from mim4dd.errors import DataError
from mim4dd.records import ImageData


def data(*counts: int) -> ImageData:
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.zeros((len(labels), 1, 2, 2), dtype=np.float32)
    names = tuple(f"c{label}" for label in range(len(counts)))
    return ImageData(images, labels, np.arange(len(labels)), names, "toy")


@pytest.mark.parametrize(
    ("counts", "total", "shares"),
    [
        ([10, 10], 4, [2, 2]),
        ([10, 10, 10], 4, [2, 1, 1]),
        ([7, 2, 1], 5, [4, 1, 0]),
        ([98, 1, 1], 3, [3, 0, 0]),
        ([2, 2, 2], 3, [1, 1, 1]),
    ],
)
def test_largest_remainder_with_exact_totals(counts: list[int], total: int, shares: list[int]) -> None:
    assert stratified_shares(np.array(counts), total, "toy").tolist() == shares


def test_both_parts_keep_the_order_and_share_nothing() -> None:
    kept, taken = cut(data(30, 20, 10), 0.1, "a", 1)
    assert taken.counts.tolist() == [3, 2, 1]
    assert (np.diff(kept.index) > 0).all()
    assert sorted([*kept.index, *taken.index]) == list(range(60))


def test_names_decide_the_choice() -> None:
    first, again, other = (cut(data(50, 50), 0.2, "a", seed)[1].index.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_every_class_keeps_an_image() -> None:
    kept, taken = cut(data(1, 1, 8), 0.5, "a")
    assert (kept.counts.tolist(), taken.counts.tolist()) == ([1, 1, 3], [0, 0, 5])


def test_at_least_one_image_is_taken() -> None:
    assert len(cut(data(2, 2), 0.1, "a")[1]) == 1


def test_a_class_without_images_is_refused() -> None:
    with pytest.raises(DataError, match="every class needs a training image, got none of c1"):
        cut(data(5, 0, 5), 0.1, "a")


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DataError, match="too few to set 1 of them aside"):
        cut(data(1, 1), 0.1, "a")
