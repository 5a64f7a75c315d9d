"""Corrupt images in blocks of neighbouring indices, several at once, with equal results for any number of threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.records import Floats, ImageData, Integers
from mim4dd.seeding import generator
from perturbations.catalogue import Perturbed
from perturbations.draws import check_index

Array = npt.NDArray[Any]
BLOCK = 64
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, eq=False)
class Block:
    """Images whose `index` lies in one stretch of BLOCK indices, and random numbers that belong to each index.

    Shapes: images [n, channels, H, W], not to be modified; offset [n], each index's offset in its stretch.
    """

    images: Floats
    offset: Integers
    stream: tuple[str | int, ...]

    def drawn(self, draw: Draw, shape: tuple[int, ...] = ()) -> Array:
        """Draw for the whole stretch; returns these images' part, [n, *shape], by default one number per pixel."""
        numbers = draw(generator(*self.stream), (BLOCK, *(shape or self.images.shape[1:])))
        return numbers[self.offset]


Change = Callable[[Block], Array]


def corrupted(
    data: ImageData, name: str, severity: int, seed: int, change: Change, threads: int = THREADS
) -> Perturbed:
    """Apply `change` to the images and clip them to [0, 1]; severity 0 returns the same object.

    An image gets the same random numbers at every severity and in every subset of its data set.
    """
    if severity == 0 or not len(data):
        return Perturbed(data, data.labels, {"severity": severity, "mean_change": 0.0})
    check_index(data)
    images = np.empty_like(data.images, order="C")

    def work(task: tuple[int, Integers]) -> float:
        number, rows = task
        before = data.images[rows]
        stream = ("pixel corruption", name, data.source, seed, number)
        after = np.clip(change(Block(before, data.index[rows] % BLOCK, stream)), 0, 1)
        images[rows] = after
        return float(np.abs(images[rows] - before).sum(dtype=np.float64))

    with ThreadPoolExecutor(threads) as pool:
        moved = sum(pool.map(work, _stretches(data.index)))
    return Perturbed(
        replace(data, images=images), data.labels, {"severity": severity, "mean_change": moved / images.size}
    )


def _stretches(index: Integers) -> Iterator[tuple[int, Integers]]:
    """Each stretch of indices that has images: its number and their rows."""
    order = np.argsort(index, kind="stable")
    numbers, starts = np.unique(index[order] // BLOCK, return_index=True)
    return zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)
