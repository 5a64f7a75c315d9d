"""Fits the standardisation to training images: the channels' statistics, and ZCA where it is asked for."""

from __future__ import annotations

from math import prod

import numpy as np

from mim4dd.capacity import DOUBLE_BYTES, require_capacity
from mim4dd.errors import DataError
from mim4dd.records import Floats
from mim4dd.standard import BLOCK, Standard, Whitening

STD_FLOOR = 1e-6
# Of the eigenvalues: MTT's public code.
ZCA_EPS = 0.1
# Numbers of an image that ZCA takes: 3 x 64 x 64. Its matrices have the square of it.
LARGEST_ZCA = 12_288
# Matrices in memory at once while it is fitted: covariance, eigenvectors, what LAPACK needs beside them.
ZCA_MATRICES = 5


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


def fit_standard(images: Floats, kind: str) -> Standard:
    """The standardisation of a training split.

    kind: `channels`, mean and std of each; `zca`, these and then ZCA; `zca-pixels`, ZCA of the pixels themselves, as
    MTT's public code fits it.
    Shapes: images [N, channels, H, W].
    Raises: DataError where ZCA does not fit in memory or has fewer than two images.
    """
    if kind == "zca-pixels":
        mean, std = np.zeros(images.shape[1], np.float32), np.ones(images.shape[1], np.float32)
    else:
        mean, std = channel_statistics(images)
    plain = Standard(mean, std)
    return plain if kind == "channels" else Standard(mean, std, fit_zca(images, plain))


def fit_zca(images: Floats, standard: Standard) -> Whitening:
    """ZCA of these images after `standard`: T = U (S + 0.1)^-1/2 U' with X'X / (N - 1) = U S U', X centred.

    Shapes: images [N, channels, H, W].
    Source: the whitening of kornia with eps 0.1, which the public code of Cazenavette et al. 2022 (MTT) uses.
    Differs: sums and eigenvectors in float64 (there: float32).
    Raises: DataError where it does not fit in memory, or for fewer than two images.
    """
    count, size = len(images), prod(images.shape[1:])
    if size > LARGEST_ZCA:
        shape = " x ".join(map(str, images.shape[1:]))
        raise DataError(
            f"zca takes images of at most {LARGEST_ZCA:,} numbers, got {shape} = {size:,}; shrink them with the knob "
            "size, or set standard=channels"
        )
    if count < 2:
        raise DataError(f"zca needs at least two images, got {count}")
    require_capacity("zca", ZCA_MATRICES * DOUBLE_BYTES * size**2, "shrink the images with the knob size")
    blocks = [images[start : start + BLOCK] for start in range(0, count, BLOCK)]
    total = np.zeros(size)
    for block in blocks:
        total += standard(block).reshape(len(block), size).sum(0, dtype=np.float64)
    centre, covariance = total / count, np.zeros((size, size))
    for block in blocks:
        rows = standard(block).reshape(len(block), size) - centre
        covariance += rows.T @ rows
    values, vectors = np.linalg.eigh(covariance / (count - 1))
    del covariance
    # rounding leaves the smallest a little below 0
    forward = (vectors / np.sqrt(np.maximum(values, 0) + ZCA_EPS)) @ vectors.T
    return Whitening(centre.astype(np.float32), forward.astype(np.float32))
