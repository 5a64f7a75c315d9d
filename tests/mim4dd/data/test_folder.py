"""`folder:DIR`: both layouts, resizing, and one clear line for every folder that cannot be read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mim4dd.data import load, source_digest
from mim4dd.errors import DataError, KnobError

LEVELS = np.random.default_rng(0).integers(0, 256, size=(10, 6, 5, 3), dtype=np.uint8)


def write(folder: Path, label: str, count: int = 10, suffix: str = "png", grey: bool = False) -> None:
    (folder / label).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        levels = LEVELS[number, :, :, 0] if grey else LEVELS[number]
        Image.fromarray(levels).save(folder / label / f"{number}.{suffix}")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for label in ("dog", "cat"):
        write(tmp_path / "pets", label)
    return tmp_path / "pets"


def test_one_layer_of_classes(pets: Path) -> None:
    splits, other = (load(f"folder:{pets}", split_seed=seed) for seed in (0, 1))
    assert splits.name == "pets"
    assert splits.train.source == splits.test.source == "folder:pets"
    assert splits.classes == ("cat", "dog")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 2, 4]
    assert splits.test.digest == other.test.digest
    for part in (splits.train, splits.validation, splits.test):
        assert part.images.dtype == np.float32
        assert part.images.flags.c_contiguous
        expected = LEVELS.transpose(0, 3, 1, 2)[part.index % 10] / np.float32(255)
        np.testing.assert_array_equal(part.images, expected)
        np.testing.assert_array_equal(part.labels, part.index // 10)


def test_train_and_test(tmp_path: Path) -> None:
    for part, count in (("train", 8), ("test", 3)):
        for label in ("a", "b", "c"):
            write(tmp_path / "toy" / part, label, count, grey=True)
    splits = load(f"folder:{tmp_path / 'toy'}")
    assert splits.train.shape == (1, 6, 5)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [22, 2, 9]
    assert (splits.train.source, splits.test.source) == ("folder:toy/train", "folder:toy/test")
    np.testing.assert_array_equal(splits.test.index, np.arange(9))
    np.testing.assert_array_equal(splits.test.images[4, 0], LEVELS[1, :, :, 0] / np.float32(255))


def test_one_coloured_image_makes_all_rgb(tmp_path: Path) -> None:
    write(tmp_path, "a", grey=True)
    write(tmp_path, "b")
    assert load(f"folder:{tmp_path}").train.shape == (3, 6, 5)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "bmp", "webp"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    for label in ("a", "b"):
        write(tmp_path, label, suffix=suffix)
        (tmp_path / label / "notes.txt").write_text("no image")
        (tmp_path / label / ".hidden.png").write_text("no image")
    assert load(f"folder:{tmp_path}").train.shape == (3, 6, 5)


def test_size_resizes(pets: Path) -> None:
    Image.fromarray(LEVELS[0, :4]).save(pets / "cat" / "0.png")
    splits = load(f"folder:{pets}", knobs={"size": 4})
    assert splits.train.shape == (3, 4, 4)
    bicubic = np.asarray(Image.fromarray(LEVELS[3]).resize((4, 4), Image.Resampling.BICUBIC))
    found = next(part for part in (splits.train, splits.validation, splits.test) if 3 in part.index)
    image = found.images[found.index == 3][0]
    np.testing.assert_array_equal(image, bicubic.transpose(2, 0, 1) / np.float32(255))


def test_different_sizes_are_refused(pets: Path) -> None:
    Image.fromarray(LEVELS[0, :4]).save(pets / "dog" / "3.png")
    with pytest.raises(DataError, match=r"5x6 in cat.0\.png and 5x4 in dog.3\.png; set the knob size=4"):
        load(f"folder:{pets}")


def test_a_negative_size_is_refused(pets: Path) -> None:
    with pytest.raises(KnobError, match=r"folder\.size must be in \[0, 10000\], got -1"):
        load(f"folder:{pets}", knobs={"size": -1})


def test_one_class_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "toy", "cat")
    with pytest.raises(DataError, match=r"at least two classes, .* got cat"):
        load(f"folder:{tmp_path / 'toy'}")


def test_an_empty_class_is_refused(pets: Path) -> None:
    (pets / "emu").mkdir()
    with pytest.raises(DataError, match=r"emu must hold images of its class \(\.png"):
        load(f"folder:{pets}")


def test_an_unreadable_image_is_named(pets: Path) -> None:
    (pets / "cat" / "5.png").write_text("no image")
    with pytest.raises(DataError, match=r"5\.png cannot be read as an image"):
        load(f"folder:{pets}")


def test_a_truncated_image_is_named(pets: Path) -> None:
    path = pets / "cat" / "5.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"5\.png cannot be read as an image"):
        load(f"folder:{pets}")


def test_deep_images_are_refused(pets: Path) -> None:
    Image.fromarray(LEVELS[0, :, :, 0].astype(np.uint16) * 200).save(pets / "cat" / "5.png")
    with pytest.raises(DataError, match=r"5\.png must have 8 bits for each channel, got mode I;16"):
        load(f"folder:{pets}")


def test_different_classes_in_train_and_test_are_refused(tmp_path: Path) -> None:
    for place in ("train/a", "train/b", "test/a", "test/c"):
        write(tmp_path, place)
    with pytest.raises(DataError, match="same classes, got in only one of them: b, c"):
        load(f"folder:{tmp_path}")


def test_a_missing_folder(tmp_path: Path) -> None:
    for read in (load, source_digest):
        with pytest.raises(DataError, match="folder needs an existing folder, got"):
            read(f"folder:{tmp_path / 'none'}")


def test_digests_and_splits_know_content_and_not_place(pets: Path) -> None:
    spec = f"folder:{pets}"
    moved = f"folder:{shutil.copytree(pets, pets.parent / 'elsewhere' / 'pets')}"
    assert source_digest(moved) == source_digest(spec)
    assert load(moved).digest == load(spec).digest
    before = source_digest(spec)
    (pets / "cat" / "3.png").rename(pets / "cat" / "33.png")
    assert source_digest(spec) != before


def test_a_folder_is_named_by_its_own_name(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pets)
    assert load("folder:.").name == "pets"
