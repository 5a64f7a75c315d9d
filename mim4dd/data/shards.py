"""Which files a Hugging Face data set on disk has for which split: a hub's snapshot, or what save_to_disk wrote."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mim4dd.data.layout import TEST, TRAIN, VALIDATION
from mim4dd.errors import DataError
from mim4dd.files import opened, readable, require_printable, shown

SAVED, SAVED_SPLITS = "state.json", "dataset_dict.json"
# ROOT/CONFIGURATION/SPLIT/FILE is the deepest layout of the hub.
DEEPEST = 2
NAMES = {TRAIN: TRAIN, "training": TRAIN, TEST: TEST, **{name: name for name in VALIDATION}}


@dataclass(frozen=True)
class Shards:
    """The data files that are read, by split: `train` and the test split, or one; and lines on what is left out.

    A set that was saved without splits has one that is called "". test: the name of the test split, "" where there is
    none.
    """

    splits: dict[str, list[Path]]
    test: str
    notes: tuple[str, ...]

    @property
    def paths(self) -> list[Path]:
        """All files, split by split."""
        return [path for paths in self.splits.values() for path in paths]


def shards_of(root: Path) -> Shards:
    """The data files of a folder. Names that begin with a dot are not looked at.

    Raises: DataError for a folder of another kind, one without a split `train`, or several data sets in one folder.
    """
    with readable(root):
        if not root.is_dir():
            raise DataError(f"hf needs an existing folder, got {shown(root)}")
        saved, one = (os.path.lexists(root / name) for name in (SAVED_SPLITS, SAVED))
    found = _saved_splits(root) if saved else {"": _saved_files(root)} if one else _snapshot(root)
    if list(found) == [""]:
        return Shards(found, "", ())
    if TRAIN not in found:
        raise DataError(f"{shown(root)} must have a split {TRAIN}, got {', '.join(sorted(map(shown, found)))}")
    test = next((name for name in (TEST, *VALIDATION) if name in found), "")
    notes = [] if test in ("", TEST) else [f"the test set is the split {test}, as there is no split {TEST}"]
    read = (TRAIN, test) if test else (TRAIN,)
    for name in sorted(set(found) - set(read)):
        reason = f"validation is cut from {TRAIN}" if name in VALIDATION else f"only {TRAIN} and {TEST} are read"
        what = f"in the split {shown(name)}" if name else "whose names say no split"
        notes.append(f"files left out: {len(found[name])} {what}, since {reason}")
    return Shards({name: found[name] for name in read}, test, tuple(notes))


def _saved_splits(root: Path) -> dict[str, list[Path]]:
    names = _entry(root / SAVED_SPLITS, "splits")
    if not names or not all(_is_name(name) for name in names):
        raise DataError(f"{shown(root / SAVED_SPLITS)} must list the names of splits, got {shown(str(names))}")
    return {name: _saved_files(root / name) for name in names}


def _saved_files(folder: Path) -> list[Path]:
    entries = _entry(folder / SAVED, "_data_files")
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in entries]
    # a name that leads elsewhere would have any file of the machine read
    if not names or not all(_is_name(name) for name in names):
        raise DataError(f"{shown(folder / SAVED)} must list the files of {shown(folder)}, got {shown(str(entries))}")
    return [folder / str(name) for name in names]


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")


def _entry(path: Path, key: str) -> list[Any]:
    """A list that a JSON file holds under a key."""
    with opened(path) as file:
        content = file.read()
    try:
        entry = json.loads(content)[key]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(
            f"{shown(path)} is no such file of save_to_disk: it must be JSON with the entry {key}"
        ) from error
    return entry if isinstance(entry, list) else []


def _snapshot(root: Path) -> dict[str, list[Path]]:
    """The parquet files of a snapshot by split."""
    splits: dict[str, list[Path]] = {}
    configurations: set[Path] = set()
    for path in _parquet_files(root, 0):
        split, beside = _split_of(path, root)
        require_printable(split)
        splits.setdefault(split, []).append(path)
        configurations.add(path.parent if beside else path.parent.parent)
    if not splits:
        raise DataError(
            f"{shown(root)} must be a snapshot of the hub with parquet files, or what save_to_disk wrote, got neither; "
            "image files are read by folder:DIR"
        )
    if len(configurations) > 1:
        names = sorted(shown(path.relative_to(root)) for path in configurations)
        raise DataError(
            f"{shown(root)} must hold one data set, got several ({', '.join(names)}); give the folder of one, as in "
            f"hf:{shown(max(configurations))}"
        )
    return splits


def _parquet_files(folder: Path, depth: int) -> Iterator[Path]:
    with readable(folder), os.scandir(folder) as entries:
        found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries if entry.name[0] != ".")
    for name, is_folder in found:
        if is_folder and depth < DEEPEST:
            yield from _parquet_files(folder / name, depth + 1)
        elif not is_folder and name.endswith(".parquet"):
            yield folder / name


def _split_of(path: Path, root: Path) -> tuple[str, bool]:
    """(split, whether the file's name says it): from its name, else from its folder's, else ""."""
    numbered = re.fullmatch(r"(.+)-\d{5}-of-\d{5}(-[0-9a-f]+)?", path.stem)
    name = numbered[1] if numbered else path.stem
    own = _known(name) or (name if numbered else "")
    if own or path.parent == root:
        return own, True
    folders = _known(path.parent.name)
    return folders, not folders


def _known(name: str) -> str:
    words = re.split(r"[^a-z]+", name.lower())
    return next((NAMES[word] for word in words if word in NAMES), "")
