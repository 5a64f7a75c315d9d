"""Defocus blur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mim4dd.records import Floats, ImageData
from mim4dd.registry import knob
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.corruption.blocks import Block, corrupted

DISKS = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))


@PERTURBATIONS.add("defocus_blur")
@dataclass(frozen=True, kw_only=True)
class DefocusBlur:
    """Convolution with a disk that is itself blurred: (radius, blur) (.3, .4) (.4, .5) (.5, .6) (1, .2) (1.5, .1).

    The border is mirrored without its own pixel.
    Source: Hendrycks & Dietterich 2019, CIFAR constants. Differs: the kernel is cut to the 3 x 3 pixels in which at
    these radii all but 1e-5 of it lies; not rounded to 8 bits.
    """

    stage: ClassVar[str] = "pixel corruption"
    severity: int = knob(3, low=0, high=5, search=(0, 5), help="0 changes nothing, 5 is the strongest")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        kernel = disk(*DISKS[max(self.severity, 1) - 1])
        _, height, width = train.shape

        def change(block: Block) -> Floats:
            wide = np.pad(block.images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
            blurred = np.zeros_like(block.images)
            for (top, left), weight in np.ndenumerate(kernel):
                blurred += weight * wide[:, :, top : top + height, left : left + width]
            return blurred

        return corrupted(train, "defocus_blur", self.severity, seed, change)


def disk(radius: float, blur: float) -> npt.NDArray[np.float32]:
    """A disk of pixels blurred by a 3 x 3 Gaussian of standard deviation `blur`, its middle [3, 3], of sum 1."""
    squares = np.arange(-2, 3) ** 2
    flat = (squares[:, None] + squares <= radius**2).astype(np.float64)
    taps = np.exp(-(np.array([1, 0, 1]) / (2 * blur**2)))
    blurred = np.zeros((3, 3))
    for (down, right), weight in np.ndenumerate(np.outer(taps, taps)):
        blurred += weight * flat[2 - down : 5 - down, 2 - right : 5 - right]
    kernel: npt.NDArray[np.float32] = (blurred / blurred.sum()).astype(np.float32)
    return kernel
