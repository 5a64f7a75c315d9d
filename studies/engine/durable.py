"""Files that are whole or not there: written in one step and flushed to disk, some of them signed."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from pathlib import Path
from typing import Any

from mim4dd.errors import InputError

SIGNATURE = 32  # bytes of the sha256 in front of a signed file


def finite(value: Any) -> Any:
    """The same value with None where a number is not finite: JSON has no other word for it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file in one step: readers see the old one or the new one."""
    durably(path, (json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode())


def durably(path: Path, content: bytes) -> None:
    """Write a file in one step and flush it to disk, making its folder if need be.

    Raises: OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with open(part, "wb", buffering=0) as file:
        write_all(file, content)
        os.fsync(file.fileno())
    os.replace(part, path)


def write_all(file: io.FileIO, content: bytes) -> None:
    """Write to the end, or raise what the system says: it may take a part and refuse the rest."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def write_signed(path: Path, content: bytes) -> None:
    """Write a file behind its sha256.

    Raises: OSError.
    """
    durably(path, hashlib.sha256(content).digest() + content)


def read_signed(path: Path) -> tuple[bytes | None, str]:
    """What `write_signed` wrote; None and why, as the end of a sentence, when there is none or it was damaged."""
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
    """What a JSON file holds; None when there is no such file.

    Raises: InputError when it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is no JSON file: {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
