"""Numpy archives read as plain arrays: nothing in them is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from mim4dd.data.pixels import Array
from mim4dd.errors import DataError
from mim4dd.registry import unknown

ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


def check_file(path: Path) -> None:
    """Raises: DataError when there is no such file."""
    if not path.is_file():
        raise DataError(f"npz needs an existing file, got {path}")


def plain_arrays(path: Path, known: Collection[str]) -> dict[str, Array]:
    """Read every array of the archive, whose keys must all be known.

    Raises: DataError when the file is missing, damaged or no numpy archive, or holds another key or Python objects.
    """
    check_file(path)
    # opened here, since np.load leaves a damaged file open
    with path.open("rb") as file:
        if file.read(4) not in ZIP_STARTS:
            raise DataError(f"{path} must be an archive written by numpy.savez, but is no zip file")
        file.seek(0)
        try:
            archive = np.load(file, allow_pickle=False)
        except UNREADABLE as error:
            raise DataError(f"{path} cannot be read as a numpy archive, it may be truncated: {error}") from error
        with archive:
            for key in archive.files:
                if key not in known:
                    raise DataError(f"{path}: {unknown('key', key, known)}")
            return {key: _array(path, archive, key) for key in archive.files}


def _array(path: Path, archive: np.lib.npyio.NpzFile, key: str) -> Array:
    try:
        array = archive[key]
    except UNREADABLE as error:
        reason = " ".join(str(error).split()).replace("when allow_pickle=False", "here: store plain arrays")
        raise DataError(f"{path}: {key} cannot be read: {reason}") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: {key} must be an array written by numpy.savez, got {type(array).__name__}")
    return array
