"""The files that a command writes: tried before the work, and told in one line when they fail after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mim4dd.durable import try_writing
from mim4dd.errors import InputError, StorageError


def require_writable(name: str, file: Path) -> None:
    """Raises: InputError when a file could not be written. name: what the user calls its place."""
    try:
        try_writing(file)
    except OSError as error:
        raise InputError(f"{name} cannot be written: {error.strerror}") from error


@contextmanager
def storing(file: Path) -> Iterator[None]:
    """Raises: StorageError when a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {file} ({error.strerror}): free space or repair the disk, then run the same command again"
        ) from error
