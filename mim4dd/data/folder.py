"""`folder:DIR`: a data set of image files, one folder for each class."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import ClassVar

import numpy as np

from mim4dd.capacity import require_image_capacity
from mim4dd.data.catalogue import DATASETS, LARGEST_SIZE, SIZE_HELP, Contents, DataSet
from mim4dd.data.cuts import cut
from mim4dd.data.images import ImageReader
from mim4dd.data.layout import layout_of
from mim4dd.files import opened
from mim4dd.pixels import from_levels
from mim4dd.records import ImageData
from mim4dd.registry import knob

TEST_RATE = 0.2
# Pillow decodes to 4 bytes a pixel at most, turns that upright, and converts it.
DECODING_BYTES = 12


@DATASETS.add("folder")
@dataclass(frozen=True, kw_only=True)
class Folder(DataSet):
    """DIR/train/CLASS/* and DIR/test/CLASS/*, or DIR/CLASS/*, of which a stratified 20% become the test set.

    That cut is the same for every seed and wherever the folder lies: it depends on the folder's own name and on the
    classes only. DIR/val (or valid, validation) beside train is the test set where there is no test; where there is, it
    is left out, since validation is cut from train. What else is left out is counted when the folder is read.
    Files: PNG, JPEG, BMP, WebP, TIFF, PPM, PGM and PBM of at most 8 bits a channel, directly in their class's folder.
    `index` is an image's position in its part's listing, sorted by class and file name.
    Images are turned upright by their EXIF orientation, and become grey where every one is, otherwise RGB; transparency
    is ignored. Where they differ in size, set the knob `size`.
    """

    takes_path: ClassVar[bool] = True
    # declared again, since a folder's records have always held it, at its default too
    size: int = knob(0, low=0, high=LARGEST_SIZE, help=SIZE_HELP)

    def read(self, where: Path, *, download: bool = False) -> Contents:
        layout = layout_of(where)
        paths, reader = layout.paths, ImageReader(where, self.size)
        reader.examine(paths)
        reading = DECODING_BYTES * reader.largest_pixels + len(paths) * prod(reader.shape)
        require_image_capacity(f"folder:{where.name}", len(paths), reader.shape, reading_bytes=reading)
        read = {}
        for name, part in layout.parts.items():
            members = [path for paths in part.values() for path in paths]
            labels = np.repeat(np.arange(len(part)), [len(paths) for paths in part.values()])
            levels = np.empty((len(members), *reader.shape), dtype=np.uint8)
            for row, path in enumerate(members):
                levels[row] = reader.levels(path)
            source = f"folder:{where.name}/{name}" if name else f"folder:{where.name}"
            read[name] = ImageData(
                from_levels(levels), labels.astype(np.int64), np.arange(len(members)), tuple(part), source
            )
        notes = (*layout.notes, *reader.notes())
        if layout.test:
            return Contents(read["train"], read[layout.test], notes)
        return Contents(*cut(read[""], TEST_RATE, "test", where.name), notes)

    def content_digest(self, where: Path) -> str:
        hasher = hashlib.sha256()
        for path in layout_of(where).paths:
            with opened(path) as file:
                name = os.fsencode(path.relative_to(where).as_posix())
                hasher.update(name + f"\0{os.fstat(file.fileno()).st_size}\0".encode())
                hashlib.file_digest(file, lambda: hasher)
        return hasher.hexdigest()[:16]
