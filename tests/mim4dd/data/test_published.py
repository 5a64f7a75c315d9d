"""The named sets: small files in the real formats, and what is said where files are missing or corrupt."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mim4dd.data import DATASETS, channel_statistics, load, source_digest
from mim4dd.data.published import as_image_data
from mim4dd.errors import DataError, UnknownNameError

LEVELS = np.random.default_rng(0).integers(0, 256, size=(60, 28, 28), dtype=np.uint8)
LABELS = (np.arange(60) % 10).astype(np.uint8)
PUBLISHED = ["cifar10", "cifar100", "fashion_mnist", "mnist", "svhn"]


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.fixture(params=[("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")], ids=lambda param: param[0])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    name, folder = request.param
    for part, count in (("train", 60), ("t10k", 20)):
        write_idx(tmp_path / folder / "raw" / f"{part}-images-idx3-ubyte", LEVELS[:count])
        write_idx(tmp_path / folder / "raw" / f"{part}-labels-idx1-ubyte", LABELS[:count])
    return name, tmp_path / folder / "raw"


@pytest.mark.parametrize("download", [False, True])
def test_idx_files(small: tuple[str, Path], download: bool) -> None:
    name, raw = small
    splits = load(name, data_root=raw.parent.parent, download=download)
    assert splits.name == name
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [54, 6, 20]
    assert (splits.train.source, splits.test.source) == (f"{name}/train", f"{name}/test")
    assert splits.classes[0] == {"mnist": "0", "fashion_mnist": "T-shirt/top"}[name]
    for part in (splits.train, splits.validation, splits.test):
        assert part.images.flags.c_contiguous
        np.testing.assert_array_equal(part.images[:, 0], LEVELS[part.index] / np.float32(255))
        np.testing.assert_array_equal(part.labels, LABELS[part.index])


@pytest.mark.slow
def test_the_images_before_the_cut_are_held_by_nothing(small: tuple[str, Path]) -> None:
    name, raw = small
    # In a fresh process, where torchvision is imported while the images are read, and nothing is collected by chance.
    lines = (
        "import gc; gc.disable()",
        "from mim4dd.data import load",
        f"splits = load({name!r}, data_root={str(raw.parent.parent)!r})",
        "from mim4dd.records import ImageData",
        "print(sorted(len(one) for one in gc.get_objects() if type(one) is ImageData))",
    )
    ran = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[6, 20, 54]"


def test_the_environment_names_the_root(small: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    name, raw = small
    monkeypatch.setenv("MIM4DD_DATA", str(raw.parent.parent))
    assert len(load(name).test) == 20


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("length", [0, 3, 10, 25])
def test_truncated_idx_files(small: tuple[str, Path], file: str, length: int) -> None:
    name, raw = small
    (raw / file).write_bytes((raw / file).read_bytes()[:length])
    with pytest.raises(DataError, match=f"{name} under .* is corrupt .*--download.*--data-root") as caught:
        load(name, data_root=raw.parent.parent)
    assert "\n" not in str(caught.value)


def test_labels_that_do_not_fit_the_images(small: tuple[str, Path]) -> None:
    name, raw = small
    write_idx(raw / "train-labels-idx1-ubyte", LABELS[:59])
    with pytest.raises(DataError, match=r"corrupt .*60 images, 59 labels"):
        load(name, data_root=raw.parent.parent)


@pytest.mark.parametrize("name", PUBLISHED)
def test_missing_files_name_the_root_and_the_remedies(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not under .* expected .*--data-root.*--download") as caught:
        load(name, data_root=tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "svhn"])
def test_files_that_are_not_the_published_ones(name: str, tmp_path: Path) -> None:
    for folder in ("cifar-10-batches-py", "cifar-100-python"):
        (tmp_path / folder).mkdir()
    batches = [f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)]
    batches += [f"cifar-10-batches-py/{file}" for file in ("test_batch", "batches.meta")]
    for file in (*batches, *(f"cifar-100-python/{file}" for file in ("train", "test", "meta"))):
        (tmp_path / file).write_bytes(b"not published")
    for file in ("train_32x32.mat", "test_32x32.mat"):
        (tmp_path / file).write_bytes(b"not published")
    with pytest.raises(DataError, match=f"{name} under .* is corrupt .*--download.*--data-root"):
        load(name, data_root=tmp_path)


def test_a_missing_set_is_refused_before_torchvision_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom mim4dd.data import load\n"
        "try:\n    load('cifar10', data_root=sys.argv[1])\n"
        "except ValueError:\n    print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_arrays_as_cifar_and_svhn_hold_them() -> None:
    colour = np.repeat(LEVELS[..., None], 3, axis=3)
    cifar = SimpleNamespace(data=colour, targets=LABELS.tolist(), classes=[f"c{label}" for label in range(10)])
    svhn = SimpleNamespace(data=colour.transpose(0, 3, 1, 2), labels=LABELS.astype(np.int64))
    first = as_image_data("cifar10/train", cifar, None)
    second = as_image_data("svhn/train", svhn, tuple("0123456789"))
    assert first.classes[3] == "c3"
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.images, colour.transpose(0, 3, 1, 2) / np.float32(255))
    np.testing.assert_array_equal(first.labels, second.labels)


def test_every_named_set_is_registered() -> None:
    assert DATASETS.names() == sorted([*PUBLISHED, "digits", "folder", "hf", "npz"])
    assert [source_digest(name) for name in [*PUBLISHED, "digits"]] == [""] * 6


def test_specs_that_name_nothing() -> None:
    with pytest.raises(UnknownNameError, match="unknown dataset 'digit'; did you mean 'digits'"):
        load("digit")
    with pytest.raises(DataError, match="npz needs a path, as in npz:PATH"):
        load("npz")
    with pytest.raises(DataError, match="folder needs a path"):
        source_digest("folder:")
    with pytest.raises(DataError, match="mnist takes no path"):
        load("mnist:here")


@pytest.mark.parametrize(
    ("name", "folder", "mean", "std"),
    [("mnist", "MNIST", 0.1307, 0.3081), ("fashion_mnist", "FashionMNIST", 0.2860, 0.3530)],
)
def test_the_published_files(name: str, folder: str, mean: float, std: float) -> None:
    root = os.environ.get("MIM4DD_DATA", "")
    if not root or not (Path(root) / folder / "raw").is_dir():
        pytest.skip(f"MIM4DD_DATA names no folder with {folder}/raw")
    contents = DATASETS.build(name).read(Path(root))
    assert (len(contents.train), len(contents.test)) == (60000, 10000)
    found = channel_statistics(contents.train.images)
    np.testing.assert_allclose(found, [[mean], [std]], atol=5e-5)
