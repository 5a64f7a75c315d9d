"""`npz:FILE`: a data set in one numpy archive."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from mim4dd.capacity import require_image_capacity
from mim4dd.data.archive import plain_arrays
from mim4dd.data.catalogue import DATASETS, TEST_RATE, Contents, DataSet
from mim4dd.data.cuts import cut
from mim4dd.errors import DataError
from mim4dd.files import opened, require_printable, shown
from mim4dd.pixels import Array, as_classes, as_pixels, as_positions, as_whole, channels_first
from mim4dd.records import ImageData, Integers
from mim4dd.registry import unknown

TRAIN = ("train_images", "train_labels")
TEST = ("test_images", "test_labels")
KNOWN = (*TRAIN, *TEST, "class_names", "train_index", "source")


@DATASETS.add("npz")
@dataclass(frozen=True, kw_only=True)
class Npz(DataSet):
    """The arrays of a numpy archive: `train_images` and `train_labels`; the others may be left out.

    Without `test_images` and `test_labels` a stratified 20% of the training images become the test set, the same for
    every seed and wherever the file lies: the cut depends on the file's name without its suffix and on the labels.
    Shapes: `train_images`, `test_images` [N, H, W], [N, H, W, channels] or [N, channels, H, W] with 1 or 3 channels
    (an array that fits both is read with its channels last); `train_labels`, `test_labels`, `train_index` [N];
    `class_names` [C]; `source` [].
    Units: images uint8, or floats in [0, 1]; labels 0..C-1. `source` and `train_index` say which image of which
    published file each one is (`cifar10/train`), for noise that identifies images; by default its position here.
    """

    takes_path: ClassVar[bool] = True

    def read(self, where: Path, *, download: bool = False) -> Contents:
        path = shown(where)

        def check(headers: dict[str, Array]) -> None:
            _check_keys(path, headers)
            _check_shapes(path, headers, self.size)

        arrays = plain_arrays(where, check)
        images, labels = _labelled(path, arrays, TRAIN)
        test = _labelled(path, arrays, TEST) if TEST[0] in arrays else None
        every = labels if test is None else np.concatenate([labels, test[1]])
        classes = as_classes(path, "class_names", _names(path, arrays.get("class_names")), every)
        index = as_positions(f"{path}: train_index", arrays.get("train_index"), len(labels))
        train = ImageData(images, labels, index, classes, _source(path, where.stem, arrays.get("source")))
        if test is None:
            return Contents(*cut(train, TEST_RATE, "test", where.stem))
        return Contents(train, ImageData(*test, np.arange(len(test[1])), classes, f"npz:{where.stem}/test"))

    def content_digest(self, where: Path) -> str:
        with opened(where) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _check_keys(path: str, arrays: dict[str, Array]) -> None:
    """Raises: DataError for a file that lacks an array or holds one that is not known."""
    needed = TRAIN + (TEST if set(TEST) & set(arrays) else ())
    lacking = [key for key in needed if key not in arrays]
    if lacking:
        found = ", ".join(map(shown, sorted(arrays))) or "nothing"
        raise DataError(f"{path} lacks {' and '.join(lacking)}; found: {found}")
    if other := next((key for key in arrays if key not in KNOWN), None):
        raise DataError(f"{path}: {unknown('key', shown(other), KNOWN)}")


def _check_shapes(path: str, arrays: dict[str, Array], size: int) -> None:
    """Raises: DataError for train and test images of different shapes, or more of them than fit in memory."""
    views = [channels_first(f"{path}: {key}", arrays[key]) for key in (TRAIN[0], TEST[0]) if key in arrays]
    shapes = [view.shape[1:] for view in views]
    if shapes[-1] != shapes[0]:
        raise DataError(
            f"{path}: test_images must be like train_images, {list(shapes[0])} as [channels, H, W], "
            f"got {list(shapes[-1])}"
        )
    require_image_capacity(path, sum(map(len, views)), shapes[0], size)


def _labelled(path: str, arrays: dict[str, Array], keys: tuple[str, str]) -> tuple[np.ndarray, Integers]:
    images = as_pixels(f"{path}: {keys[0]}", arrays[keys[0]])
    return images, as_whole(f"{path}: {keys[1]}", arrays[keys[1]], len(images))


def _names(path: str, names: Array | None) -> list[str] | None:
    if names is None:
        return None
    if names.dtype.kind != "U" or names.ndim != 1:
        raise DataError(
            f"{path}: class_names must be different strings, one for each class, got {names.dtype} {list(names.shape)}"
        )
    found: list[str] = names.tolist()
    return found


def _source(path: str, stem: str, source: Array | None) -> str:
    if source is None:
        # a file called cifar10.npz must not pass for the published cifar10/train
        return f"npz:{stem}/train"
    if source.dtype.kind != "U" or source.shape != () or not str(source):
        raise DataError(
            f"{path}: source must be one string such as cifar10/train, got {source.dtype} {list(source.shape)}"
        )
    require_printable(str(source))
    return str(source)
