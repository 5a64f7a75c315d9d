"""Files and folders that a user names: opened without waiting, and one error for all that cannot be read."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from mim4dd.errors import DataError, InputError

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def shown(path: Path | str) -> str:
    """A path for a message of one line: bytes that are no UTF-8 and control characters are escaped."""
    return "".join(letter.encode("unicode_escape").decode() if unprintable(letter) else letter for letter in str(path))


def unprintable(letter: str) -> bool:
    """Whether a character of a file name cannot stand in text: a byte that is no UTF-8, a control character."""
    return unicodedata.category(letter) in ("Cc", "Cs")


def require_printable(text: str, what: str = "a name that results hold") -> None:
    """Raises: InputError for a text that cannot be shown or stored: control characters, bytes that are no UTF-8."""
    if any(unprintable(letter) for letter in text):
        raise InputError(f"{what} must be printable UTF-8, got '{shown(text)}'")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the system says against reading the path into a DataError of one line."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{shown(path)} cannot be read: {error.strerror or error}") from error


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """A regular file, opened for reading; links are followed.

    Raises: DataError for anything else, such as a pipe, which could wait for ever, or a device, which could have no
    end; and when the file cannot be read.
    """
    with readable(path):
        _require_regular(path, path.stat())
        # without waiting, should it have become a pipe since
        with open(path, "rb", opener=_without_waiting) as file:
            _require_regular(path, os.fstat(file.fileno()))
            yield file


def digest_of(root: Path, paths: Iterable[Path]) -> str:
    """16 hex digits of the names below `root`, the sizes and the bytes of files, in their order.

    Raises: DataError for one that is no regular file or cannot be read.
    """
    hasher = hashlib.sha256()
    for path in paths:
        with opened(path) as file:
            name = os.fsencode(path.relative_to(root).as_posix())
            hasher.update(name + f"\0{os.fstat(file.fileno()).st_size}\0".encode())
            hashlib.file_digest(file, lambda: hasher)
    return hasher.hexdigest()[:16]


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{shown(path)} must be a file, is {KINDS.get(stat.S_IFMT(status.st_mode), 'no file')}")
