"""The registry of data sets, and the interface of each."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from mim4dd.records import ImageData
from mim4dd.registry import Registry, knob

LARGEST_SIZE = 10_000
# The share of the images that become the test set where there is none.
TEST_RATE = 0.2
SIZE_HELP = "resize every image to size x size pixels (bicubic); 0 leaves them as they are"


@dataclass(frozen=True, eq=False)
class Contents:
    """What a data set holds: `train`, from which validation is still to be cut where it is None, and `test`.

    notes: lines for the user, such as how many files were left out and why.
    """

    train: ImageData
    test: ImageData
    notes: tuple[str, ...] = ()
    validation: ImageData | None = None


@dataclass(frozen=True, kw_only=True)
class DataSet(Protocol):
    """A source of labelled images, and what each has in common.

    `where` is the data root for a named set, and the file or folder itself for a set that `takes_path`.
    in_root: whether it lies in the data root, where it can be downloaded to; no other set reads these arguments.
    validation_rate: the fraction of the images outside the test set that validation is cut from. `load` resizes what
    `read` returns to `size`.
    """

    takes_path: ClassVar[bool] = False
    in_root: ClassVar[bool] = False
    validation_rate: ClassVar[float] = 0.1
    size: int = knob(0, low=0, high=LARGEST_SIZE, help=SIZE_HELP, tacit=True)

    @abstractmethod
    def read(self, where: Path, *, download: bool = False) -> Contents:
        """Read the images.

        Raises: DataError when the set is missing, corrupt, unusable or larger than the free memory.
        """
        ...

    def require_files(self, where: Path) -> None:
        """Require that the files of a named set are there, without reading them; nothing for other sets.

        Raises: DataError.
        """

    def content_digest(self, where: Path) -> str:
        """16 hex digits of the bytes that `read` would read; '' for a set that its name alone identifies.

        Raises: DataError when there is nothing to read.
        """
        return ""


DATASETS: Registry[DataSet] = Registry("dataset", DataSet)
