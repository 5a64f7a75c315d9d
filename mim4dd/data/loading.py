"""From a spec such as `digits` or `npz:FILE`, or from people's own parts, to the three splits that every study sees."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mim4dd.capacity import require_class_capacity, within_capacity
from mim4dd.data.catalogue import DATASETS, Contents, DataSet
from mim4dd.data.cuts import cut, require_every_class
from mim4dd.data.overlap import overlap_notes
from mim4dd.data.parts import joined
from mim4dd.data.resizing import resized
from mim4dd.errors import DataError, InputError
from mim4dd.files import require_printable
from mim4dd.records import ImageData, Splits
from mim4dd.registry import Scalar, unknown

# The environment variable of the data root.
ROOT = "MIM4DD_DATA"
# The name of people's own arrays, unless they give one.
OWN = "arrays"


def load(
    spec: str | None = None,
    *,
    data_root: Path | str | None = None,
    download: bool = False,
    split_seed: int = 0,
    knobs: Mapping[str, Scalar] | None = None,
    classes_as: str = "",
    train: Any = None,
    test: Any = None,
    validation: Any = None,
    name: str = OWN,
) -> Splits:
    """Read a data set, or take your own images, and cut validation from the training images.

    The cut is stratified, exact, and fixed by the set's name and `split_seed`; the test set is the published one or
    fixed by the name alone. A file or folder is named without its path: results do not depend on where it lies.
    classes_as: the named set whose training images, in their order, a file or folder holds (`cifar10`): semantic and
    human noise, and augmentation by flips, then treat them as images of that set.
    train, test, validation: instead of `spec`, your own parts, each an ImageData, a torch data set
    (`ImageData.from_torch`) or a pair (images, labels) (`ImageData.from_arrays`). Without `test` a stratified 20% of
    train become the test set; validation, where it is given, is not cut. name: of your set.
    The splits' `notes` are for the user to see, such as how many files of a folder were left out.
    Units: data_root holds the named sets; by default $MIM4DD_DATA, otherwise ./data.
    Raises: UnknownNameError for a name or knob that does not exist; InputError for both or neither of `spec` and
    `train`, and for what is given and not used; DataError when the data cannot be used.
    """
    if (spec is None) == (train is None):
        got = "neither" if spec is None else "both"
        raise InputError(f"load needs a spec such as 'digits', or your own images as train=, and not both; got {got}")
    if spec is None:
        elsewhere = {"data_root": data_root, "download": download, "knobs": knobs, "classes_as": classes_as}
        _require_unset("a spec", [argument for argument, value in elsewhere.items() if value])
        if not name:
            raise InputError("name must be a text that names your set, got ''")
        require_printable(name, "name")
        with within_capacity(name):
            return _split(name, joined(name, train, test, validation), DataSet.validation_rate, split_seed)
    own = {"test": test is not None, "validation": validation is not None, "name": name != OWN}
    _require_unset("train=", [argument for argument, given in own.items() if given])
    require_used(spec, data_root=data_root, download=download, classes_as=classes_as)
    kind, where, name = _parse(spec, data_root)
    dataset = DATASETS.build(kind, knobs)
    with _telling_root(dataset, data_root), within_capacity(name):
        contents = dataset.read(where, download=download)
    with within_capacity(name):
        contents = _as_asked(contents, dataset.size, classes_as)
        return _split(name, contents, dataset.validation_rate, split_seed)


def require_files(spec: str, data_root: Path | str | None) -> None:
    """Require that the files of a named data set are in its data root, without reading them.

    Raises: UnknownNameError for a name that does not exist; DataError when they are not there.
    """
    kind, where, _ = _parse(spec, data_root)
    dataset = DATASETS.build(kind)
    with _telling_root(dataset, data_root):
        dataset.require_files(where)


@contextmanager
def _telling_root(dataset: DataSet, data_root: Path | str | None) -> Iterator[None]:
    """A DataError says where the data root came from, if not from an argument."""
    try:
        yield
    except DataError as error:
        if dataset.in_root and not data_root and ROOT in os.environ:
            raise DataError(f"{error} (the data root is {ROOT}'s)") from error
        raise


def _as_asked(contents: Contents, size: int, classes_as: str) -> Contents:
    """The images at size x size, if that is not 0, as those of a named set, if one is given."""
    train, test = (resized(part, size) for part in (contents.train, contents.test))
    if classes_as:
        train = replace(train, source=_published(train, classes_as, "train"))
        test = replace(test, source=_published(test, classes_as, "test"))
    return replace(contents, train=train, test=test)


def _split(name: str, contents: Contents, validation_rate: float, split_seed: int) -> Splits:
    """Cut validation from a data set that is read, unless it has its own.

    Raises: DataError for fewer than two classes, a class without a training image, or too many images or classes.
    """
    whole, test, notes = contents.train, contents.test, list(contents.notes)
    if len(whole.classes) < 2:
        raise DataError(f"{name} must have at least two classes, got {len(whole.classes)}")
    require_every_class(whole)
    require_class_capacity(name, len(test), len(whole.classes))
    notes += overlap_notes(whole, test)
    if contents.validation is None:
        train, validation = cut(whole, validation_rate, "split", name, split_seed)
    else:
        train, validation = whole, contents.validation
        notes += overlap_notes(train, validation, "validation")
    for split, data in (("validation", validation), ("test", test)):
        if lacking := [label for label, count in zip(data.classes, data.counts, strict=True) if not count]:
            shown = ", ".join(lacking[:5]) + (", ..." if len(lacking) > 5 else "")
            notes.append(f"the {split} split has no image of {shown}: accuracies there say nothing of these classes")
    return Splits(name, train, validation, test, tuple(notes))


def _require_unset(other: str, given: list[str]) -> None:
    """Raises: InputError for arguments of `load` that belong to the other way of naming the data."""
    if given:
        raise InputError(f"{given[0]} goes with {other}: leave it out")


def require_used(spec: str, *, data_root: Path | str | None, download: bool, classes_as: str) -> None:
    """Require that the data set reads what is given with it, without reading the data.

    Raises: InputError for a data root, a download or `classes_as` that this data set has no use for;
    UnknownNameError for a name that does not exist.
    """
    dataset = DATASETS.get(spec.partition(":")[0])
    for flag, given in (("--data-root", data_root), ("--download", download)):
        if given and not dataset.in_root:
            others = ", ".join(name for name in DATASETS.names() if DATASETS.get(name).in_root)
            raise InputError(f"{flag} is for {others}; '{spec}' does not use it: leave it out")
    named = [name for name in DATASETS.names() if not DATASETS.get(name).takes_path]
    if classes_as and classes_as not in named:
        raise unknown("data set", classes_as, named)
    if classes_as and not dataset.takes_path:
        raise InputError(f"--classes-as says what a file or folder holds; '{spec}' is a named set: leave it out")


def _published(part: ImageData, name: str, split: str) -> str:
    """The `source` of a named set's images."""
    wanted = 100 if name == "cifar100" else 10
    if len(part.classes) != wanted:
        raise DataError(f"--classes-as {name} needs {wanted} classes, {part.source} has {len(part.classes)}")
    return "digits" if name == "digits" else f"{name}/{split}"


