"""Arrays and a JSON header in one safetensors file: written whole, and checked when it is read."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.errors import InputError
from mim4dd.files import opened

Arrays = dict[str, npt.NDArray[Any]]
KINDS = {np.ndarray: "an array", str: "text", int: "a whole number", list: "a list", dict: "an object"}


def packed(arrays: Mapping[str, npt.NDArray[Any]], key: str, header: dict[str, Any]) -> bytes:
    """A safetensors file with the arrays, and the header as JSON under `key` of its metadata."""
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return save(tensors, metadata={key: json.dumps(header, sort_keys=True)})


def unpacked(content: bytes, key: str) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the header that `packed` joined.

    Raises: InputError for anything else, as the end of a sentence about it.
    """
    arrays, metadata = loaded(content)
    try:
        header = json.loads(metadata.get(key, "null"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"its header '{key}' is no JSON ({error})") from error
    if not isinstance(header, dict):
        raise InputError(f"it lacks the header '{key}'")
    return arrays, header


def loaded(content: bytes) -> tuple[Arrays, dict[str, str]]:
    """The arrays and the texts of any safetensors file.

    Raises: InputError for anything else, as the end of a sentence about it.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:  # KeyError: a type that numpy lacks
        raise InputError(f"it is no safetensors file of numpy's types ({' '.join(str(error).split())})") from error
    metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__") or {}
    return arrays, metadata


def read_packed(path: Path, key: str) -> tuple[Arrays, dict[str, Any]]:
    """Read a file of `packed`.

    Raises: InputError for anything else, as the end of a sentence about it.
    """
    with opened(path) as file:
        content = file.read()
    return unpacked(content, key)


def require_entries(found: Mapping[str, Any], needed: Mapping[str, type]) -> None:
    """Raises: InputError when an entry is missing or of another kind, as the end of a sentence about the file."""
    missing = [name for name in needed if name not in found]
    if missing:
        raise InputError(f"it lacks {', '.join(missing)}")
    for name, kind in needed.items():
        if not isinstance(found[name], kind):
            raise InputError(f"{name} must be {KINDS[kind]}, got {reprlib.repr(found[name])}")


def require_array(name: str, array: npt.NDArray[Any], dtype: type, shape: Sequence[int | str]) -> None:
    """Raises: InputError when an array has another type or shape. shape: sizes; a letter stands for any."""
    sizes = tuple(size if isinstance(wanted, str) else wanted for wanted, size in zip(shape, array.shape, strict=False))
    if array.dtype != dtype or len(shape) != array.ndim or array.shape != sizes:
        raise InputError(
            f"{name} must be {np.dtype(dtype)} [{', '.join(map(str, shape))}], got {array.dtype} {list(array.shape)}"
        )
