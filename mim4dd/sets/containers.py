"""What stands in a file of tensors, as plain dictionaries, lists, arrays and numbers; no code of it is ever run."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mim4dd.capacity import FLOAT_BYTES, require_capacity
from mim4dd.data.archive import plain_arrays
from mim4dd.errors import InputError
from mim4dd.files import opened, shown
from mim4dd.tensors import loaded

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[Any]
# Deeper than any set; what is nested further is no set.
DEPTH = 8
NUMERIC = "?bhilqBHILQefd"
DAMAGED = (
    *(pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError, OSError),
    *(MemoryError, RecursionError, OverflowError, AssertionError, ImportError, zipfile.BadZipFile, NotImplementedError),
)


def contents(path: Path) -> Any:
    """What a .pt, .pth, .npz or .safetensors file holds: dictionaries, lists, arrays, numbers and texts.

    Raises: InputError when it cannot be read, holds code, or would not fit in memory.
    """
    if path.suffix not in READERS:
        raise InputError(f"{shown(path)} must end in {', '.join(READERS)}, ends in '{shown(path.suffix)}'; rename it")
    return READERS[path.suffix](path)


def tensors_and_texts(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays and the texts of the header of a safetensors file.

    Raises: InputError when it is none.
    """
    with opened(path) as file:
        require_capacity(shown(path), 2 * path.stat().st_size)
        content = file.read()
    try:
        return loaded(content)
    except InputError as error:
        raise InputError(f"{shown(path)} cannot be read: {error}") from error


def _npz(path: Path) -> dict[str, Array]:
    return plain_arrays(path, lambda headers: None)


def _torch(path: Path) -> Any:
    import torch

    name = shown(path)
    with opened(path) as file:
        _require_room(name, path, file)
        with _damaged(name), warnings.catch_warnings(), torch.serialization.safe_globals(_allowed()):
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    return _plain(name, content, DEPTH, {})


def _require_room(name: str, path: Path, file: BufferedReader) -> None:
    """Raises: InputError for a file that is larger than the memory, or would be once it is unpacked."""
    size = path.stat().st_size
    if zipfile.is_zipfile(file):
        with _damaged(name), zipfile.ZipFile(file) as archive:
            size = max(size, sum(member.file_size for member in archive.infolist()))
    file.seek(0)
    require_capacity(name, 2 * size)


def _allowed() -> list[Any]:
    """Numpy's numbers and arrays of numbers, which DC's files hold among their accuracies, by their old names too."""
    import numpy._core.multiarray as multiarray

    named = [
        (function, f"numpy.{core}.multiarray.{function.__name__}")
        for core in ("core", "_core")
        for function in (multiarray.scalar, multiarray._reconstruct)
    ]
    return [*named, np.dtype, np.ndarray, *(type(np.dtype(letter)) for letter in NUMERIC)]


@contextmanager
def _damaged(name: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except DAMAGED as error:
        text = " ".join(str(error).split()) or type(error).__name__
        code = re.search(r"GLOBAL ([\w.]+)", text)
        if code:
            reason = f"it holds Python's {code[1]}, and code of a file is never run; save plain tensors"
        elif "weights_only" in text or "Weights only" in text:
            reason = "it is damaged, or holds code, which is never run; save plain tensors"
        else:
            reason = f"it is damaged or truncated ({text[:120]})"
        raise InputError(f"{name} cannot be read: {reason}") from error


def _plain(name: str, value: Any, depth: int, done: dict[int, Any]) -> Any:
    """The same with arrays for tensors and lists for tuples. done: by identity, what stands in it more than once."""
    import torch

    if isinstance(value, torch.Tensor):
        return _array(name, value)
    if isinstance(value, dict | list | tuple) and not depth:
        raise InputError(f"{name} is nested deeper than any set: save a dictionary with images and labels")
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, dict):
        done[id(value)] = {str(key): _plain(name, item, depth - 1, done) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        done[id(value)] = [_plain(name, item, depth - 1, done) for item in value]
    else:
        return value
    return done[id(value)]


def _array(name: str, tensor: Tensor) -> Array:
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.is_meta:
        raise InputError(f"{name} must hold plain tensors, got {tensor.dtype} of layout {tensor.layout}")
    plain = tensor.detach()
    if plain.dtype.is_floating_point and plain.dtype not in (torch.float32, torch.float64):
        require_capacity(name, FLOAT_BYTES * prod(plain.shape))
        plain = plain.float()
    array: Array = plain.resolve_neg().numpy()
    return array


READERS: dict[str, Callable[[Path], Any]] = {
    ".pt": _torch,
    ".pth": _torch,
    ".npz": _npz,
    ".safetensors": lambda path: tensors_and_texts(path)[0],
}
