"""`hf:FOLDER`: a Hugging Face data set on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import numpy as np

from mim4dd.data.catalogue import DATASETS, TEST_RATE, Contents, DataSet
from mim4dd.data.columns import Rows, read_rows, require_library
from mim4dd.data.cuts import cut
from mim4dd.data.images import ImageReader, decoded
from mim4dd.data.shards import shards_of
from mim4dd.files import digest_of, shown
from mim4dd.pixels import as_classes
from mim4dd.records import ImageData
from mim4dd.registry import knob


@DATASETS.add("hf")
@dataclass(frozen=True, kw_only=True)
class HuggingFace(DataSet):
    """A snapshot of the hub with parquet files (`data/train-*.parquet`, ...), or what `save_to_disk` wrote.

    Its split test, otherwise validation, valid or val, is the test set; of a set without any a stratified 20% of train,
    the same for every seed and wherever the folder lies: that cut depends on the folder's own name and the labels only.
    Other splits are left out, which is told when the set is read. Of a snapshot with several configurations, give the
    folder of one. `index` is an image's row in its split.
    Images are the files that the rows hold, of the formats and with the rules of `folder`; those that are only named by
    a path are refused. Class names are those of ClassLabel, otherwise the numbers. Nothing is downloaded, no code of
    the folder is run and no copy is written. Needs the library datasets: pip install 'mim4dd[hf]'.
    """

    takes_path: ClassVar[bool] = True
    image: str = knob("", help="the column of the images; '' finds the one with the feature Image", tacit=True)
    label: str = knob("", help="the column of the labels; '' finds the one of ClassLabel or whole numbers", tacit=True)

    def read(self, where: Path, *, download: bool = False) -> Contents:
        shards = shards_of(where)
        require_library()
        rows = read_rows(where, shards.splits, self.image, self.label)
        every = np.concatenate([part.labels for part in rows.values()])
        classes = as_classes(shown(where), "classes", next(iter(rows.values())).classes, every)
        encoded = _Encoded(where, rows)
        reader = ImageReader(where, self.size, encoded.opened)
        pixels = decoded(f"hf:{where.name}", reader, encoded.paths, encoded.held_bytes)
        read = {}
        for split, part in rows.items():
            source = f"hf:{where.name}/{split}" if split else f"hf:{where.name}"
            read[split] = ImageData(pixels[split], part.labels, np.arange(len(part.labels)), classes, source)
        notes = (*shards.notes, *reader.notes())
        if shards.test:
            return Contents(read["train"], read[shards.test], notes)
        return Contents(*cut(next(iter(read.values())), TEST_RATE, "test", where.name), notes)

    def content_digest(self, where: Path) -> str:
        return digest_of(where, shards_of(where).paths)


class _Encoded:
    """The images of each split as files in memory, each with a path that only names it: FOLDER/SPLIT/row 7."""

    def __init__(self, where: Path, rows: dict[str, Rows]) -> None:
        self.paths = {
            split: [where / split / f"row {row}" for row in range(len(part.labels))] for split, part in rows.items()
        }
        self.held_bytes = sum(part.images.nbytes for part in rows.values())
        self._columns = {where / split: part.images for split, part in rows.items()}

    @contextmanager
    def opened(self, path: Path) -> Iterator[BytesIO]:
        """The content of an image file."""
        row = int(path.name.removeprefix("row "))
        with BytesIO(self._columns[path.parent][row].as_py()) as file:
            yield file
