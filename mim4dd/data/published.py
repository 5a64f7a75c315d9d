"""MNIST, Fashion-MNIST, SVHN, CIFAR-10 and CIFAR-100, through torchvision."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mim4dd.capacity import COPIES, FLOAT_BYTES, out_of_memory, require_capacity
from mim4dd.data.catalogue import DATASETS, Contents, DataSet
from mim4dd.errors import DataError, MissingDataError
from mim4dd.files import opened, shown
from mim4dd.pixels import channels_first, from_levels
from mim4dd.records import ImageData

DIGITS = tuple("0123456789")
UNREADABLE = (OSError, RuntimeError, ValueError, TypeError, LookupError, AssertionError, EOFError, pickle.PickleError)
IDX = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


@DATASETS.add("mnist")
@dataclass(frozen=True, kw_only=True)
class MNIST(DataSet):
    """Handwritten digits, grey 28x28: 60,000 and 10,000. Source: LeCun et al. 1998."""

    in_root: ClassVar[bool] = True

    def read(self, where: Path, *, download: bool = False) -> Contents:
        return _read("mnist", "MNIST", [f"MNIST/raw/{file}" for file in IDX], where, download, DIGITS)


@DATASETS.add("fashion_mnist")
@dataclass(frozen=True, kw_only=True)
class FashionMNIST(DataSet):
    """Articles of clothing, grey 28x28: 60,000 and 10,000. Source: Xiao et al. 2017."""

    in_root: ClassVar[bool] = True

    def read(self, where: Path, *, download: bool = False) -> Contents:
        return _read("fashion_mnist", "FashionMNIST", [f"FashionMNIST/raw/{file}" for file in IDX], where, download)


@DATASETS.add("svhn")
@dataclass(frozen=True, kw_only=True)
class SVHN(DataSet):
    """House numbers, RGB 32x32: 73,257 and 26,032, without the extra part. Source: Netzer et al. 2011."""

    in_root: ClassVar[bool] = True

    def read(self, where: Path, *, download: bool = False) -> Contents:
        return _read("svhn", "SVHN", ["train_32x32.mat", "test_32x32.mat"], where, download, DIGITS)


@DATASETS.add("cifar10")
@dataclass(frozen=True, kw_only=True)
class CIFAR10(DataSet):
    """Small photographs, RGB 32x32: 50,000 and 10,000 in 10 classes. Source: Krizhevsky 2009."""

    in_root: ClassVar[bool] = True

    def read(self, where: Path, *, download: bool = False) -> Contents:
        names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch", "batches.meta"]
        return _read("cifar10", "CIFAR10", [f"cifar-10-batches-py/{name}" for name in names], where, download)


@DATASETS.add("cifar100")
@dataclass(frozen=True, kw_only=True)
class CIFAR100(DataSet):
    """Small photographs, RGB 32x32: 50,000 and 10,000 in 100 classes. Source: Krizhevsky 2009."""

    in_root: ClassVar[bool] = True

    def read(self, where: Path, *, download: bool = False) -> Contents:
        files = [f"cifar-100-python/{name}" for name in ("train", "test", "meta")]
        return _read("cifar100", "CIFAR100", files, where, download)


def _read(
    name: str, kind: str, files: list[str], root: Path, download: bool, classes: tuple[str, ...] | None = None
) -> Contents:
    missing, present_bytes = _present(files, root)
    # the files hold a byte for each number, SVHN's compressed
    require_capacity(f"{name}: its images in {COPIES} copies as float32", (1 + COPIES * FLOAT_BYTES) * present_bytes)
    # before torchvision is imported, which takes seconds
    if missing and not download:
        raise MissingDataError(
            f"{name} is not under {shown(root)}: expected {missing[0]} there (and {len(files) - 1} more of its files); "
            "name the folder that holds it with --data-root, or fetch it with --download"
        )
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


def _present(files: list[str], root: Path) -> tuple[list[str], int]:
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


def _remedy(name: str, files: list[str], root: Path, missing: bool, error: Exception) -> str:
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
