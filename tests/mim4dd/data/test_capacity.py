"""What memory is asked for before data are read, and what is said where an allocation fails nevertheless."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mim4dd.capacity import within_capacity
from mim4dd.data import load
from mim4dd.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, size=(40, 6, 5), dtype=np.uint8)


def claiming(path: Path, shape: tuple[int, ...]) -> str:
    """An archive whose images claim a shape that its few bytes do not have."""
    header, labels = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    np.lib.format.write_array(labels, np.arange(40) % 4)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_images.npy", header.getvalue() + bytes(100))
        archive.writestr("train_labels.npy", labels.getvalue())
    return f"npz:{path}"


@pytest.mark.parametrize("shape", [(10**6, 3000, 1000), (2**40, 2**40, 3)])
def test_a_header_that_claims_more_than_there_is(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"toy.npz, unpacked, would take [\d,]+ MB of memory, [\d,]+ MB are free; give"):
        load(claiming(tmp_path / "toy.npz", shape))


def test_an_archive_needs_room_for_float_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "toy.npz", train_images=IMAGES, train_labels=np.arange(40) % 4)
    needed = 3 * 4 * IMAGES.size
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=needed))
    assert len(load(f"npz:{tmp_path}/toy.npz").train) == 29
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=needed - 1))
    with pytest.raises(DataError, match=r"toy.npz: 40 images of 1 x 6 x 5 in 3 copies as float32 would take"):
        load(f"npz:{tmp_path}/toy.npz")
    # the images as they are, and three smaller copies
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=4 * IMAGES.size + 3 * 4 * 40 * 4))
    assert load(f"npz:{tmp_path}/toy.npz", knobs={"size": 2}).train.shape == (1, 2, 2)


def test_many_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 4000
    images = np.zeros((count, 1, 1), np.uint8)
    np.savez(tmp_path / "toy.npz", train_images=images, train_labels=np.arange(count) % 1000)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10**7))
    with pytest.raises(
        DataError, match=r"scores of 800 images in 1,000 classes would take 28 MB .*; give fewer classes"
    ):
        load(f"npz:{tmp_path}/toy.npz")


def test_a_named_sets_files(tmp_path: Path) -> None:
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            path = tmp_path / "MNIST" / "raw" / f"{part}-{kind}-ubyte"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    with path.open("r+b") as file:
        file.truncate(2**40)  # a sparse file: no bytes on the disk
    with pytest.raises(DataError, match=r"mnist: its images in 3 copies as float32 would take 14,293,652 MB of memory"):
        load("mnist", data_root=tmp_path)


@pytest.mark.parametrize(
    "allocate",
    [lambda: np.empty(2**58, dtype=np.uint8), lambda: torch.empty(2**58, dtype=torch.uint8), lambda: bytes(2**60)],
    ids=["numpy", "torch", "Python"],
)
def test_a_failed_allocation_is_one_line(allocate: object) -> None:
    with pytest.raises(DataError, match=r"toy does not fit in memory: .+; give fewer or smaller images") as caught:
        with within_capacity("toy"):
            allocate()  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_another_runtime_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="of another kind"), within_capacity("toy"):
        raise RuntimeError("of another kind")


def test_a_named_set_that_does_not_fit_is_not_called_corrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    def fails(*_: object, **__: object) -> None:
        torch.empty(2**58, dtype=torch.uint8)

    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            path = tmp_path / "MNIST" / "raw" / f"{part}-{kind}-ubyte"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    monkeypatch.setattr(datasets, "MNIST", fails)
    with pytest.raises(DataError, match=r"^mnist does not fit in memory: "):
        load("mnist", data_root=tmp_path)
