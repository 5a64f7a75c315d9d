"""People's own parts of a data set, each an ImageData, a torch data set or a pair of arrays, as one set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mim4dd.data.catalogue import TEST_RATE, Contents
from mim4dd.data.cuts import cut
from mim4dd.errors import DataError, InputError
from mim4dd.records import ImageData
from mim4dd.torch_datasets import classes_of


def joined(name: str, train: Any, test: Any = None, validation: Any = None) -> Contents:
    """The parts as one data set; without `test` a stratified 20% of train, fixed by the name, become the test set.

    A pair, and a torch data set without names of its classes, get those of train.
    Raises: InputError for a part of another kind; DataError for parts whose classes or shapes differ, and whatever
    `ImageData.from_arrays` and `ImageData.from_torch` refuse.
    """
    whole = _part(name, "train", train, None)
    others = {
        split: _part(name, split, part, whole.classes)
        for split, part in (("test", test), ("validation", validation))
        if part is not None
    }
    for split, part in others.items():
        _require_alike(whole, split, part)
    if test is None:
        whole, others["test"] = cut(whole, TEST_RATE, "test", name)
    return Contents(whole, others["test"], validation=others.get("validation"))


def _part(name: str, split: str, part: Any, classes: Sequence[str] | None) -> ImageData:
    """One part. classes: those of train, for a part that does not name its own."""
    if isinstance(part, ImageData):
        if not len(part):
            raise DataError(f"{split} must have images, got none")
        return part
    # of the set's name, so that no other set's draws and people's labels are taken for its own
    source = f"arrays:{name}/{split}"
    if isinstance(part, tuple):
        if len(part) != 2:
            raise InputError(f"{split} must be a pair (images, labels), got {len(part)} entries")
        return ImageData.from_arrays(*part, classes=classes, source=source)
    if isinstance(part, str | bytes) or not (hasattr(part, "__getitem__") or hasattr(part, "__iter__")):
        raise InputError(
            f"{split} must be an ImageData, a torch data set or a pair (images, labels), got {type(part).__name__}"
        )
    own = classes_of(source, part)
    return ImageData.from_torch(part, classes=classes if own is None else own, source=source)


def _require_alike(train: ImageData, split: str, part: ImageData) -> None:
    if part.classes != train.classes:
        raise DataError(
            f"{split} must have the classes of train, {_listed(train.classes)}, got {_listed(part.classes)}; "
            "give both the same with classes="
        )
    if part.shape != train.shape:
        raise DataError(f"{split} must be like train, {list(train.shape)} as [channels, H, W], got {list(part.shape)}")


def _listed(classes: Sequence[str]) -> str:
    return f"{len(classes)} ({', '.join(classes[:3])}{', ...' if len(classes) > 3 else ''})"
