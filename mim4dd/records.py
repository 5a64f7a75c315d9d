"""The records that packages exchange: frozen, checked, numpy inside."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.capacity import require_image_capacity
from mim4dd.durable import durably
from mim4dd.errors import DataError, InputError
from mim4dd.files import require_printable
from mim4dd.picture import grid_png
from mim4dd.pixels import Floats, Integers, as_array, as_classes, as_pixels, as_positions, as_whole, channels_first
from mim4dd.showing import images_of, made_by, score_html, scored
from mim4dd.standard import Standard, Whitening
from mim4dd.tensors import Arrays, packed, read_packed, require_array, require_entries
from mim4dd.torch_datasets import classes_of, name_of_dataset, read_dataset

HEADER = "mim4dd"  # of a synthetic set's file
SUM_ERROR = 1e-4  # of the probabilities of an image


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled real images of one split.

    Shapes: images [N, channels, H, W]; labels, index [N].
    Units: pixels float32 in [0, 1]; labels 0..C-1; index is each image's position in the original file or folder, and
    `source` that file's name (`mnist/train`): human and semantic noise identify images by them.
    Raises: DataError when shapes, types or values do not fit.
    """

    images: Floats
    labels: Integers
    index: Integers
    classes: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.ndim != 4 or images.dtype != np.float32:
            raise DataError(
                f"{self.source}: images must be float32 [N, channels, H, W], got {images.dtype} {list(images.shape)}"
            )
        if not len(images) == len(labels) == len(self.index):
            raise DataError(
                f"{self.source}: {len(images)} images, {len(labels)} labels and {len(self.index)} indices differ"
            )
        if len(labels) and (labels.min() < 0 or labels.max() >= len(self.classes)):
            raise DataError(
                f"{self.source}: labels must be in [0, {len(self.classes) - 1}], got {labels.min()} to {labels.max()}"
            )

    @staticmethod
    def from_arrays(
        images: Any, labels: Any, *, classes: Sequence[str] | None = None, source: str = "arrays", index: Any = None
    ) -> ImageData:
        """Your own images and labels: numpy arrays or torch tensors, labels as a list too.

        Shapes: images [N, H, W], [N, H, W, channels] or [N, channels, H, W] with 1 or 3 channels (an array that fits
        both is read with its channels last); labels, index [N].
        Units: images uint8, or floats in [0, 1]; labels 0..C-1. classes: C names, "0".."C-1" by default; index: each
        image's position in `source`, 0..N-1 by default.
        Raises: DataError when they do not fit, or do not fit in memory; InputError for a name that cannot be printed.
        """
        _require_source(source)
        array = as_array(f"{source}: images", images)
        count, channels, height, width = channels_first(f"{source}: images", array).shape
        require_image_capacity(source, count, (channels, height, width))
        pixels = as_pixels(f"{source}: images", array)
        whole = as_whole(f"{source}: labels", as_array(f"{source}: labels", labels), count)
        positions = None if index is None else as_array(f"{source}: index", index)
        names = as_classes(source, "classes", classes, whole)
        return ImageData(pixels, whole, as_positions(f"{source}: index", positions, count), names, source)

    @staticmethod
    def from_torch(dataset: Any, *, classes: Sequence[str] | None = None, source: str | None = None) -> ImageData:
        """The images of a torch data set: map-style, with items (image, label), and without a `transform`.

        An image is a PIL image (L or RGB), or an array or tensor as in `from_arrays`; a label a whole number. `index`
        is an image's position in `dataset`. classes: by default its `.classes`, a subset's from what it is a part of,
        otherwise "0".."C-1"; source: by default `torch:` and its kind, as in `torch:FashionMNIST`.
        Raises: DataError for a data set that cannot be read so, with the first item that does not fit.
        """
        name = source or f"torch:{name_of_dataset(dataset)}"
        _require_source(name)
        images, labels = read_dataset(name, dataset)
        names = as_classes(name, "classes", classes_of(name, dataset) if classes is None else classes, labels)
        return ImageData(images, labels, np.arange(len(labels)), names, name)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"ImageData({self.source}: {images_of(self.images.shape, len(self.classes))})"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, H, W) of one image."""
        return (self.images.shape[1], self.images.shape[2], self.images.shape[3])

    @property
    def counts(self) -> Integers:
        """Images per class, [C]."""
        return np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64)

    def take(self, rows: Integers) -> ImageData:
        """The images at these rows, in this order."""
        return ImageData(self.images[rows], self.labels[rows], self.index[rows], self.classes, self.source)

    @cached_property
    def digest(self) -> str:
        """sha256 of pixels, labels and indices: two splits with one digest are the same data."""
        hasher = hashlib.sha256(json.dumps([self.classes, self.images.shape]).encode())
        for array in (self.images, self.labels, self.index):
            hasher.update(np.ascontiguousarray(array).data)
        return hasher.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set as every study sees it: choices read `validation`; `test` is opened once, at the end.

    notes: lines for the user on what was left out or looks wrong.
    """

    name: str
    train: ImageData
    validation: ImageData
    test: ImageData
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    def __repr__(self) -> str:
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        counts = ", ".join(f"{len(data)} for {part}" for part, data in parts.items())
        size = "x".join(map(str, self.train.shape))
        return f"Splits({self.name}: {counts}; images of {size}, {len(self.classes)} classes)"

    @cached_property
    def digest(self) -> str:
        """One digest of all three splits."""
        return hashlib.sha256("".join(s.digest for s in (self.train, self.validation, self.test)).encode()).hexdigest()[
            :16
        ]


