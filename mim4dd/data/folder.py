"""`folder:DIR`: a data set of image files, one folder for each class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from mim4dd.data.catalogue import DATASETS, LARGEST_SIZE, SIZE_HELP, TEST_RATE, Contents, DataSet
from mim4dd.data.cuts import cut
from mim4dd.data.images import ImageReader, decoded
from mim4dd.data.layout import layout_of
from mim4dd.files import digest_of
from mim4dd.records import ImageData
from mim4dd.registry import knob


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
        reader = ImageReader(where, self.size)
        paths = {name: [path for paths in part.values() for path in paths] for name, part in layout.parts.items()}
        pixels, read = decoded(f"folder:{where.name}", reader, paths), {}
        for name, part in layout.parts.items():
            labels = np.repeat(np.arange(len(part)), [len(paths) for paths in part.values()])
            source = f"folder:{where.name}/{name}" if name else f"folder:{where.name}"
            read[name] = ImageData(pixels[name], labels.astype(np.int64), np.arange(len(labels)), tuple(part), source)
        notes = (*layout.notes, *reader.notes())
        if layout.test:
            return Contents(read["train"], read[layout.test], notes)
        return Contents(*cut(read[""], TEST_RATE, "test", where.name), notes)

    def content_digest(self, where: Path) -> str:
        return digest_of(where, layout_of(where).paths)
