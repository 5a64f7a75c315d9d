"""Tampered copies of folders that our commands read: files torn, replaced, of another kind, JSON of another shape."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from studies.engine.reading import unpack

VALUES: tuple[Any, ...] = (
    None,
    "abc",
    "",
    [],
    {},
    [[]],
    -1,
    0,
    10**12,
    1e308,
    True,
    "²",
    ["a"],
    {"a": None},
    "\x00",
    "../..",
)
CONTENTS = (b"", b"\x00" * 512, b"[]", b"null", b"{}", b'"x"', b"1e999", b"\xff\xfe\x00", b"[" * 100_000, b"not json\n")
READ = ("study.json", "settings.jsonl", "rows.jsonl", "synthetic.safetensors")


def tampered(source: Path, copy: Path, rng: np.random.Generator) -> str:
    """Copy a folder and change one to two of its files; returns what was changed."""
    _copy(source, copy)
    said = []
    for _ in range(rng.integers(1, 3)):
        files = sorted(path for path in copy.iterdir() if path.is_file())
        # The files that commands read, rather than those that they only write.
        files = [path for path in files if path.name in READ and rng.integers(8)] or files
        if not files:
            break
        file = files[rng.integers(len(files))]
        change = CHANGES[rng.integers(len(CHANGES))]
        change(file, rng)
        said.append(f"{change.__name__} {file.name}")
    return ", ".join(said)


def _copy(source: Path, copy: Path) -> None:
    if copy.exists():
        shutil.rmtree(copy)
    shutil.copytree(source, copy)
    unpack(copy / "rows.jsonl")


def _remove(file: Path, rng: np.random.Generator) -> None:
    file.unlink()


def _tear(file: Path, rng: np.random.Generator) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(rng.integers(len(content) + 1))])


def _flip(file: Path, rng: np.random.Generator) -> None:
    content = bytearray(file.read_bytes())
    for place in rng.integers(max(1, len(content)), size=3):
        content[place : place + 1] = bytes([int(rng.integers(256))])
    file.write_bytes(content)


def _replace(file: Path, rng: np.random.Generator) -> None:
    file.write_bytes(CONTENTS[rng.integers(len(CONTENTS))])


def _append(file: Path, rng: np.random.Generator) -> None:
    file.write_bytes(file.read_bytes() + CONTENTS[rng.integers(len(CONTENTS))])


def _to_folder(file: Path, rng: np.random.Generator) -> None:
    file.unlink()
    file.mkdir()


def _to_link(file: Path, rng: np.random.Generator) -> None:
    file.unlink()
    file.symlink_to(file.name)


def _reshape(file: Path, rng: np.random.Generator) -> None:
    """Give some entries of a JSON file, or of a line of one, another value, or remove them."""
    whole = file.suffix == ".json"
    lines = [file.read_bytes()] if whole else file.read_bytes().splitlines()
    chosen = int(rng.integers(max(1, len(lines))))
    try:
        record = json.loads(lines[chosen])
    except (ValueError, IndexError, RecursionError):
        return _replace(file, rng)
    for _ in range(rng.integers(1, 5)):
        entries = _entries(record)
        if not entries:
            break
        holder, key = entries[rng.integers(len(entries))]
        if rng.integers(4):
            holder[key] = VALUES[rng.integers(len(VALUES))]
        else:
            del holder[key]
    lines[chosen] = json.dumps(record).encode()
    file.write_bytes(b"\n".join(lines) + b"\n")
    return None


def _entries(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a JSON value, as its holder and key."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in _entries(value[key])]


CHANGES: tuple[Callable[[Path, np.random.Generator], None], ...] = (
    *(_remove, _tear, _flip, _replace, _append, _to_folder, _to_link),
    # Files that parse and have another shape are the kind that handlers of errors miss.
    *(_reshape,) * 7,
)


def tampered_set(source: Path, copy: Path, rng: np.random.Generator) -> str:
    """Copy a run folder and change its synthetic set: its tensors, its JSON header, or the bytes of its file."""
    if not rng.integers(3):
        return tampered(source, copy, rng)
    _copy(source, copy)
    file = copy / "synthetic.safetensors"
    with safe_open(file, framework="numpy") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}
        header = json.loads(opened.metadata()["mim4dd"])
    if rng.integers(2):
        name = sorted(tensors)[rng.integers(len(tensors))]
        change = TENSORS[rng.integers(len(TENSORS))]
        tensors[name] = np.ascontiguousarray(change(tensors[name]))
        said = f"tensor {name} is {tensors[name].dtype}{list(tensors[name].shape)}"
    else:
        entries = _entries(header)
        holder, key = entries[rng.integers(len(entries))]
        holder[key] = VALUES[rng.integers(len(VALUES))]
        said = f"header {key} is {holder[key]!r}"
    file.write_bytes(save(tensors, metadata={"mim4dd": json.dumps(header)}))
    return said


TENSORS: tuple[Callable[[Any], Any], ...] = (
    lambda tensor: tensor[:0],
    lambda tensor: tensor[..., None],
    lambda tensor: tensor.ravel(),
    lambda tensor: np.concatenate([tensor, tensor]),
    lambda tensor: tensor.astype(np.float64),
    lambda tensor: tensor.astype(np.int8),
    lambda tensor: tensor.astype(np.bool_),
    lambda tensor: np.full_like(tensor, 10**6 if tensor.dtype.kind == "i" else np.nan),
    lambda tensor: np.full_like(tensor, -1),
    lambda tensor: np.zeros_like(tensor),
)
