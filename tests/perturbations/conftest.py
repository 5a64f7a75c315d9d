"""Splits that the tests of perturbations share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mim4dd.data import load
from mim4dd.records import ImageData

Make = Callable[..., ImageData]


@pytest.fixture(scope="session")
def train() -> ImageData:
    """scikit-learn's digits, arrays that nothing can write."""
    found = load("digits").train
    for array in (found.images, found.labels, found.index):
        array.setflags(write=False)
    return found


@pytest.fixture(scope="session")
def make() -> Make:
    """Made splits: `make([5, 3])` has 5 images of class 0 and 3 of class 1, in a mixed order."""

    def made(counts: Sequence[int], shape: tuple[int, int, int] = (1, 1, 1), source: str = "made/train") -> ImageData:
        rng = np.random.default_rng(0)
        labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
        images = rng.random((len(labels), *shape), dtype=np.float32)
        data = ImageData(images, labels, np.arange(len(labels)), tuple(str(k) for k in range(len(counts))), source)
        for array in (data.images, data.labels, data.index):
            array.setflags(write=False)
        return data

    return made
