"""Files that nobody would mean to give: each is refused in one line, or counted; none is waited for, run or leaked."""

from __future__ import annotations

import io
import os
import random
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from mim4dd.data import load, source_digest
from mim4dd.errors import DataError

LEVELS = np.random.default_rng(0).integers(0, 256, size=(10, 6, 5, 3), dtype=np.uint8)
Refusal = Callable[[Callable[[], object]], str]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number, levels in enumerate(LEVELS):
            Image.fromarray(levels).save(tmp_path / "pets" / label / f"{number}.png")
    return tmp_path / "pets"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/null")


def loop(path: Path) -> None:
    path.symlink_to(path)


def nothing(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def folder(path: Path) -> None:
    path.mkdir()


NO_FILES = [
    (pipe, "must be a file, is a named pipe"),
    (device, "must be a file, is a device"),
    (loop, "cannot be read: Too many levels of symbolic links"),
    (nothing, "cannot be read: No such file or directory"),
]


@pytest.mark.parametrize(("make", "line"), NO_FILES)
def test_what_is_no_file_among_images(pets: Path, make: Callable[[Path], None], line: str, refusal: Refusal) -> None:
    make(pets / "cat" / "x.png")
    for read in (load, source_digest):
        assert refusal(lambda read=read: read(f"folder:{pets}")) == f"{pets}/cat/x.png {line}"


@pytest.mark.parametrize(("make", "line"), [*NO_FILES, (folder, "must be a file, is a folder")])
def test_what_is_no_file_as_an_archive(
    tmp_path: Path, make: Callable[[Path], None], line: str, refusal: Refusal
) -> None:
    make(tmp_path / "x.npz")
    for read in (load, source_digest):
        assert refusal(lambda read=read: read(f"npz:{tmp_path}/x.npz")) == f"{tmp_path}/x.npz {line}"


@pytest.mark.parametrize(("make", "line"), [*NO_FILES[:3], (folder, "must be a file, is a folder")])
@pytest.mark.parametrize("download", [False, True])
def test_what_is_no_file_of_a_named_set(
    tmp_path: Path, make: Callable[[Path], None], line: str, download: bool, refusal: Refusal
) -> None:
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.parent.mkdir(parents=True)
    make(path)
    assert refusal(lambda: load("mnist", data_root=tmp_path, download=download)) == f"{path} {line}"


@pytest.mark.parametrize("where", ["", "/cat"])
def test_a_folder_that_is_a_loop_or_may_not_be_read(
    pets: Path, where: str, monkeypatch: pytest.MonkeyPatch, refusal: Refusal
) -> None:
    closed = str(pets) + where

    def scandir(path: Path) -> object:
        if str(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    listed = os.scandir
    monkeypatch.setattr("os.scandir", scandir)
    for read in (load, source_digest):
        assert refusal(lambda read=read: read(f"folder:{pets}")) == f"{closed} cannot be read: Permission denied"
    loop(pets / "itself")
    assert refusal(lambda: load(f"folder:{pets}/itself")) == f"folder needs an existing folder, got {pets}/itself"


def test_an_image_that_may_not_be_read(pets: Path, monkeypatch: pytest.MonkeyPatch, refusal: Refusal) -> None:
    opened = os.open

    def refuse(path: str, *rest: int) -> int:
        if str(path).endswith("dog/3.png"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *rest)

    monkeypatch.setattr("os.open", refuse)
    for read in (load, source_digest):
        assert refusal(lambda read=read: read(f"folder:{pets}")).endswith("dog/3.png cannot be read: Permission denied")


def test_file_names_that_are_no_utf8_are_read_and_classes_refused(pets: Path, refusal: Refusal) -> None:
    before = source_digest(f"folder:{pets}")
    os.rename(pets / "cat" / "0.png", os.fsencode(pets / "cat") + b"/\xff.png")
    assert source_digest(f"folder:{pets}") != before
    assert len(load(f"folder:{pets}").train) == 14
    (pets / "cat" / "1.png").write_bytes(b"")
    (pets / "cat" / "1.png").rename(os.fsdecode(os.fsencode(pets / "cat") + b"/\xfe\n.png"))
    assert r"cat/\udcfe\n.png cannot be read as an image" in refusal(lambda: load(f"folder:{pets}"))
    for name in (b"\xff", b"a\nb"):
        os.rename(pets / "dog", os.fsencode(pets) + b"/" + name)
        for read in (load, source_digest):
            assert "must be printable UTF-8, got '" in refusal(lambda read=read: read(f"folder:{pets}"))
        os.rename(os.fsencode(pets) + b"/" + name, pets / "dog")
    os.rename(pets, os.fsencode(pets) + b"\xff")
    assert r"got 'pets\udcff'" in refusal(lambda: source_digest(f"folder:{pets}\udcff"))


def test_only_promised_formats_are_opened(pets: Path, monkeypatch: pytest.MonkeyPatch, refusal: Refusal) -> None:
    def ghostscript(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", ghostscript)
    for name, format in (("x.png", "EPS"), ("x.jpg", "GIF"), ("x.bmp", "TGA")):
        Image.fromarray(LEVELS[0]).save(pets / "cat" / name, format)
        assert "is damaged or none of PNG, JPEG, BMP, WEBP, TIFF, PPM" in refusal(lambda: load(f"folder:{pets}"))
        (pets / "cat" / name).unlink()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, row: bytes) -> bytes:
    """A PNG whose rows are all the same."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    content = zlib.compress((b"\0" + row) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def tiff(colours: int) -> bytes:
    """A TIFF of one pixel with 16 bits for each colour."""
    bits = struct.pack(f"<{colours}H", *[16] * colours)
    tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, colours, 200), (262, 3, 1, 2), (273, 4, 1, 220)]
    tags += [(277, 3, 1, colours), (278, 3, 1, 1), (279, 4, 1, 2 * colours)]
    listed = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = b"II*\0" + struct.pack("<IH", 8, len(tags)) + listed + bytes(4)
    return start.ljust(200, b"\0") + bits.ljust(20, b"\0") + bytes(2 * colours)


def encoded(levels: np.ndarray, format: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(levels).save(file, format)
    return file.getvalue()


DEEP = {
    "grey PNG": (png(1, 1, 16, 0, bytes(2)), 16),
    "RGB PNG": (png(1, 1, 16, 2, bytes(6)), 16),
    "grey PNG with alpha": (png(1, 1, 16, 4, bytes(4)), 16),
    "RGB PNG with alpha": (png(1, 1, 16, 6, bytes(8)), 16),
    "grey TIFF": (encoded(np.zeros((2, 2), np.uint16), "TIFF"), 16),
    "RGB TIFF": (tiff(3), 16),
    "TIFF of floats": (encoded(np.zeros((2, 2), np.float32), "TIFF"), 32),
    "PGM": (b"P5 1 1 65535\n" + bytes(2), 16),
    "PPM": (b"P6 1 1 1023\n" + bytes(6), 10),
    "plain PPM": (b"P3 1 1 65535\n0 0 0\n", 16),
    "PFM": (b"Pf 1 1 -1.0\n" + bytes(4), 32),
}


@pytest.mark.parametrize("name", DEEP)
def test_images_with_more_than_8_bits_are_refused(pets: Path, name: str, refusal: Refusal) -> None:
    content, bits = DEEP[name]
    (pets / "cat" / "x.png").write_bytes(content)
    line = f"must have at most 8 bits for each channel, got {bits}; convert it"
    assert refusal(lambda: load(f"folder:{pets}", knobs={"size": 4})) == f"{pets}/cat/x.png {line}"


def test_a_palette_with_transparency_is_read_without_a_warning(pets: Path) -> None:
    path = pets / "cat" / "0.png"
    palette = Image.fromarray(LEVELS[0]).quantize(16)
    palette.save(path, transparency=bytes(range(16)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = load(f"folder:{pets}")
    part = next(part for part in (splits.train, splits.validation, splits.test) if 0 in part.index)
    expected = np.asarray(palette.convert("RGB")).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(part.images[part.index == 0][0], expected)
    assert splits.notes[:1] == ()


def test_what_pillow_warns_of_is_told_in_a_note(pets: Path) -> None:
    broken = chunk(b"acTL", struct.pack(">II", 0, 0))  # an animation of no frames
    path = pets / "cat" / "0.png"
    content = path.read_bytes()
    path.write_bytes(content[:33] + broken + content[33:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notes = load(f"folder:{pets}").notes
    text = "Invalid APNG, will use default PNG image if possible"
    assert notes[0] == f"images that Pillow warns of: 1 (first cat/0.png: {text})"


def test_an_image_of_several_pictures_is_told_in_a_note(pets: Path) -> None:
    pictures = [Image.fromarray(levels) for levels in LEVELS[:3]]
    pictures[0].save(pets / "cat" / "0.tif", save_all=True, append_images=pictures[1:])
    pictures[0].save(pets / "dog" / "0.webp", save_all=True, append_images=pictures[1:], lossless=True)
    assert load(f"folder:{pets}").notes[0] == (
        "images with several pictures, of which the first is read: 2 (such as cat/0.tif)"
    )


def test_an_orientation_that_stands_behind_the_pixels(pets: Path, refusal: Refusal) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = pets / "cat" / "3.png"
    content = path.read_bytes()
    path.write_bytes(content[:-12] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + content[-12:])
    line = "images must have one size, got 5x6 in cat/0.png and 6x5 in cat/3.png; set the knob size=5 to resize all"
    assert refusal(lambda: load(f"folder:{pets}")) == f"{pets}: {line}"
    splits = load(f"folder:{pets}", knobs={"size": 4})
    part = next(part for part in (splits.train, splits.validation, splits.test) if 3 in part.index)
    upright = Image.fromarray(LEVELS[3]).transpose(Image.Transpose.ROTATE_270)
    expected = np.asarray(upright.resize((4, 4), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    np.testing.assert_array_equal(part.images[part.index == 3][0], expected / np.float32(255))


def test_an_archive_whose_key_has_several_lines(tmp_path: Path, refusal: Refusal) -> None:
    np.savez(tmp_path / "toy.npz", **{"train\nimages": np.zeros(3)})
    assert r"lacks train_images and train_labels; found: train\nimages" in refusal(
        lambda: load(f"npz:{tmp_path}/toy.npz")
    )


@pytest.mark.parametrize("entry", [{"class_names": np.array(["a", "b\n"])}, {"source": np.array("toy\nset")}])
def test_an_archive_whose_names_cannot_be_written(
    tmp_path: Path, entry: dict[str, np.ndarray], refusal: Refusal
) -> None:
    np.savez(tmp_path / "toy.npz", train_images=LEVELS, train_labels=np.arange(10) % 2, **entry)
    assert "must be printable UTF-8, got '" in refusal(lambda: load(f"npz:{tmp_path}/toy.npz"))


def test_images_whose_headers_exceed_sense(pets: Path, refusal: Refusal) -> None:
    for number in range(12):
        (pets / "cat" / f"{number}.png").write_bytes(png(13_000, 13_000, 1, 0, b""))
    line = "is too large: Image size (169000000 pixels) exceeds limit of 89478485 pixels; shrink it"
    assert refusal(lambda: load(f"folder:{pets}", knobs={"size": 4})) == f"{pets}/cat/0.png {line}"


def seeds() -> list[bytes]:
    """A small image of every format and of several kinds."""
    image, exif = Image.fromarray(LEVELS[0]), Image.Exif()
    exif[0x0112] = 6
    kinds: list[tuple[str, Image.Image, dict[str, object]]] = [
        ("PNG", image, {"exif": exif}),
        ("PNG", image.quantize(16), {"transparency": bytes(range(16))}),
        ("PNG", image, {"save_all": True, "append_images": [image]}),
        ("JPEG", image, {"exif": exif}),
        ("BMP", image, {}),
        ("WEBP", image, {"exif": exif}),
        ("TIFF", image, {"exif": exif}),
        ("TIFF", image, {"compression": "tiff_lzw"}),
        ("PPM", image, {}),
        ("PPM", image.convert("1"), {}),
    ]
    contents = []
    for format, picture, options in kinds:
        file = io.BytesIO()
        picture.save(file, format, **options)
        contents.append(file.getvalue())
    return [*contents, b"P3 2 2 255\n" + b"1 2 3 " * 4]


def test_damaged_files_end_in_one_line_or_are_read(tmp_path: Path) -> None:
    from mim4dd.data.images import ImageReader

    draw, read = random.Random(0), 0
    refused: list[str] = []
    for content in seeds():
        for _ in range(60):
            damaged = bytearray(content)
            for _ in range(draw.choice((0, 1, 2, 4))):
                # more often near the beginning, where headers are
                damaged[int(len(damaged) * draw.random() ** 2)] = draw.randrange(256)
            (tmp_path / "x.png").write_bytes(damaged[: draw.choice((len(damaged), draw.randrange(len(damaged))))])
            reader = ImageReader(tmp_path, draw.choice((0, 4)))
            try:
                reader.examine([tmp_path / "x.png"])
                levels = reader.levels(tmp_path / "x.png")
            except DataError as error:
                refused.append(str(error))
            else:
                read += 1
                assert levels.shape == reader.shape
                assert levels.dtype == np.uint8
    assert len(refused) > 100
    assert read > 100
    assert not [line for line in refused if "\n" in line]


def test_more_than_the_free_memory_is_refused_before_it_is_decoded(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Refusal
) -> None:
    np.savez_compressed(
        tmp_path / "zeros.npz", train_images=np.zeros((400, 50, 50), np.uint8), train_labels=np.zeros(400)
    )
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=500_000))
    line = "unpacked, would take 2 MB of memory, 1 MB are free; give fewer or smaller images"
    assert line in refusal(lambda: load(f"npz:{tmp_path}/zeros.npz"))
    line = "folder:pets: 20 images of 3 x 400 x 400 in 3 copies as float32 would take 125 MB of memory, 1 MB are free"
    assert line in refusal(lambda: load(f"folder:{pets}", knobs={"size": 400}))
