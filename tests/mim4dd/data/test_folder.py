"""`folder:DIR`: both layouts, resizing, and one clear line for every folder that cannot be read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mim4dd.data import load, source_digest
from mim4dd.data.images import SUFFIXES
from mim4dd.errors import DataError, KnobError

# How an upright image is stored with each orientation: the inverse of what the orientation asks for.
LAID = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
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


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "bmp", "webp", "tif", "TIFF", "ppm", "pnm"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    for label in ("a", "b"):
        write(tmp_path, label, suffix=suffix)
        (tmp_path / label / "notes.txt").write_text("no image")
        (tmp_path / label / ".hidden.png").write_text("no image")
    splits = load(f"folder:{tmp_path}")
    assert splits.train.shape == (3, 6, 5)
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 20
    assert splits.notes[0].startswith("files left out: 2 whose names do not end in .png, ")
    assert splits.notes[0].endswith(" (2 .txt)")


@pytest.mark.parametrize(("suffix", "content"), [("pgm", b"P5 5 6 255\n" + bytes(30)), ("pbm", b"P4 5 6\n" + bytes(6))])
def test_grey_portable_formats(tmp_path: Path, suffix: str, content: bytes) -> None:
    for label in ("a", "b"):
        write(tmp_path, label, grey=True)
        (tmp_path / label / f"x.{suffix}").write_bytes(content)
    splits = load(f"folder:{tmp_path}")
    assert splits.train.shape == (1, 6, 5)
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 22


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_validation_is_the_test_part_where_there_is_no_other(tmp_path: Path, name: str) -> None:
    for part, count in (("train", 8), (name, 3)):
        for label in ("a", "b"):
            write(tmp_path / "toy" / part, label, count)
    splits = load(f"folder:{tmp_path / 'toy'}")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 2, 6]
    assert (splits.train.source, splits.test.source) == ("folder:toy/train", f"folder:toy/{name}")
    assert splits.classes == ("a", "b")


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    for part in ("train", "test", "val", "more"):
        for label in ("a", "b"):
            write(tmp_path / part, label, 8)
    before = source_digest(f"folder:{tmp_path}")
    write(tmp_path / "train" / "a", "old", 3)
    (tmp_path / "train" / "b" / "everything").symlink_to("/")
    write(tmp_path, "train", 2)
    (tmp_path / "README.md").write_text("no image")
    for name in ("x.gif", "y.GIF", "Makefile", ".hidden.gif"):
        (tmp_path / "test" / "b" / name).write_text("no image")
    assert source_digest(f"folder:{tmp_path}") == before
    splits = load(f"folder:{tmp_path}")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 2, 16]
    assert splits.notes[:-1] == (
        "files left out: 16 in more, since only train and test are read",
        "files left out: 16 in val, since validation is cut from train",
        "files left out: 2 outside the class folders (train/0.png, train/1.png)",
        "files left out: 3 in folders inside class folders (train/a/old, train/b/everything)",
        f"files left out: 4 whose names do not end in {', '.join(SUFFIXES)} (2 .gif, 1 without suffix, 1 .md)",
    )
    assert splits.notes[-1].startswith("test images that are also training images, pixel for pixel: 16 of 16;")


def test_a_tidy_folder_has_no_notes(tmp_path: Path) -> None:
    for place, first in (("train/a", 0), ("train/b", 4), ("test/a", 8), ("test/b", 9)):
        (tmp_path / place).mkdir(parents=True)
        for number in range(first, first + 4 if "train" in place else first + 1):
            Image.fromarray(LEVELS[number]).save(tmp_path / place / f"{number}.png")
    # A tenth of eight images is one, of one class.
    assert load(f"folder:{tmp_path}").notes == (
        "the validation split has no image of b: accuracies there say nothing of these classes",
    )


@pytest.mark.parametrize("size", [0, 4])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(tmp_path: Path, size: int, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(LEVELS[0])
    turned = upright.transpose(LAID[orientation]) if orientation > 1 else upright
    for label in ("a", "b"):
        write(tmp_path, label)
        lossless = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0}
        turned.save(tmp_path / label / f"0.{suffix}", exif=exif, **(lossless if suffix in ("webp", "jpg") else {}))
        if suffix != "png":
            (tmp_path / label / "0.png").unlink()
    splits = load(f"folder:{tmp_path}", knobs={"size": size})
    part = next(part for part in (splits.train, splits.validation, splits.test) if 0 in part.index)
    expected = np.asarray(upright.resize((4, 4), Image.Resampling.BICUBIC) if size else upright)
    found = part.images[part.index == 0][0] * 255
    np.testing.assert_allclose(found, expected.transpose(2, 0, 1), atol=12 if suffix == "jpg" else 1)


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
    with pytest.raises(DataError, match=r"5\.png must have at most 8 bits for each channel, got 16; convert it"):
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
