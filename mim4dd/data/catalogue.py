"""The registry of data sets, and the interface of each."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol

from mim4dd.records import ImageData
from mim4dd.registry import Registry


class DataSet(Protocol):
    """A source of labelled images.

    `where` is the data root for a named set, and the file or folder itself for a set that `takes_path`.
    in_root: whether it lies in the data root, where it can be downloaded to; no other set reads these arguments.
    validation_rate: the fraction of the images outside the test set that validation is cut from.
    """

    takes_path: ClassVar[bool] = False
    in_root: ClassVar[bool] = False
    validation_rate: ClassVar[float] = 0.1

    def read(self, where: Path, *, download: bool = False) -> tuple[ImageData, ImageData]:
        """(train before validation is cut from it, test).

        Raises: DataError when the set is missing, corrupt or unusable.
        """
        ...

    def content_digest(self, where: Path) -> str:
        """16 hex digits of the bytes that `read` would read; '' for a set that its name alone identifies.

        Raises: DataError when there is nothing to read.
        """
        return ""


DATASETS: Registry[DataSet] = Registry("dataset")
