"""Reads a distilled set, whichever code has made it, as a `Synthetic` of a data set."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mim4dd.capacity import FLOAT_BYTES, require_capacity
from mim4dd.errors import InputError, exact
from mim4dd.files import opened, require_printable, shown
from mim4dd.records import HEADER, SUM_ERROR, Floats, ImageData, Integers, Splits, Synthetic
from mim4dd.sets.containers import Array, contents, tensors_and_texts
from mim4dd.sets.layouts import Parts, parts_of, with_files_beside
from mim4dd.sets.spaces import space_of_file, standardised

OURS = "synthetic.safetensors"


def read_set(
    path: Path | str,
    *,
    data: Splits | ImageData,
    labels: Path | str | None = None,
    standard: str = "",
    which: int | None = None,
    classes: Sequence[str] | None = None,
) -> tuple[Synthetic, tuple[str, ...]]:
    """Read a set from a .pt, .pth, .npz or .safetensors file; returns it, and lines on what was found.

    data: the data set (or its training split) that the set was distilled from: its classes, image shape and statistics.
    labels: their file, where it is not found; standard: how the images were normalised, see `mim4dd.sets.SPACES`, or
    numbers as MEAN/STD; which: of several sets in the file, by default the last; classes: the names of the classes in
    the order of the file's labels, by default the data set's.
    The configuration of the result says the source, ipc, the file's name and digest, and `syn_lr`, the learning rate
    that the file has for training on it, if any.
    Raises: InputError when the file cannot be read, or does not fit the data set.
    """
    train, path = data.train if isinstance(data, Splits) else data, file_of(path)
    name = shown(path.name)
    require_printable(path.name, "the name of a set's file")
    if path.suffix == ".safetensors" and HEADER in tensors_and_texts(path)[1]:
        return _own(path, train, {"labels": labels, "standard": standard, "which": which, "classes": classes})
    parts = with_files_beside(path, parts_of(name, contents(path), which), Path(labels) if labels else None)
    images, levels = _images(name, parts.images, train)
    hard, soft, notes = _labels(name, parts.labels, len(images), _order(parts, train, classes), len(train.classes))
    if parts.space and not standard:
        to_standard, space, told = space_of_file(parts.space, train), "file", "normalised by the file's own numbers"
    else:
        names = (train.source.split("/")[0], data.name if isinstance(data, Splits) else "")
        images, to_standard, space, told = standardised(
            path.name, images, levels, train, names, standard or parts.standard, by_file=not standard
        )
    config: dict[str, Any] = {"source": train.source, "ipc": int(np.bincount(hard).max())}
    rate = _rate(name, parts.rate)
    config |= {"origin": path.name, "origin_digest": _digest(path), "standard": space}
    if rate is not None:
        config["syn_lr"] = rate
        notes.append(f"the file has a learning rate for training on it, {rate:g}")
    made = (images, hard, train.classes, to_standard.mean, to_standard.std, config, "", to_standard.whitening, soft)
    return Synthetic(*made), (*parts.notes, told, *notes)


def file_of(path: Path | str) -> Path:
    """The set's file itself, or that of a folder that `mim4dd distill` wrote."""
    path = Path(path)
    return path / OURS if path.is_dir() and (path / OURS).exists() else path


def set_size(
    path: Path | str, *, labels: Path | str | None = None, which: int | None = None
) -> tuple[int, tuple[int, int, int]]:
    """(images of the largest class, [channels, H, W] of an image) of a set's file, without the data set.

    Raises: InputError when it cannot be read as one.
    """
    path = file_of(path)
    name = shown(path.name)
    parts = with_files_beside(path, parts_of(name, contents(path), which), Path(labels) if labels else None)
    images, given = parts.images, np.asarray(parts.labels)
    if images.ndim not in (3, 4) or not images.size or given.ndim not in (1, 2) or len(given) != len(images):
        raise InputError(
            f"{name} must hold images and a label for each, got shapes {list(images.shape)} and {list(given.shape)}"
        )
    hard = given.argmax(1) if given.ndim == 2 and given.shape[1] > 1 else given.reshape(-1)
    _, counts = np.unique(hard, return_counts=True)
    sides = (1, *images.shape[1:]) if images.ndim == 3 else images.shape[1:]
    last = sides[2] in (1, 3) and sides[0] not in (1, 3)
    channels, height, width = (sides[2], *sides[:2]) if last else sides
    return int(counts.max()), (int(channels), int(height), int(width))


