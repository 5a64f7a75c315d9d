"""Lost detail: pixelate and JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mim4dd.records import Floats, ImageData
from mim4dd.registry import knob
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.corruption.blocks import Array, Block, corrupted

KEPT = (0.95, 0.9, 0.85, 0.75, 0.65)
QUALITY = (80, 65, 58, 50, 40)


@PERTURBATIONS.add("pixelate")
@dataclass(frozen=True, kw_only=True)
class Pixelate:
    """Shrunk and enlarged again by Pillow's box filter: each side to floor(.95 .9 .85 .75 .65 of it), at least 1.

    On 8 x 8 images severities 1 and 2, and 3 and 4, are the same, and 5 changes digits no more than 4 does.
    Source: Hendrycks & Dietterich 2019, CIFAR constants. Differs: not rounded to 8 bits between the two and after.
    """

    stage: ClassVar[str] = "pixel corruption"
    severity: int = knob(3, low=0, high=5, search=(0, 5), help="0 changes nothing, 5 is the strongest")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        kept = (1.0, *KEPT)[self.severity]
        # Resizing is linear in the pixels, an axis at a time: one matrix each.
        down, across = (box_resized(side, max(1, int(side * kept))) for side in train.shape[1:])

        def change(block: Block) -> Array:
            return down @ block.images @ across.T

        return corrupted(train, "pixelate", self.severity, seed, change)


def box_resized(side: int, smaller: int) -> Floats:
    """The matrix that shrinks `side` pixels to `smaller` and enlarges them to `side` again, [side, side]."""
    from PIL import Image

    box = Image.Resampling.BOX
    image = Image.fromarray(np.eye(side, dtype=np.float32))
    return np.asarray(image.resize((side, smaller), box).resize((side, side), box), np.float32)


@PERTURBATIONS.add("jpeg")
@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """Written and read as JPEG by Pillow, at quality 80 65 58 50 40; in colour with its usual 4:2:0 subsampling.

    Source: Hendrycks & Dietterich 2019, CIFAR constants.
    """

    stage: ClassVar[str] = "pixel corruption"
    severity: int = knob(3, low=0, high=5, search=(0, 5), help="0 changes nothing, 5 is the strongest")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        quality = (100, *QUALITY)[self.severity]

        def change(block: Block) -> Array:
            levels = np.rint(block.images * 255).clip(0, 255).astype(np.uint8)
            read = np.stack([through_jpeg(image, quality) for image in levels])
            return read / np.float32(255)

        # One thread: Pillow spends its time between the two coders, where threads only wait for each other.
        return corrupted(train, "jpeg", self.severity, seed, change, threads=1)


def through_jpeg(image: Array, quality: int) -> Array:
    """Write uint8 levels [1 or 3, H, W] as JPEG and read them back."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
    read = np.asarray(Image.open(file, formats=("JPEG",)))
    return read[None] if read.ndim == 2 else read.transpose(2, 0, 1)
