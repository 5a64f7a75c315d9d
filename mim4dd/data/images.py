"""Image files: only the formats that are promised, upright, 8 bits a channel, without Pillow's warnings."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mim4dd.capacity import require_image_capacity
from mim4dd.data.resizing import resize
from mim4dd.errors import DataError
from mim4dd.files import opened, shown
from mim4dd.pixels import Floats, from_levels

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
# Pillow's names of the same; left free, it tries EPS too, which starts Ghostscript.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM")
GREY = ("1", "L", "LA", "La")
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258
DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, AttributeError, RuntimeError),
    *(OverflowError, ZeroDivisionError, struct.error, zlib.error),
)
Opens = Callable[[Path], AbstractContextManager[BinaryIO]]
# Pillow decodes to 4 bytes a pixel at most, turns that upright, and converts it.
DECODING_BYTES = 12


class ImageReader:
    """Reads image files as arrays of one form: all grey or all RGB, of one size.

    size: to which every image is resized; with 0 they must have one size. opens: how an image's content is opened, for
    images that are no files and whose paths are only their names.
    """

    def __init__(self, root: Path, size: int, opens: Opens = opened) -> None:
        self.root, self.size, self._opens = root, size, opens
        self.grey, self.height, self.width, self.largest_pixels = True, size, size, 0
        self._first = root
        self._warned: dict[Path, str] = {}
        self._animated: list[Path] = []

    def examine(self, paths: Sequence[Path]) -> None:
        """Find out the form of all images from their headers.

        Raises: DataError for a file that is no image of a promised format, a deep one, or one of another size.
        """
        self._first = paths[0]
        for path in paths:
            with self._open(path) as image:
                bits = _bits(image)
                if bits > 8:
                    raise DataError(f"{shown(path)} must have at most 8 bits for each channel, got {bits}; convert it")
                self.grey &= image.mode in GREY
                self.largest_pixels = max(self.largest_pixels, image.width * image.height)
                if getattr(image, "is_animated", False):
                    self._animated.append(path)
                if self.size:
                    continue
                # asked for the EXIF of a PNG that has none in front, Pillow decodes all of it
                in_front = image.format != "PNG" or "exif" in image.info
                if in_front and image.getexif().get(ORIENTATION, 1) != 1:
                    _turn_upright(image)
                width, height = image.size
            if path == self._first:
                self.width, self.height = width, height
            self._require_size(path, width, height)

    def _require_size(self, path: Path, width: int, height: int) -> None:
        if (width, height) != (self.width, self.height):
            raise DataError(
                f"{shown(self.root)}: images must have one size, got {self.width}x{self.height} in "
                f"{self._inside(self._first)} and {width}x{height} in {self._inside(path)}; "
                f"set the knob size={min(width, height, self.width, self.height)} to resize all"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, H, W) of every image."""
        return (1 if self.grey else 3, self.height, self.width)

    def levels(self, path: Path) -> np.ndarray:
        """One image's levels, uint8 [channels, H, W].

        Raises: DataError when it cannot be decoded, or was of another size than its header said.
        """
        with self._open(path) as image:
            _turn_upright(image)
            # a palette by way of RGBA, without which Pillow warns of its transparency
            whole = image.convert("RGBA") if image.mode == "P" else image
            final = resize(whole.convert("L" if self.grey else "RGB"), self.size)
        self._require_size(path, *final.size)
        array = np.asarray(final)
        return array[None] if self.grey else array.transpose(2, 0, 1)

    def notes(self) -> list[str]:
        """Lines on images that hold more than one picture, and on those that Pillow warned of."""
        notes = []
        if self._animated:
            count, first = len(self._animated), self._inside(self._animated[0])
            notes.append(f"images with several pictures, of which the first is read: {count} (such as {first})")
        if self._warned:
            path, text = next(iter(self._warned.items()))
            notes.append(f"images that Pillow warns of: {len(self._warned)} (first {self._inside(path)}: {text})")
        return notes

    def _inside(self, path: Path) -> str:
        return shown(path.relative_to(self.root))

    @contextmanager
    def _open(self, path: Path) -> Iterator[Image.Image]:
        from PIL import Image, UnidentifiedImageError

        with self._opens(path) as file, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                with Image.open(file, formats=FORMATS) as image:
                    yield image
            except UnidentifiedImageError as error:
                raise DataError(
                    f"{shown(path)} cannot be read as an image: it is damaged or none of {', '.join(FORMATS)}"
                ) from error
            except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
                raise DataError(f"{shown(path)} is too large: {str(error).partition(',')[0]}; shrink it") from error
            except DataError:
                raise
            except DAMAGED as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise DataError(f"{shown(path)} cannot be read as an image: {reason}") from error
        for warning in caught:
            self._warned.setdefault(path, " ".join(str(warning.message).split()))


def decoded(
    name: str, reader: ImageReader, parts: Mapping[str, Sequence[Path]], held_bytes: int = 0
) -> dict[str, Floats]:
    """The images of each part, all of one form, as pixels.

    held_bytes: what else is in memory meanwhile.
    Raises: DataError for an image that cannot be read, and for more than fit in memory, before any is decoded.
    """
    paths = [path for part in parts.values() for path in part]
    reader.examine(paths)
    reading = held_bytes + DECODING_BYTES * reader.largest_pixels + len(paths) * prod(reader.shape)
    require_image_capacity(name, len(paths), reader.shape, reading_bytes=reading)
    pixels = {}
    for part, members in parts.items():
        levels = np.empty((len(members), *reader.shape), dtype=np.uint8)
        for row, path in enumerate(members):
            levels[row] = reader.levels(path)
        pixels[part] = from_levels(levels)
    return pixels


def _turn_upright(image: Image.Image) -> None:
    from PIL import ImageOps

    ImageOps.exif_transpose(image, in_place=True)


def _bits(image: Image.Image) -> int:
    """The bits of a channel in the file: Pillow's mode of a 16-bit RGB image is RGB."""
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(BITS_PER_SAMPLE, (1,))))  # type: ignore[attr-defined]
    tile = image.tile[0] if image.tile else ("", None, 0, "")  # type: ignore[attr-defined]
    if image.format == "PPM" and isinstance(tile[3], tuple) and tile[0].startswith("ppm"):
        return int(tile[3][1]).bit_length()
    if image.mode[0] in "IF":
        return 16 if "16" in f"{image.mode} {tile[3]}" else 32
    return 16 if image.format == "PNG" and str(tile[3]).endswith(";16B") else 8
