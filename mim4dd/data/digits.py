"""The embedded default: the 1,797 handwritten digits that ship with scikit-learn."""

from __future__ import annotations

import importlib.util
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from mim4dd.data.catalogue import DATASETS, Contents, DataSet
from mim4dd.data.cuts import cut
from mim4dd.errors import DataError
from mim4dd.pixels import from_levels
from mim4dd.records import ImageData

TRAIN, VALIDATION, TEST = 1100, 300, 397


@DATASETS.add("digits")
@dataclass(frozen=True, kw_only=True)
class Digits(DataSet):
    """8x8 grey digits of 17 levels: 1,100 to train on, 300 to validate on, and a fixed stratified test set of 397.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998), the test part of it.
    """

    validation_rate: ClassVar[float] = VALIDATION / (TRAIN + VALIDATION)

    def read(self, where: Path, *, download: bool = False) -> Contents:
        """Read the file inside the installed scikit-learn; `where` and `download` are ignored."""
        table = _table()
        every = ImageData(
            images=from_levels(table[:, :64].reshape(-1, 1, 8, 8), white=16),
            labels=table[:, 64].astype(np.int64),
            index=np.arange(len(table)),
            classes=tuple("0123456789"),
            source="digits",
        )
        return Contents(*cut(every, TEST / len(every), "test", "digits"))


def _table() -> np.ndarray:
    # read as a file, since importing sklearn.datasets takes seconds
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("digits ships with scikit-learn, which is not installed: pip install scikit-learn")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"digits cannot be read from {path} ({error}): reinstall scikit-learn") from error
    if table.shape != (TRAIN + VALIDATION + TEST, 65):
        raise DataError(f"digits must be a table of [1797, 65] in {path}, got {list(table.shape)}")
    return table