def _own(path: Path, train: ImageData, given: dict[str, Any]) -> tuple[Synthetic, tuple[str, ...]]:
    """A set that `Synthetic.save` wrote, which says itself what others leave open."""
    needless = [key for key, value in given.items() if value not in (None, "")]
    if needless:
        raise InputError(f"{path.name} was written by mim4dd and says its {needless[0]} itself; leave it out")
    synthetic = Synthetic.load(path)
    if synthetic.images.shape[1:] != train.shape or synthetic.classes != train.classes:
        raise InputError(
            f"{path.name} has {len(synthetic.classes)} classes of {list(synthetic.images.shape[1:])} images, "
            f"{train.source} has {len(train.classes)} of {list(train.shape)}, or with other names"
        )
    return synthetic, ("a set written by mim4dd",)


def _images(name: str, images: Array, train: ImageData) -> tuple[Floats, bool]:
    """(images float32 [M, channels, H, W], whether they were whole levels 0..255)."""
    channels, height, width = train.shape
    if images.dtype.kind not in "fui":
        raise InputError(f"{name}: images must be numbers, got {images.dtype}")
    if channels == 1 and images.shape[1:] == (height, width):
        images = images[:, None]
    if images.shape[1:] == (height, width, channels) != train.shape:
        images = images.transpose(0, 3, 1, 2)
    if images.shape[1:] != train.shape or not len(images):
        raise InputError(
            f"{name}: images must be like those of {train.source}, {list(train.shape)} as [channels, H, W], at least "
            f"one, got shape {list(images.shape)}"
        )
    require_capacity(f"{name}, as float32,", 3 * FLOAT_BYTES * images.size)
    with np.errstate(over="ignore"):
        floats = np.array(images, dtype=np.float32, order="C")
    if not np.isfinite(floats).all():
        raise InputError(f"{name}: images must be finite, got NaN or infinite numbers")
    return floats, images.dtype == np.uint8


def _order(parts: Parts, train: ImageData, classes: Sequence[str] | None) -> Integers:
    """The data set's label of each label of the file."""
    named = parts.classes if classes is None else list(classes)
    if named is None:
        return np.arange(len(train.classes))
    named = [str(one) for one in np.asarray(named).reshape(-1).tolist()]
    other = [one for one in named if one not in train.classes]
    if other or len(set(named)) < len(named):
        raise InputError(
            f"classes must be different classes of {train.source} ({', '.join(train.classes[:10])}), got "
            f"{shown(', '.join((other or named)[:10]))}"
        )
    return np.array([train.classes.index(one) for one in named], dtype=np.int64)


def _labels(
    name: str, labels: Any, count: int, order: Integers, classes: int
) -> tuple[Integers, Floats | None, list[str]]:
    """(labels [M], soft labels [M, classes] or None, notes)."""
    array = labels if isinstance(labels, np.ndarray) else np.asarray(labels) if isinstance(labels, list) else None
    if array is None or array.dtype.kind not in "fui":
        raise InputError(f"{name}: labels must be an array of numbers, got {type(labels).__name__}")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if len(array.shape) not in (1, 2) or len(array) != count:
        raise InputError(f"{name}: labels must be one for each of {count} images, got shape {list(array.shape)}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{name}: labels must be finite, got NaN or infinite numbers")
    if array.ndim == 2:
        if array.shape[1] != len(order):
            raise InputError(f"{name}: soft labels must have {len(order)} columns, one a class, got {array.shape[1]}")
        soft, note = _probabilities(array.astype(np.float64))
        placed = np.zeros((count, classes), np.float32)
        placed[:, order] = soft
        return placed.argmax(1), placed, [note]
    wrong = (array < 0) | (array >= len(order)) | (array != np.trunc(array))
    if wrong.any():
        raise InputError(f"{name}: labels must be whole numbers in [0, {len(order) - 1}], got {exact(array[wrong][0])}")
    return order[array.astype(np.int64)], None, []


def _probabilities(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Probabilities as they are, and the softmax of any other numbers, with a line on which they were."""
    sums = values.sum(1, keepdims=True)
    if values.min() >= 0 and abs(sums - 1).max() <= 10 * SUM_ERROR:
        return (values if abs(sums - 1).max() <= SUM_ERROR / 10 else values / sums), "soft labels: probabilities"
    powers = np.exp(values - values.max(1, keepdims=True))
    found = f"{values.min():.3g} to {values.max():.3g}"
    return powers / powers.sum(1, keepdims=True), f"soft labels: {found} are no probabilities; their softmax is used"


def _rate(name: str, rate: Any) -> float | None:
    if rate is None:
        return None
    array = np.asarray(rate)
    if array.dtype.kind not in "fui" or array.size != 1 or not 0 < float(array.reshape(())) < math.inf:
        raise InputError(f"{name}: the learning rate must be one number above 0, got {shown(str(rate)[:60])}")
    return float(array.reshape(()))


def _digest(path: Path) -> str:
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
