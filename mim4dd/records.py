"""The records that packages exchange: frozen, checked, numpy inside."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.errors import DataError, InputError
from mim4dd.files import opened

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


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

    def __len__(self) -> int:
        return len(self.labels)

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

    @cached_property
    def digest(self) -> str:
        """One digest of all three splits."""
        return hashlib.sha256("".join(s.digest for s in (self.train, self.validation, self.test)).encode()).hexdigest()[
            :16
        ]


@dataclass(frozen=True, eq=False)
class Synthetic:
    """A distilled set, with everything needed to use it elsewhere.

    Shapes: images [M, channels, H, W]; labels [M]; mean, std [channels].
    Units: images are standardised, (pixel - mean) / std with pixels in [0, 1]: the space in which they were learned
    and on which networks are to be trained. config: the flat knobs that made it; protocol: the results version.
    """

    images: Floats
    labels: Integers
    classes: tuple[str, ...]
    mean: Floats
    std: Floats
    config: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or len(self.images) != len(self.labels):
            raise InputError(f"{list(self.images.shape)} images do not fit {len(self.labels)} labels")

    @property
    def pixels(self) -> Floats:
        """The images as pixels: [0, 1] is the range of real ones, learned ones may leave it."""
        return (self.images * self.std[:, None, None] + self.mean[:, None, None]).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write one safetensors file, see `to_bytes`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The set as safetensors: tensors `images`, `labels`, `mean`, `std`; the rest as its JSON header."""
        from safetensors.numpy import save

        header = {"classes": self.classes, "config": self.config, "protocol": self.protocol}
        tensors = {"images": self.images, "labels": self.labels, "mean": self.mean, "std": self.std}
        return save(
            {name: np.ascontiguousarray(array) for name, array in tensors.items()},
            metadata={"mim4dd": json.dumps(header, sort_keys=True)},
        )

    @staticmethod
    def load(path: Path) -> Synthetic:
        """Read what `save` wrote.

        Raises: InputError when the file is missing or is not a synthetic set.
        """
        from safetensors import SafetensorError, safe_open

        try:
            # safetensors would wait for a pipe
            with opened(path), safe_open(path, framework="numpy") as file:
                tensors = {name: file.get_tensor(name) for name in ("images", "labels", "mean", "std")}
                header = json.loads((file.metadata() or {})["mim4dd"])
            named = {"config": header["config"], "protocol": header["protocol"]}
            return Synthetic(**tensors, classes=tuple(header["classes"]), **named)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is no synthetic set written by mim4dd: {error}") from error


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
