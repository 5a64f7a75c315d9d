"""Packs what the check reads, small enough to send to a machine: a subset of each data set as an npz file.

    python tests/gpu/pack.py --data-root DATA_ROOT --out FOLDER [--cifar10 FILE.npz]

MNIST and Fashion-MNIST as torchvision lays them out in DATA_ROOT; CIFAR-10 as `npz:` reads it, its training images in
their original order. A subset has the first images of each class, in their order; its file is named after the data set
and the training images of each class. It can be read as `npz:FILE`, and says which published image each one is.
"""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mim4dd.data import DATASETS
from mim4dd.data.catalogue import Contents
from mim4dd.durable import durably
from mim4dd.errors import DataError
from mim4dd.records import Floats, ImageData, Integers
from mim4dd_cli.command import exit_status

# Of all files together.
MOST_BYTES = 35 * 2**20


@dataclass(frozen=True)
class Subset:
    """A subset of a published data set. train, test: images of each class."""

    train: int
    test: int


SUBSETS = {"cifar10": Subset(750, 200), "mnist": Subset(1000, 500), "fashion_mnist": Subset(1000, 500)}


def file_of(data: str) -> str:
    """The name of a data set's file."""
    return f"{data}_{SUBSETS[data].train}.npz"


def packed(data: str, contents: Contents) -> bytes:
    """A data set's subset as a compressed numpy archive of uint8 images.

    Raises: DataError for a class with too few images.
    """
    subset = SUBSETS[data]
    train, test = first_rows(contents.train, subset.train), first_rows(contents.test, subset.test)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        train_images=levels(contents.train.images[train]),
        train_labels=contents.train.labels[train],
        train_index=contents.train.index[train],
        test_images=levels(contents.test.images[test]),
        test_labels=contents.test.labels[test],
        class_names=np.array(contents.train.classes),
        source=np.array(f"{data}/train"),
    )
    return buffer.getvalue()


def first_rows(part: ImageData, count: int) -> Integers:
    """The rows of the first `count` images of each class, in their order."""
    if part.counts.min() < count:
        raise DataError(f"{part.source}: every class must have {count} images, got {part.counts.min()} of one")
    rows = [np.flatnonzero(part.labels == label)[:count] for label in range(len(part.classes))]
    return np.sort(np.concatenate(rows))


def levels(images: Floats) -> np.ndarray:
    """Pixels in [0, 1] as the uint8 levels they were read from: [N, H, W], or with their channels last."""
    whole = np.rint(images * 255).astype(np.uint8)
    return whole[:, 0] if whole.shape[1] == 1 else whole.transpose(0, 2, 3, 1)


def main() -> int:
    """Write the files; says how large they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="holds MNIST/raw and FashionMNIST/raw")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--cifar10", type=Path, help="CIFAR-10 (default: DATA_ROOT/cifar10_20k.npz)")
    given = parser.parse_args()
    files = {}
    for data in SUBSETS:
        place, reader = given.data_root, DATASETS.build("npz" if data == "cifar10" else data)
        if data == "cifar10":
            place = given.cifar10 or given.data_root / "cifar10_20k.npz"
        files[file_of(data)] = packed(data, reader.read(place))
        print(f"{file_of(data)}: {len(files[file_of(data)]) / 2**20:.1f} MiB")
    total = sum(map(len, files.values()))
    if total > MOST_BYTES:
        raise DataError(f"all files together must have at most {MOST_BYTES} bytes, got {total}; make SUBSETS smaller")
    for name, content in files.items():
        durably(given.out / name, content)
    print(f"{total / 2**20:.1f} MiB in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
