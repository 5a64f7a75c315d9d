"""Light: contrast and brightness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mim4dd.records import Floats, ImageData
from mim4dd.registry import knob
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.corruption.blocks import Block, corrupted

CONTRAST = (0.75, 0.5, 0.4, 0.3, 0.15)
BRIGHTNESS = (0.05, 0.1, 0.15, 0.2, 0.3)


@PERTURBATIONS.add("contrast")
@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Values move towards the mean of their image and channel: mean + c * (x - mean); c is .75 .5 .4 .3 .15.

    Source: Hendrycks & Dietterich 2019, CIFAR constants. Differs: not rounded to 8 bits.
    """

    stage: ClassVar[str] = "pixel corruption"
    severity: int = knob(3, low=0, high=5, search=(0, 5), help="0 changes nothing, 5 is the strongest")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        left = np.float32((1, *CONTRAST)[self.severity])

        def change(block: Block) -> Floats:
            mean = block.images.mean((2, 3), keepdims=True)
            return mean + left * (block.images - mean)

        return corrupted(train, "contrast", self.severity, seed, change)


@PERTURBATIONS.add("brightness")
@dataclass(frozen=True, kw_only=True)
class Brightness:
    """The value of HSV (the largest channel) rises by .05 .1 .15 .2 .3, to at most 1; in grey, every value does.

    Hue and saturation stay, so the channels are scaled by new value / value; black becomes grey.
    Source: Hendrycks & Dietterich 2019, CIFAR constants. Differs: not rounded to 8 bits.
    """

    stage: ClassVar[str] = "pixel corruption"
    severity: int = knob(3, low=0, high=5, search=(0, 5), help="0 changes nothing, 5 is the strongest")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        added = np.float32((0, *BRIGHTNESS)[self.severity])

        def change(block: Block) -> Floats:
            value = block.images.max(1, keepdims=True)
            brighter = np.minimum(value + added, np.float32(1))
            black = np.float32(1e-6)
            return np.where(value > black, block.images * (brighter / np.maximum(value, black)), brighter)

        return corrupted(train, "brightness", self.severity, seed, change)
