"""`npz:FILE`: every layout that is read, and one clear line for every file that is not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mim4dd.data import load, source_digest
from mim4dd.errors import DataError, UnknownNameError

LEVELS = np.random.default_rng(0).integers(0, 256, size=(40, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(40) % 4
TEST = {"test_images": LEVELS[:8], "test_labels": LABELS[:8]}


def save(folder: Path, **arrays: Any) -> str:
    given = {"train_images": LEVELS, "train_labels": LABELS} | arrays
    path = folder / "toy.npz"
    np.savez(path, **{key: value for key, value in given.items() if value is not None})
    return f"npz:{path}"


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (LEVELS, LEVELS.transpose(0, 3, 1, 2)),
        (LEVELS.transpose(0, 3, 1, 2), LEVELS.transpose(0, 3, 1, 2)),
        (LEVELS[..., 0], LEVELS[:, None, :, :, 0]),
        (LEVELS[..., :1], LEVELS[:, None, :, :, 0]),
        (LEVELS[..., 0][:, None], LEVELS[:, None, :, :, 0]),
        (LEVELS[:, :3], LEVELS[:, :3].transpose(0, 3, 1, 2)),  # fits both: channels last
        ((LEVELS / 255).astype(np.float64), LEVELS.transpose(0, 3, 1, 2)),
        ((LEVELS / np.float32(255)).astype(np.float32), LEVELS.transpose(0, 3, 1, 2)),
    ],
)
def test_layouts_and_types(tmp_path: Path, images: np.ndarray, expected: np.ndarray) -> None:
    splits = load(save(tmp_path, train_images=images))
    for part in (splits.train, splits.validation, splits.test):
        assert part.images.dtype == np.float32
        assert part.images.flags.c_contiguous
        np.testing.assert_array_equal(part.images, expected[part.index] / np.float32(255))
        np.testing.assert_array_equal(part.labels, LABELS[part.index])


def test_without_a_test_set_a_fifth_is_cut(tmp_path: Path) -> None:
    splits, other = (load(save(tmp_path), split_seed=seed) for seed in (0, 1))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [29, 3, 8]
    assert splits.test.counts.tolist() == [2, 2, 2, 2]
    assert splits.test.digest == other.test.digest
    assert splits.train.digest != other.train.digest
    assert splits.test.source == splits.train.source == "npz:toy/train"
    assert splits.classes == ("0", "1", "2", "3")


def test_what_the_file_says_of_its_images(tmp_path: Path) -> None:
    index = np.arange(40)[::-1] + 100
    names = np.array(["a", "b", "c", "d"])
    splits = load(save(tmp_path, **TEST, train_index=index, class_names=names, source=np.array("cifar10/train")))
    assert splits.name == "toy"
    assert splits.classes == ("a", "b", "c", "d")
    assert splits.train.source == splits.validation.source == "cifar10/train"
    assert splits.test.source == "npz:toy/test"
    assert splits.test.index.tolist() == list(range(8))
    np.testing.assert_array_equal(splits.train.labels, LABELS[139 - splits.train.index])


def test_whole_float_labels_are_labels(tmp_path: Path) -> None:
    assert load(save(tmp_path, train_labels=LABELS.astype(np.float32))).digest == load(save(tmp_path)).digest


def dented(value: float) -> np.ndarray:
    images = (LEVELS / 255).astype(np.float32)
    images[3, 2, 1, 0] = value
    return images


def relabelled(value: float) -> np.ndarray:
    labels = LABELS.astype(np.float64)
    labels[5] = value
    return labels


BAD: list[tuple[dict[str, Any], str]] = [
    ({"train_lables": LABELS}, "unknown key 'train_lables'; did you mean 'train_labels'"),
    ({"train_labels": None}, "lacks train_labels; found: train_images"),
    ({"test_images": LEVELS}, "lacks test_labels"),
    ({"test_labels": LABELS}, "lacks test_images"),
    ({"train_labels": LABELS.astype(object)}, "train_labels cannot be read: Object arrays cannot be loaded here"),
    ({"train_images": LEVELS.astype(np.int64)}, r"train_images must be uint8, or floats in \[0, 1\], got int64"),
    ({"train_images": LEVELS > 9}, "train_images must be uint8, .* got bool"),
    ({"train_images": LEVELS.astype(np.float32)}, r"must be in \[0, 1\] when they are floats, got 0 to 255; scale"),
    ({"train_images": dented(-0.1)}, r"got -0.1 to 1"),
    ({"train_images": dented(np.nextafter(1, 2, dtype=np.float32))}, r"got 0 to 1\.0000001;"),
    ({"train_images": dented(np.nan)}, "must be finite"),
    ({"train_images": dented(np.inf)}, "must be finite"),
    ({"train_images": LEVELS[:, :, :, [0, 1]]}, r"got shape \[40, 6, 5, 2\]"),
    ({"train_images": LEVELS.reshape(40, -1)}, r"got shape \[40, 90\]"),
    ({"train_images": LEVELS[:0], "train_labels": LABELS[:0]}, "train_images must not be empty"),
    ({"test_images": LEVELS[:0], "test_labels": LABELS[:0]}, "test_images must not be empty"),
    ({"train_labels": LABELS[:-1]}, r"shape \[40\], got shape \[39\]"),
    ({"train_labels": LABELS[:, None]}, r"got shape \[40, 1\]"),
    ({"train_labels": np.array(["a"] * 40)}, "train_labels must be whole numbers, got <U1"),
    ({"train_labels": relabelled(0.5)}, "whole numbers from 0 up, got 0.5"),
    ({"train_labels": relabelled(-1)}, "whole numbers from 0 up, got -1$"),
    ({"train_labels": relabelled(2.0000001)}, r"whole numbers from 0 up, got 2\.0000001$"),
    ({"train_labels": relabelled(np.nan)}, "whole numbers from 0 up, got nan"),
    ({"train_labels": relabelled(1e300)}, r"whole numbers from 0 up, got 1e\+300"),
    ({"train_labels": relabelled(1e9)}, "every class needs a training image, got label 1000000000"),
    ({"train_labels": relabelled(6)}, "every class needs a training image, got none of 4, 5"),
    ({"train_labels": LABELS * 0}, "at least two classes, got 1"),
    ({"class_names": np.array(["a", "b"])}, r"labels must be in \[0, 1\], as there are 2 class_names, got 3"),
    ({"class_names": np.array(["a", "b", "c", "d", "e"])}, "every class needs a training image, got none of e"),
    ({"class_names": np.array(["a", "b", "c", "c"])}, "class_names must be different strings"),
    ({"class_names": np.arange(4)}, "class_names must be different strings"),
    ({"test_images": LEVELS[:, :4], "test_labels": LABELS}, r"\[3, 6, 5\] as \[channels, H, W\], got \[3, 4, 5\]"),
    ({"train_index": np.zeros(40, dtype=np.int64)}, "train_index must name each position once"),
    ({"train_index": np.arange(40) - 1}, "train_index must be whole numbers from 0 up, got -1"),
    ({"source": np.array(["cifar10/train"])}, "source must be one string"),
    ({"source": np.array(3)}, "source must be one string"),
    ({"train_images": LEVELS[:2], "train_labels": LABELS[:2]}, "too few to set 1 of them aside"),
]


@pytest.mark.parametrize(("arrays", "line"), BAD, ids=[line[:40] for _, line in BAD])
def test_bad_files_are_refused_in_one_line(tmp_path: Path, arrays: dict[str, Any], line: str) -> None:
    with pytest.raises(DataError, match=line) as caught:
        load(save(tmp_path, **arrays))
    assert "\n" not in str(caught.value)
    assert "toy" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x93NUMPY\x01\x00"])
def test_a_file_that_is_no_zip(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "toy.npz").write_bytes(content)
    with pytest.raises(DataError, match="is no zip file"):
        load(f"npz:{tmp_path / 'toy.npz'}")


def test_a_truncated_file(tmp_path: Path) -> None:
    path = Path(save(tmp_path)[4:])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="cannot be read as a numpy archive, it may be truncated"):
        load(f"npz:{path}")


def test_a_flipped_byte(tmp_path: Path) -> None:
    path = Path(save(tmp_path)[4:])
    content = bytearray(path.read_bytes())
    content[2000] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match="train_images cannot be read: Bad CRC-32"):
        load(f"npz:{path}")


def test_a_missing_file(tmp_path: Path) -> None:
    for read in (load, source_digest):
        with pytest.raises(DataError, match=r"none\.npz cannot be read: No such file or directory"):
            read(f"npz:{tmp_path / 'none.npz'}")


def test_digests_and_splits_know_content_and_not_place(tmp_path: Path) -> None:
    spec = save(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(spec[4:], tmp_path / "elsewhere" / "toy.npz")
    moved = f"npz:{tmp_path / 'elsewhere' / 'toy.npz'}"
    assert source_digest(moved) == source_digest(spec)
    assert len(source_digest(spec)) == 16
    assert load(moved).digest == load(spec).digest
    before = source_digest(spec)
    assert source_digest(save(tmp_path, train_labels=LABELS[::-1])) != before


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = load(save(tmp_path)).digest
    monkeypatch.chdir(tmp_path)
    assert load("npz:toy.npz").digest == digest


def test_an_unknown_knob(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown knob of dataset npz 'sizes'; did you mean 'size'"):
        load(save(tmp_path), knobs={"sizes": 3})
