"""Pixel noise: Gaussian, shot and impulse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mim4dd.records import ImageData
from mim4dd.registry import knob
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.corruption.blocks import Array, Block, corrupted

SIGMA = (0.04, 0.06, 0.08, 0.09, 0.10)
PHOTONS = (500, 250, 100, 75, 50)
AMOUNT = (0.01, 0.02, 0.03, 0.05, 0.07)
QUANTILES = 2**14


@PERTURBATIONS.add("gaussian_noise")
@dataclass(frozen=True, kw_only=True)
class GaussianNoise:
    """sigma * z is added to every value, z ~ N(0, 1); sigma is .04 .06 .08 .09 .10. One z serves all severities.

    Source: Hendrycks & Dietterich 2019, CIFAR constants. Differs: not rounded to 8 bits.
    """

    stage: ClassVar[str] = "pixel corruption"
    severity: int = knob(3, low=0, high=5, search=(0, 5), help="0 changes nothing, 5 is the strongest")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        sigma = np.float32((0, *SIGMA)[self.severity])

        def change(block: Block) -> Array:
            return block.images + sigma * block.drawn(lambda rng, shape: rng.standard_normal(shape, np.float32))

        return corrupted(train, "gaussian_noise", self.severity, seed, change)


@PERTURBATIONS.add("shot_noise")
@dataclass(frozen=True, kw_only=True)
class ShotNoise:
    """Every value x becomes Poisson(x * c) / c; c is 500 250 100 75 50.

    The Poisson numbers are quantiles of one uniform at all severities, on a grid of 16,384; x is first rounded to 8
    bits, as in the files that the source reads.
    Source: Hendrycks & Dietterich 2019, CIFAR constants. Differs: the result is not rounded to 8 bits.
    """

    stage: ClassVar[str] = "pixel corruption"
    severity: int = knob(3, low=0, high=5, search=(0, 5), help="0 changes nothing, 5 is the strongest")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        photons = (1, *PHOTONS)[self.severity]
        table = poisson_quantiles(photons) if self.severity else np.zeros(0, np.uint16)

        def change(block: Block) -> Array:
            uniform = block.drawn(lambda rng, shape: rng.integers(0, QUANTILES, shape, np.uint16))
            entry = (block.images * np.float32(255) + np.float32(0.5)).astype(np.intp)
            entry *= QUANTILES
            entry += uniform
            return table.take(entry, mode="clip") / np.float32(photons)

        return corrupted(train, "shot_noise", self.severity, seed, change)


def poisson_quantiles(photons: int) -> npt.NDArray[np.uint16]:
    """Poisson(level / 255 * photons) at the quantiles (i + 1/2) / 16384, levels 0..255 one after the other."""
    from scipy.special import pdtr

    most = photons + round(8 * photons**0.5) + 20
    numbers = np.arange(most, dtype=np.uint16)
    reached = pdtr(numbers, np.arange(256)[:, None] / 255 * photons)
    ends = np.rint(reached * QUANTILES).astype(np.int64)
    ends[:, -1] = QUANTILES
    return np.concatenate([np.repeat(numbers, np.diff(row, prepend=0)) for row in ends])


@PERTURBATIONS.add("impulse_noise")
@dataclass(frozen=True, kw_only=True)
class ImpulseNoise:
    """A share of the values becomes 0 or 1, half of them each; the share is .01 .02 .03 .05 .07.

    In colour each channel has its own. Values struck at one severity are among those struck at a higher one.
    Source: Hendrycks & Dietterich 2019, CIFAR constants. Differs: not rounded to 8 bits.
    """

    stage: ClassVar[str] = "pixel corruption"
    severity: int = knob(3, low=0, high=5, search=(0, 5), help="0 changes nothing, 5 is the strongest")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        half = np.float32((0, *AMOUNT)[self.severity] / 2)

        def change(block: Block) -> Array:
            uniform = block.drawn(lambda rng, shape: rng.random(shape, np.float32))
            images = block.images.copy()
            images[uniform < half] = 0
            images[uniform >= 1 - half] = 1
            return images

        return corrupted(train, "impulse_noise", self.severity, seed, change)
