"""`folder:DIR`: a data set of image files, one folder for each class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mim4dd.data.catalogue import DATASETS, DataSet
from mim4dd.data.cuts import cut
from mim4dd.data.pixels import from_levels
from mim4dd.errors import DataError
from mim4dd.records import ImageData
from mim4dd.registry import knob

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
GREY = ("1", "L", "LA", "La")
DEEP = ("I", "F")
TEST_RATE = 0.2


@DATASETS.add("folder")
@dataclass(frozen=True, kw_only=True)
class Folder(DataSet):
    """DIR/train/CLASS/* and DIR/test/CLASS/*, or DIR/CLASS/*, of which a stratified 20% become the test set.

    That cut is the same for every seed and wherever the folder lies: it depends on the folder's own name and on the
    classes only. `index` is an image's position in its part's listing, sorted by class and file name.
    Images become grey where every one is, otherwise RGB; transparency and EXIF orientation are ignored.
    """

    takes_path: ClassVar[bool] = True
    size: int = knob(
        0, low=0, high=10_000, help="resize every image to size x size pixels (bicubic); 0 leaves them as they are"
    )

    def read(self, where: Path, *, download: bool = False) -> tuple[ImageData, ImageData]:
        parts = _listing(where)
        files = [path for part in parts.values() for paths in part.values() for path in paths]
        mode, shape = _form(where, files, self.size)
        read = {}
        for name, part in parts.items():
            paths = [path for members in part.values() for path in members]
            labels = np.repeat(np.arange(len(part)), [len(members) for members in part.values()])
            levels = np.empty((len(paths), *shape), dtype=np.uint8)
            for row, path in enumerate(paths):
                levels[row] = _levels(path, mode, self.size)
            source = f"folder:{where.name}/{name}" if name else f"folder:{where.name}"
            images = from_levels(levels[:, None] if mode == "L" else levels.transpose(0, 3, 1, 2))
            read[name] = ImageData(images, labels.astype(np.int64), np.arange(len(paths)), tuple(part), source)
        if "test" in read:
            return read["train"], read["test"]
        return cut(read[""], TEST_RATE, "test", where.name)

    def content_digest(self, where: Path) -> str:
        hasher = hashlib.sha256()
        for part in _listing(where).values():
            for path in (path for members in part.values() for path in members):
                content = path.read_bytes()
                hasher.update(f"{path.relative_to(where).as_posix()}\0{len(content)}\0".encode() + content)
        return hasher.hexdigest()[:16]


def _listing(root: Path) -> dict[str, dict[str, list[Path]]]:
    """The sorted image files of each class of each part; one unnamed part where train and test do not exist."""
    if not root.is_dir():
        raise DataError(f"folder needs an existing folder, got {root}")
    names = ["train", "test"] if all((root / part).is_dir() for part in ("train", "test")) else [""]
    parts = {name: _classes(root / name) for name in names}
    if "test" in parts and list(parts["train"]) != list(parts["test"]):
        differ = sorted(set(parts["train"]) ^ set(parts["test"]))
        raise DataError(
            f"{root}: train and test must have the same classes, got in only one of them: {', '.join(differ)}"
        )
    return parts


def _classes(root: Path) -> dict[str, list[Path]]:
    folders = _sorted(path for path in root.iterdir() if path.is_dir())
    if len(folders) < 2:
        raise DataError(
            f"{root} must hold a folder of images for each of at least two classes, or train and test with these, "
            f"got {', '.join(path.name for path in folders) or 'none'}"
        )
    images = {}
    for folder in folders:
        images[folder.name] = _sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        if not images[folder.name]:
            raise DataError(f"{folder} must hold images of its class ({', '.join(SUFFIXES)}), got none")
    return images


def _sorted(paths: Iterator[Path]) -> list[Path]:
    return sorted((path for path in paths if path.name[0] != "."), key=lambda path: path.name)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {' '.join(str(error).split())}") from error


def _form(root: Path, files: list[Path], size: int) -> tuple[str, tuple[int, ...]]:
    """The mode and the array shape that all images share, from their headers alone."""
    with _opened(files[0]) as image:
        width, height = image.size
    grey = True
    for path in files:
        with _opened(path) as image:
            image_size, mode = image.size, image.mode
        if mode.startswith(DEEP):
            raise DataError(f"{path} must have 8 bits for each channel, got mode {mode}; convert it")
        grey &= mode in GREY
        if image_size != (width, height) and not size:
            raise DataError(
                f"{root}: images must have one size, got {width}x{height} in {files[0].relative_to(root)} and "
                f"{image_size[0]}x{image_size[1]} in {path.relative_to(root)}; "
                f"set the knob size={min(width, height, *image_size)} to resize all"
            )
    shape = (size, size) if size else (height, width)
    return ("L", shape) if grey else ("RGB", (*shape, 3))


def _levels(path: Path, mode: str, size: int) -> np.ndarray:
    from PIL import Image

    with _opened(path) as image:
        converted = image.convert(mode)
    if size and converted.size != (size, size):
        converted = converted.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(converted)
