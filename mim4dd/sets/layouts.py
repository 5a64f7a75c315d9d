"""How a file arranges images, labels and a learning rate: the layouts of the field's public code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mim4dd.errors import InputError
from mim4dd.sets.containers import Array, contents

IMAGES = ("images", "image", "image_syn", "syn_images", "data", "x", "pixels")
LABELS = ("soft_labels", "labels", "label", "label_syn", "y")
RATES = ("syn_lr", "lr")
# What an export of ours says of the space of its images.
SPACE = ("mean", "std", "whitening", "whitening_centre")
LAYOUTS = "a dictionary with images and labels, a list [images, labels], or DC's {'data': [[images, labels], ...]}"


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a set as its file has them, not yet checked; None for what it lacks.

    space: the arrays that say how its images were normalised; standard: the name of that, where a key says it; notes:
    lines for the user on what was found.
    """

    images: Array
    labels: Any = None
    rate: Any = None
    space: dict[str, Any] = field(default_factory=dict)
    classes: Any = None
    standard: str = ""
    notes: tuple[str, ...] = ()


def parts_of(name: str, content: Any, which: int | None) -> Parts:
    """Find the parts in what a file holds. which: of several sets in one file; by default the last.

    Raises: InputError for another layout, or for a set that the file has not.
    """
    several = content["data"] if isinstance(content, dict) and isinstance(content.get("data"), list) else content
    if isinstance(several, list) and several and all(_is_set(one) for one in several):
        count = len(several)
        if which is not None and not 0 <= which < count:
            raise InputError(f"which must be in [0, {count - 1}], the sets that {name} holds, got {which}")
        chosen = count - 1 if which is None else which
        found = parts_of(name, several[chosen], None)
        note = f"sets in the file: {count}, of which number {chosen}, counted from 0, is read"
        return replace(found, notes=(note,) if count > 1 else ())
    if which is not None:
        raise InputError(f"{name} holds one set; leave which out")
    if isinstance(content, np.ndarray):
        return Parts(content)
    if _is_set(content):
        return Parts(content[0], content[1], content[2] if len(content) == 3 else None)
    if isinstance(content, dict):
        named = [key for key in IMAGES if isinstance(content.get(key), np.ndarray)]
        if named:
            return _of_dictionary(content, named[0])
    raise InputError(f"{name} must hold {LAYOUTS}; it holds {_told(content)}")


def _of_dictionary(content: dict[str, Any], images: str) -> Parts:
    labels, rates = ([key for key in names if content.get(key) is not None] for names in (LABELS, RATES))
    notes = (f"labels: {labels[0]}, and not {', '.join(labels[1:])}",) if len(labels) > 1 else ()
    space = {key: content[key] for key in SPACE if content.get(key) is not None}
    return Parts(
        content[images],
        content[labels[0]] if labels else None,
        content[rates[0]] if rates else None,
        space,
        content.get("classes", content.get("class_names")),
        "pixels" if images == "pixels" else "",
        notes,
    )


def _is_set(value: Any) -> bool:
    """Whether this is [images, labels] or [images, labels, learning rate]."""
    two = isinstance(value, list) and len(value) in (2, 3) and all(isinstance(one, np.ndarray) for one in value[:2])
    return two and value[0].ndim >= 3 and value[1].ndim <= 2


def _told(content: Any) -> str:
    if isinstance(content, dict):
        keys = ", ".join(map(repr, list(content)[:8]))
        return f"a dictionary with the keys {keys}" if content else "an empty dictionary"
    if isinstance(content, list):
        return f"a list of {len(content)} ({', '.join(type(one).__name__ for one in content[:4])})"
    return f"one {type(content).__name__}"


def beside(path: Path, names: Sequence[str]) -> Path | None:
    """The file that stands beside `images*` under one of these names in place of `images`, if there is one.

    The labels of MTT's `images_zca_100.pt` are `labels_100.pt`.
    """
    head, word, tail = path.name.rpartition("images")
    for name in names if word else ():
        for rest in dict.fromkeys((tail, tail.removeprefix("_zca"))):
            other = path.with_name(f"{head}{name}{rest}")
            if other.is_file():
                return other
    return None


def with_files_beside(path: Path, parts: Parts, labels: Path | None) -> Parts:
    """Add the labels and the learning rate that stand in files of their own. labels: which, where the user says.

    Raises: InputError where there are no labels, or their file cannot be read.
    """
    file = labels or (beside(path, LABELS) if parts.labels is None else None)
    if file is None and parts.labels is None:
        raise InputError(f"{path.name} holds images alone, and no labels file stands beside it; name it with --labels")
    if file is not None:
        parts = replace(parts, labels=_lone(file, LABELS), notes=(*parts.notes, f"labels: {file.name}"))
    rate = beside(path, RATES) if parts.rate is None else None
    if rate is not None:
        parts = replace(parts, rate=_lone(rate, RATES), notes=(*parts.notes, f"learning rate: {rate.name}"))
    return parts


def _lone(path: Path, names: Sequence[str]) -> Any:
    """The one value of a file, or the one of these names."""
    content = contents(path)
    if isinstance(content, dict):
        named = [key for key in names if key in content]
        if not named and len(content) != 1:
            raise InputError(f"{path.name} must hold one array, or one called {', '.join(names)}")
        return content[named[0]] if named else next(iter(content.values()))
    return content
