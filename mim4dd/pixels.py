"""Check arrays and convert them to the pixels, labels and class names that the records hold."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.errors import DataError, exact
from mim4dd.files import require_printable

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
CHANNELS = (1, 3)
LARGEST = 2**53


def as_array(name: str, values: Any) -> Array:
    """An array, a torch tensor of any device, or a sequence of numbers, as a numpy array; arrays are not copied.

    Raises: DataError for what numpy has no array for, such as rows of different lengths.
    """
    # torch need not be imported to know its tensors
    tensor = values.detach().cpu() if hasattr(values, "detach") else values
    try:
        return np.asarray(tensor)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} cannot be read as an array: {' '.join(str(error).split())}") from error


def from_levels(levels: Array, white: int = 255) -> Floats:
    """Whole grey or colour levels 0..white as float32 pixels in [0, 1], contiguous, in one copy."""
    pixels = np.array(levels, dtype=np.float32, order="C")
    pixels /= np.float32(white)
    return pixels


def channels_first(name: str, images: Array) -> Array:
    """A view of `images` as [N, channels, H, W].

    Shapes: [N, H, W]; or [N, H, W, channels] where the last axis is 1 or 3 long; otherwise [N, channels, H, W] where
    the second is. So an array that fits both, such as [N, 3, 32, 3], is read with its channels last.
    Raises: DataError for any other shape and for an empty array.
    """
    shape = list(images.shape)
    if 0 in shape:
        raise DataError(f"{name} must not be empty, got shape {shape}")
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and shape[3] in CHANNELS:
        return images.transpose(0, 3, 1, 2)
    if images.ndim == 4 and shape[1] in CHANNELS:
        return images
    raise DataError(f"{name} must be [N, H, W], [N, H, W, 1 or 3] or [N, 1 or 3, H, W], got shape {shape}")


def as_pixels(name: str, images: Array) -> Floats:
    """uint8 levels, or floats already in [0, 1], in any layout of `channels_first`, as float32 NCHW pixels.

    Raises: DataError for another type or shape, and for pixels that are not finite or lie outside [0, 1].
    """
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DataError(f"{name} must be uint8, or floats in [0, 1], got {images.dtype}")
    view = channels_first(name, images)
    if images.dtype == np.uint8:
        return from_levels(view)
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{name} must be finite, got NaN or infinite pixels")
    if low < 0 or high > 1:
        raise DataError(
            f"{name} must be in [0, 1] when they are floats, got {exact(low)} to {exact(high)}; "
            "scale them or store uint8"
        )
    return np.array(view, dtype=np.float32, order="C")


def as_whole(name: str, values: Array, count: int) -> Integers:
    """`count` whole numbers from 0 up, such as labels or positions in a file, as int64 [N].

    Raises: DataError for another type or shape, and for numbers that are negative or not whole.
    """
    if values.dtype.kind not in "iuf":
        raise DataError(f"{name} must be whole numbers, got {values.dtype}")
    if values.shape != (count,):
        raise DataError(f"{name} must be one number for each image, shape [{count}], got shape {list(values.shape)}")
    right = (values >= 0) & (values <= LARGEST) & (np.trunc(values) == values)
    if not right.all():
        raise DataError(f"{name} must be whole numbers from 0 up, got {exact(values[~right][0])}")
    return values.astype(np.int64)


def as_positions(name: str, index: Array | None, count: int) -> Integers:
    """Each image's position in its source, int64 [N]; 0..N-1 for None.

    Raises: DataError for anything else than `count` different whole numbers.
    """
    if index is None:
        return np.arange(count)
    positions = as_whole(name, index, count)
    if len(np.unique(positions)) != count:
        raise DataError(f"{name} must name each position once, got repeated positions")
    return positions


def as_classes(name: str, key: str, names: Sequence[str] | None, labels: Integers) -> tuple[str, ...]:
    """The class names; "0".."C-1" for None, where C - 1 is the largest label.

    key: what the names are called where they come from.
    Raises: DataError for names that are no different strings, or fewer than the labels; InputError for a name that
    cannot be printed.
    """
    largest, count = int(labels.max()), len(labels)
    if names is None:
        if largest >= count:
            raise DataError(f"{name}: every class needs a training image, got label {largest} and {count} images")
        return tuple(str(label) for label in range(largest + 1))
    found = tuple(names) if isinstance(names, Iterable) and not isinstance(names, str) else ()
    if not found or not all(isinstance(entry, str) for entry in found) or len(set(found)) != len(found):
        raise DataError(f"{name}: {key} must be different strings, one for each class, got {reprlib.repr(names)}")
    for entry in found:
        require_printable(entry)
    if largest >= len(found):
        raise DataError(
            f"{name}: labels must be in [0, {len(found) - 1}], as there are {len(found)} {key}, got {largest}"
        )
    return tuple(str(entry) for entry in found)
