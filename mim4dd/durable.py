"""Atomic file writes: a file is complete or absent, flushed to disk, and some begin with their checksum."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mim4dd.errors import InputError

SIGNATURE = 32  # bytes of the sha256 at the start of a signed file
BLOCK = bytes(4096)  # more than a file system stores beside a file's name, where a full disk would still take it
# Errors of a file system that is full, over its quota, read-only, broken or gone.
STORAGE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}


def finite(value: Any) -> Any:
    """The same value with None for numbers that are not finite, which JSON cannot represent."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def encoded(text: str) -> bytes:
    """UTF-8. A byte of a file name that is no UTF-8 is written as its escape, which JSON reads as the same byte."""
    return text.encode("utf-8", "backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically: readers see the old file or the new one."""
    durably(path, encoded(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"))


def durably(path: Path, content: bytes) -> None:
    """Write a file atomically and flush it to disk; creates its folder.

    Raises: OSError; the file is then what it was before.
    """
    with _part_of(path) as part:
        _fill(part, content)
        os.replace(part, path)


def try_writing(path: Path) -> None:
    """Write a block beside a file as `durably` would, and remove it and the folders it needed; the file is not touched.

    Raises: OSError when the file could not be written now.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        with _part_of(path) as part:
            _fill(part, BLOCK)
            part.unlink()
    finally:
        for folder in missing:
            with suppress(OSError):  # another process may have written there
                folder.rmdir()


@contextmanager
def _part_of(path: Path) -> Iterator[Path]:
    """Where a file is written before it bears its name; an error or an interruption removes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _fill(part: Path, content: bytes) -> None:
    with open(part, "wb", buffering=0) as file:
        write_all(file, content)
        os.fsync(file.fileno())


def write_all(file: io.FileIO, content: bytes) -> None:
    """Write all of the content: one call of `write` may store a part of it and fail on the rest.

    Raises: OSError.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def write_signed(path: Path, content: bytes) -> None:
    """Write a file that begins with the sha256 of its content.

    Raises: OSError.
    """
    durably(path, hashlib.sha256(content).digest() + content)


def read_signed(path: Path) -> tuple[bytes | None, str]:
    """What `write_signed` wrote, and ""; else None, and why as the end of a sentence ("" when there is no file)."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"could not be read ({error.strerror})"
    content = data[SIGNATURE:]
    if hashlib.sha256(content).digest() != data[:SIGNATURE]:
        return None, "was damaged"
    return content, ""


def read_json(path: Path) -> Any:
    """The content of a JSON file; None when there is no such file.

    Raises: InputError when it cannot be read or parsed.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON file: {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
