"""Random draws that belong to images, whichever of them are kept and in whatever order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mim4dd.errors import DataError
from mim4dd.records import ImageData, Integers

LARGEST_INDEX = 50_000_000


def uniforms(rng: np.random.Generator, data: ImageData, columns: int = 1) -> npt.NDArray[np.float64]:
    """Uniforms of each image, by its `index`: an image has the same ones in every subset of its data set.

    Shapes: [columns, N].
    Raises: DataError for an index that is negative or absurdly large.
    """
    check_index(data)
    count = int(data.index.max()) + 1 if len(data) else 0
    return rng.random((count, columns))[data.index].T


def check_index(data: ImageData) -> None:
    """Raises: DataError for an index that is negative or absurdly large."""
    if len(data) and (data.index.min() < 0 or data.index.max() >= LARGEST_INDEX):
        raise DataError(
            f"{data.source}: index must be in [0, {LARGEST_INDEX:,}), as each image has draws of its own, "
            f"got {data.index.min()} to {data.index.max()}; number the images from 0"
        )


def ranks(labels: Integers, classes: int, draws: npt.NDArray[np.float64]) -> Integers:
    """The rank of each image within its class, by its draw: 0 for the smallest, [N]."""
    order = np.lexsort((draws, labels))
    counts = np.bincount(labels, minlength=classes)
    starts = np.cumsum(counts) - counts
    within_class = np.empty(len(labels), np.int64)
    within_class[order] = np.arange(len(labels)) - starts[labels[order]]
    return within_class


def check_classes(name: str, data: ImageData) -> None:
    """Raises: DataError when there is only one class."""
    if len(data.classes) < 2:
        raise DataError(f"{name} needs at least 2 classes, {data.source} has {len(data.classes)}")