def located(spec: str, data_root: Path | str | None = None) -> tuple[str, str]:
    """(spec, data root) by absolute paths, which mean the same data set in every working folder.

    A data set that reads no data root keeps what is given for one, so that `load` refuses it.
    Raises: UnknownNameError or DataError for a spec that `load` refuses.
    """
    kind, where, _ = _parse(spec, data_root)
    dataset = DATASETS.get(kind)
    root = str(where) if dataset.in_root else str(data_root or "")
    return (f"{kind}:{where}" if dataset.takes_path else kind), root


def source_digest(spec: str) -> str:
    """Digest a file's or folder's content, for a dry run: 16 hex digits of its bytes, '' for a named set.

    Raises: UnknownNameError for a name that does not exist; DataError when there is no such file or folder.
    """
    kind, where, _ = _parse(spec, None)
    return DATASETS.build(kind).content_digest(where)


def _parse(spec: str, data_root: Path | str | None) -> tuple[str, Path, str]:
    """(registered name, where to read, name of the data)."""
    kind, colon, path = spec.partition(":")
    if not DATASETS.get(kind).takes_path:
        if colon:
            raise DataError(f"{kind} takes no path, got '{spec}'; the folder of the named sets is --data-root")
        return kind, _absolute(data_root or os.environ.get(ROOT) or "data"), kind
    if not path:
        raise DataError(f"{kind} needs a path, as in {kind}:PATH, got '{spec}'")
    where = _absolute(path)
    name = where.stem if kind == "npz" else where.name
    require_printable(name)
    return kind, where, name


def _absolute(path: Path | str) -> Path:
    # Not resolve(), which would give a linked folder its target's name; not Path.expanduser, which raises for ~nobody.
    return Path(os.path.abspath(os.path.expanduser(path)))
