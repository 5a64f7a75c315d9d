"""The only source of randomness: every stream is seeded by the sha256 of its names.

A stage names only what is upstream of it, so all methods get the same initial images, noise and evaluation networks;
and each iteration has a stream of its own, so that no generator state needs a checkpoint.
Draws are made on the CPU, then moved: one seed gives one set of numbers on every device.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

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


def torch_generator(*names: Name) -> torch.Generator:
    """Return a new torch CPU generator seeded by these names."""
    import torch

    return torch.Generator().manual_seed(integer(*names))
