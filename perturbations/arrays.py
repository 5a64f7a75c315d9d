"""Perturb plain arrays in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.errors import DataError, exact
from mim4dd.records import Floats, ImageData, Integers
from perturbations.catalogue import Perturbed, chain, parse_chain

Array = npt.NDArray[Any]
CHANNELS = (1, 3)


def perturb(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *texts: str,
    seed: int = 0,
    source: str = "array",
    classes: Sequence[str] | None = None,
) -> Perturbed:
    """Apply the chain of `texts` to images and labels: `perturb(x, y, "symmetric:rate=0.4").data.labels`.

    An image's `index` is its row. `source` is the data set's name (`cifar10/train`), which seeds the draws and
    identifies the classes for semantic and human noise; `classes` names them, by default 0 up to the largest label.
    Shapes: images [N, H, W], [N, H, W, 1 or 3] or [N, 1 or 3, H, W] (one that fits both is read with its channels
    last); labels [N]. The result's images are [N, channels, H, W].
    Units: images uint8, or floats in [0, 1]; the result's are float32 in [0, 1]. The input arrays are never modified.
    Raises: InputError for a chain that cannot be read; DataError for arrays that do not fit.
    """
    perturbations = parse_chain(texts)
    pixels = _pixels(np.asarray(images))
    whole = _whole(np.asarray(labels), len(pixels))
    names = tuple(classes) if classes is not None else _numbered(whole)
    return chain(perturbations, ImageData(pixels, whole, np.arange(len(whole)), names, source), seed=seed)


def _pixels(images: Array) -> Floats:
    shape = list(images.shape)
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DataError(f"images must be uint8, or floats in [0, 1], got {images.dtype}")
    if 0 in shape:
        raise DataError(f"images must not be empty, got shape {shape}")
    if images.ndim == 3:
        view = images[:, None]
    elif images.ndim == 4 and shape[3] in CHANNELS:
        view = images.transpose(0, 3, 1, 2)
    elif images.ndim == 4 and shape[1] in CHANNELS:
        view = images
    else:
        raise DataError(f"images must be [N, H, W], [N, H, W, 1 or 3] or [N, 1 or 3, H, W], got shape {shape}")
    pixels = np.array(view, dtype=np.float32, order="C")
    if images.dtype == np.uint8:
        pixels /= np.float32(255)
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= 1):
        raise DataError(f"images must be in [0, 1] when they are floats, got {exact(low)} to {exact(high)}; scale them")
    return pixels


def _whole(labels: Array, count: int) -> Integers:
    if labels.dtype.kind not in "iu":
        raise DataError(f"labels must be whole numbers, got {labels.dtype}")
    if labels.shape != (count,):
        raise DataError(f"labels must be one number for each image, shape [{count}], got shape {list(labels.shape)}")
    return labels.astype(np.int64)


def _numbered(labels: Integers) -> tuple[str, ...]:
    if labels.max() >= len(labels):
        raise DataError(
            f"labels must be below {len(labels)}, the number of images, got {labels.max()}; or give classes"
        )
    return tuple(str(label) for label in range(int(labels.max()) + 1))
