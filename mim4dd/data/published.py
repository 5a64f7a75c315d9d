"""MNIST, Fashion-MNIST, SVHN, CIFAR-10 and CIFAR-100, through torchvision."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mim4dd.capacity import COPIES, FLOAT_BYTES, out_of_memory, require_capacity
from mim4dd.data.catalogue import DATASETS, Contents, DataSet
from mim4dd.errors import DataError
from mim4dd.files import opened, shown
from mim4dd.pixels import channels_first, from_levels
from mim4dd.records import ImageData
from mim4dd.registry import name_of

DIGITS = tuple("0123456789")
UNREADABLE = (OSError, RuntimeError, ValueError, TypeError, LookupError, AssertionError, EOFError, pickle.PickleError)
IDX = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


@dataclass(frozen=True, kw_only=True)
class Published(DataSet):
    """A set that torchvision reads. loader: its class there; files: in the data root; labels: other than its own."""

    in_root: ClassVar[bool] = True
    loader: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    labels: ClassVar[tuple[str, ...] | None] = None

    def read(self, where: Path, *, download: bool = False) -> Contents:
        return _read(name_of(self), self.loader, self.files, where, download, self.labels)

    def require_files(self, where: Path) -> None:
        if missing := _present(self.files, where)[0]:
            raise _absent(name_of(self), missing, self.files, where)


@DATASETS.add("mnist")
@dataclass(frozen=True, kw_only=True)
class MNIST(Published):
    """Handwritten digits, grey 28x28: 60,000 and 10,000. Source: LeCun et al. 1998."""

    loader: ClassVar[str] = "MNIST"
    files: ClassVar[tuple[str, ...]] = tuple(f"MNIST/raw/{file}" for file in IDX)
    labels: ClassVar[tuple[str, ...] | None] = DIGITS


@DATASETS.add("fashion_mnist")
@dataclass(frozen=True, kw_only=True)
class FashionMNIST(Published):
    """Articles of clothing, grey 28x28: 60,000 and 10,000. Source: Xiao et al. 2017."""

    loader: ClassVar[str] = "FashionMNIST"
    files: ClassVar[tuple[str, ...]] = tuple(f"FashionMNIST/raw/{file}" for file in IDX)


@DATASETS.add("svhn")
@dataclass(frozen=True, kw_only=True)
class SVHN(Published):
    """House numbers, RGB 32x32: 73,257 and 26,032, without the extra part. Source: Netzer et al. 2011."""

    loader: ClassVar[str] = "SVHN"
    files: ClassVar[tuple[str, ...]] = ("train_32x32.mat", "test_32x32.mat")
    labels: ClassVar[tuple[str, ...] | None] = DIGITS


@DATASETS.add("cifar10")
@dataclass(frozen=True, kw_only=True)
class CIFAR10(Published):
    """Small photographs, RGB 32x32: 50,000 and 10,000 in 10 classes. Source: Krizhevsky 2009."""

    loader: ClassVar[str] = "CIFAR10"
    files: ClassVar[tuple[str, ...]] = tuple(
        f"cifar-10-batches-py/{name}"
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
    )


@DATASETS.add("cifar100")
@dataclass(frozen=True, kw_only=True)
class CIFAR100(Published):
    """Small photographs, RGB 32x32: 50,000 and 10,000 in 100 classes. Source: Krizhevsky 2009."""

    loader: ClassVar[str] = "CIFAR100"
    files: ClassVar[tuple[str, ...]] = tuple(f"cifar-100-python/{name}" for name in ("train", "test", "meta"))


def _read(
    name: str, kind: str, files: Sequence[str], root: Path, download: bool, classes: tuple[str, ...] | None
) -> Contents:
    missing, present_bytes = _present(files, root)
    # the files hold a byte for each number, SVHN's compressed
    require_capacity(f"{name}: its images in {COPIES} copies as float32", (1 + COPIES * FLOAT_BYTES) * present_bytes)
    # before torchvision is imported, which takes seconds
    if missing and not download:
        raise _absent(name, missing, files, root)
    imported = "torchvision" in sys.modules
    from torchvision import datasets

    # What its import raises and catches holds, until it is collected, the frames that called it, and with them the
    # images that these go on to read: a second data set in memory.
    if not imported:
        gc.collect()
    loader = getattr(datasets, kind)
    parts = []
    try:
        with warnings.catch_warnings():
            # the CIFAR pickles hold dtypes of an old numpy, about which some newer ones warn
            warnings.filterwarnings("ignore", message=r".*align should be passed")
            for part in ("train", "test"):
                choice = {"split": part} if kind == "SVHN" else {"train": part == "train"}
                parts.append(as_image_data(f"{name}/{part}", loader(root, download=download, **choice), classes))
    except UNREADABLE as error:
        if out_of_memory(error):
            raise
        raise DataError(_remedy(name, files, root, bool(missing), error)) from error
    return Contents(parts[0], parts[1])


def _absent(name: str, missing: Sequence[str], files: Sequence[str], root: Path) -> DataError:
    return DataError(
        f"{name} is not under {shown(root)}: expected {missing[0]} there (and {len(files) - 1} more of its files); "
        "name the folder that holds it with --data-root, or fetch it with --download"
    )


def _present(files: Sequence[str], root: Path) -> tuple[list[str], int]:
    """The files that are missing, and the bytes of the others.

    Raises: DataError for something else than a readable file under a file's name.
    """
    missing, total = [], 0
    for file in files:
        if not os.path.lexists(root / file):
            missing.append(file)
            continue
        with opened(root / file) as content:
            total += os.fstat(content.fileno()).st_size
    return missing, total


def _remedy(name: str, files: Sequence[str], root: Path, missing: bool, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    if missing:
        return (
            f"{name} could not be fetched to {shown(root)} ({reason}); put {files[0]} and its other files there "
            "yourself, or name the folder that holds them with --data-root"
        )
    return (
        f"{name} under {shown(root)} is corrupt ({reason}): expected {files[0]} and its other files as published; "
        "delete them and fetch them again with --download, or name another folder with --data-root"
    )


def as_image_data(source: str, dataset: Any, classes: tuple[str, ...] | None) -> ImageData:
    """Convert a torchvision data set to one record; `classes` defaults to its own."""
    labels = np.asarray(dataset.targets if hasattr(dataset, "targets") else dataset.labels, dtype=np.int64)
    return ImageData(
        images=from_levels(channels_first(source, np.asarray(dataset.data))),
        labels=labels,
        index=np.arange(len(labels)),
        classes=tuple(dataset.classes) if classes is None else classes,
        source=source,
    )