@dataclass(frozen=True, eq=False)
class Synthetic:
    """A distilled set, with everything needed to use it elsewhere.

    Shapes: images [M, channels, H, W]; labels [M]; mean, std [channels]; soft [M, C].
    Units: images are standardised, (pixel - mean) / std with pixels in [0, 1], and then whitened where there is a
    whitening: the space in which they were learned and on which networks are to be trained. soft: probabilities of the
    classes, on which networks are trained in place of the labels, each row's largest. config: the flat knobs that made
    it; protocol: the results version.
    """

    images: Floats
    labels: Integers
    classes: tuple[str, ...]
    mean: Floats
    std: Floats
    config: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""
    whitening: Whitening | None = None
    soft: Floats | None = None

    def __post_init__(self) -> None:
        images, labels, count = self.images, self.labels, len(self.classes)
        require_array("images", images, np.float32, ("M", "channels", "H", "W"))
        require_array("labels", labels, np.int64, images.shape[:1])
        for name, array in (("mean", self.mean), ("std", self.std)):
            require_array(name, array, np.float32, images.shape[1:2])
            if not np.isfinite(array).all():
                raise InputError(f"{name} must be finite, got {array.tolist()}")
        if not images.size:
            raise InputError(f"images must be at least one, of at least one pixel, got {list(images.shape)}")
        if self.std.min() <= 0:
            raise InputError(f"std must be above 0, got {self.std.tolist()}")
        if not all(isinstance(name, str) for name in self.classes) or len(set(self.classes)) < count:
            raise InputError(f"classes must be different names, got {reprlib.repr(self.classes)}")
        if labels.min() < 0 or labels.max() >= count:
            raise InputError(f"labels must be in [0, {count - 1}], got {labels.min()} to {labels.max()}")
        if self.whitening is not None:
            require_array("whitening_centre", self.whitening.centre, np.float32, (images[0].size,))
        if self.soft is not None:
            _require_soft(self.soft, labels, count)

    def __repr__(self) -> str:
        about = [images_of(self.images.shape, len(self.classes)), made_by(self.config)]
        return f"Synthetic({'; '.join(filter(None, about))})"

    def _repr_png_(self) -> bytes:
        return grid_png(self)

    @property
    def standard(self) -> Standard:
        """The map from pixels to the space of the images."""
        return Standard(self.mean, self.std, self.whitening)

    @property
    def pixels(self) -> Floats:
        """The images as pixels: [0, 1] is the range of real ones, learned ones may leave it."""
        return self.standard.inverse(self.images)

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all; see `to_bytes`.

        Raises: OSError.
        """
        durably(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The set as safetensors: tensors `images`, `labels`, `mean`, `std`; the rest as its JSON header.

        Where it has them also `soft`, and `whitening` with `whitening_centre`.
        """
        tensors: Arrays = {"images": self.images, "labels": self.labels, "mean": self.mean, "std": self.std}
        if self.whitening is not None:
            tensors |= {"whitening": self.whitening.forward, "whitening_centre": self.whitening.centre}
        if self.soft is not None:
            tensors["soft"] = self.soft
        return packed(tensors, HEADER, {"classes": self.classes, "config": self.config, "protocol": self.protocol})

    @staticmethod
    def load(path: Path) -> Synthetic:
        """Read what `save` wrote.

        Raises: InputError when the file is missing or is not a synthetic set.
        """
        try:
            tensors, header = read_packed(path, HEADER)
            require_entries(tensors, dict.fromkeys(("images", "labels", "mean", "std"), np.ndarray))
            require_entries(header, {"classes": list, "config": dict, "protocol": str})
            labelled, standard = (tensors["images"], tensors["labels"]), (tensors["mean"], tensors["std"])
            whitening = None
            if {"whitening", "whitening_centre"} & set(tensors):
                require_entries(tensors, dict.fromkeys(("whitening_centre", "whitening"), np.ndarray))
                whitening = Whitening(tensors["whitening_centre"], tensors["whitening"])
            classes, config, protocol = tuple(header["classes"]), header["config"], header["protocol"]
            return Synthetic(*labelled, classes, *standard, config, protocol, whitening, tensors.get("soft"))
        except InputError as error:
            reason = str(error).removeprefix(f"{path} ")
            raise InputError(f"{path} is no synthetic set written by mim4dd: {reason}") from error


def _require_soft(soft: Floats, labels: Integers, count: int) -> None:
    """Raises: InputError for soft labels that are no probabilities, or whose largest is not the label's."""
    require_array("soft", soft, np.float32, (len(labels), count))
    sums = soft.sum(1, dtype=np.float64)
    if not np.isfinite(soft).all() or soft.min() < 0 or abs(sums - 1).max() > SUM_ERROR:
        raise InputError(
            f"soft must be probabilities, each row of sum 1, got {soft.min()} to {soft.max()} and sums {sums.min()} to "
            f"{sums.max()}"
        )
    if (soft[np.arange(len(labels)), labels] < soft.max(1)).any():
        raise InputError("labels must be the most probable classes of soft, but differ from them")


@dataclass(frozen=True, eq=False)
class Score:
    """How well networks trained on a synthetic set classify one split.

    Shapes: accuracy [networks]; recall [networks, C] (NaN for a class without images).
    Units: fractions.
    """

    split: str
    accuracy: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]

    @property
    def mean(self) -> float:
        return float(self.accuracy.mean())

    def __repr__(self) -> str:
        return f"Score({self.split}: {scored(self.accuracy)})"

    def _repr_html_(self) -> str:
        return score_html(self.split, self.accuracy, self.recall)


def _require_source(source: str) -> None:
    if not isinstance(source, str) or not source:
        raise InputError(f"source must be a text that names where the images are from, got {source!r}")
    require_printable(source, "source")
