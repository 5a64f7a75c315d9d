"""Numpy archives read as plain arrays: nothing in them is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mim4dd.capacity import require_capacity
from mim4dd.errors import DataError
from mim4dd.files import opened, shown
from mim4dd.pixels import Array

ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


def plain_arrays(path: Path, check: Callable[[dict[str, Array]], None]) -> dict[str, Array]:
    """Read every array of the archive.

    check: called before any array is read, with arrays of the same shapes and dtypes that take no memory.
    Raises: DataError when the file is missing, damaged or no numpy archive, holds Python objects, or would not fit in
    memory, and whatever `check` raises.
    """
    name = shown(path)
    # opened here, since np.load leaves a damaged file open
    with opened(path) as file:
        if file.read(4) not in ZIP_STARTS:
            raise DataError(f"{name} must be an archive written by numpy.savez, but is no zip file")
        file.seek(0)
        try:
            archive, members = np.load(file, allow_pickle=False), zipfile.ZipFile(file)
        except UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{name} cannot be read as a numpy archive, it may be truncated: {reason}") from error
        with archive, members:
            headers = {key: _header(name, members, key) for key in archive.files}
            unpacked = sum(prod(shape) * dtype.itemsize for shape, dtype in headers.values())
            require_capacity(f"{name}, unpacked,", unpacked)
            check({key: _without_memory(name, key, *header) for key, header in headers.items()})
            return {key: _array(name, archive, key) for key in archive.files}


def _header(name: str, members: zipfile.ZipFile, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and dtype of an array."""
    with _reading(name, key), members.open(key if key in members.namelist() else f"{key}.npy") as member:
        version, _ = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        return shape, dtype


def _without_memory(name: str, key: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    with _reading(name, key):
        return np.broadcast_to(np.empty((), dtype), shape)


def _array(name: str, archive: np.lib.npyio.NpzFile, key: str) -> Array:
    with _reading(name, key):
        array: Array = archive[key]
        return array


@contextmanager
def _reading(name: str, key: str) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        reason = " ".join(str(error).split()).replace("when allow_pickle=False", "here: store plain arrays")
        raise DataError(f"{name}: {key} cannot be read: {reason}") from error
