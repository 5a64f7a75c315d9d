"""The only source of randomness: every stream is seeded by the sha256 of its names.

A stage names only what is upstream of it, so all methods get the same initial images, noise and evaluation networks;
and each iteration has a stream of its own, so that no generator state needs a checkpoint.
Draws are made on the CPU, then moved: one seed gives one set of numbers on every device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Name = str | int | float


def integer(*names: Name) -> int:
    """A 63-bit seed from names; equal names give equal seeds on every platform and Python version."""
    plain = [name.item() if isinstance(name, np.generic) else name for name in names]
    text = "\x1f".join(f"{type(name).__name__}:{name!r}" for name in plain)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*names: Name) -> np.random.Generator:
    """Return a new numpy generator seeded by these names."""
    return np.random.default_rng(integer(*names))


def sampled_rows(count: int, most: int, *names: Name) -> npt.NDArray[np.int64]:
    """The rows of at most `most` of `count` images, in order: all of them, or those that these names draw."""
    if count <= most:
        return np.arange(count)
    return np.sort(generator(*names).permutation(count)[:most])


def torch_generator(*names: Name) -> torch.Generator:
    """Return a new torch CPU generator seeded by these names."""
    import torch

    return torch.Generator().manual_seed(integer(*names))


@contextmanager
def seeded_draws(device: torch.device, *names: Name) -> Iterator[None]:
    """Seed torch's own generators, which dropout draws from, and leave them as they were.

    A GPU draws other numbers than a CPU.
    """
    import torch

    place = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=place):
        for own in (torch.default_generator, *(torch.cuda.default_generators[index] for index in place)):
            own.manual_seed(integer(*names))
        yield


def equal_chances(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """The probability of drawing each image where all classes that have images are equally likely, [N]."""
    chances = 1 / np.bincount(labels)[labels]
    return np.asarray(chances / chances.sum())
