"""Standardised pixels: the space that networks and distilled images live in."""

from __future__ import annotations

import numpy as np

from mim4dd.errors import DataError
from mim4dd.records import Floats

STD_FLOOR = 1e-6


def channel_statistics(images: Floats) -> tuple[Floats, Floats]:
    """(mean, std) of every channel over all images and pixels, summed in float64; std divides by the count.

    A channel whose std lies below 1e-6, such as a constant one, gets 1e-6: it is centred and stays finite.
    Shapes: images [N, channels, H, W]; mean, std [channels].
    Units: pixels in [0, 1].
    Raises: DataError without images.
    """
    if images.size == 0:
        raise DataError(f"mean and std need at least one image, got shape {list(images.shape)}")
    mean = images.mean(axis=(0, 2, 3), dtype=np.float64)
    # E[x^2] - E[x]^2 needs no float64 copy of the images; its rounding, about 1e-8 in std, lies below the floor
    square = np.einsum("nchw,nchw->c", images, images, dtype=np.float64) / (images.size / len(mean))
    std = np.sqrt(np.maximum(square - mean**2, 0))
    return mean.astype(np.float32), np.maximum(std, STD_FLOOR).astype(np.float32)


def standardise(images: Floats, mean: Floats, std: Floats) -> Floats:
    """(pixel - mean) / std, channel by channel, as a new array.

    Shapes: images [N, channels, H, W]; mean, std [channels].
    """
    standard = images - mean[:, None, None]
    standard /= std[:, None, None]
    return standard
