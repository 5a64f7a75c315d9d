"""Occlusion: a square hides part of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mim4dd.records import Floats, ImageData
from mim4dd.registry import knob
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.corruption.blocks import Array, Block, corrupted

SIDE = (0.2, 0.3, 0.4, 0.5, 0.6)


@PERTURBATIONS.add("occlusion")
@dataclass(frozen=True, kw_only=True)
class Occlusion:
    """A square of side round(.2 .3 .4 .5 .6 of the shorter side) is filled with the mean colour of these images.

    It lies anywhere within the image, uniformly; at a higher severity it covers that of a lower severity.
    Source: ours, after the cutout of DeVries & Taylor 2017; Hendrycks & Dietterich have no occlusion.
    """

    stage: ClassVar[str] = "pixel corruption"
    severity: int = knob(3, low=0, high=5, search=(0, 5), help="0 changes nothing, 5 is the strongest")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        _, height, width = train.shape
        side = max(1, round((0, *SIDE)[self.severity] * min(height, width)))
        mean = train.images.mean((0, 2, 3), dtype=np.float64).astype(np.float32)[:, None, None]

        def change(block: Block) -> Floats:
            down, across = block.drawn(lambda rng, shape: rng.random(shape), (2,)).T
            hidden = _covered(down, height, side)[:, None, :, None] & _covered(across, width, side)[:, None, None, :]
            return np.where(hidden, mean, block.images)

        return corrupted(train, "occlusion", self.severity, seed, change)


def _covered(uniform: Array, length: int, side: int) -> Array:
    """Which of `length` pixels a side covers, which starts anywhere where it fits, [n, length]."""
    start = np.floor(uniform * (length - side + 1))[:, None]
    pixel = np.arange(length)
    covered: Array = (pixel >= start) & (pixel < start + side)
    return covered
