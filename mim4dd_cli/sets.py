"""The set that a command line names: a run's folder, a file of ours, or one of other people's code with its data."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mim4dd.errors import InputError
from mim4dd.registry import Flat

if TYPE_CHECKING:
    from mim4dd.records import Splits, Synthetic

# What says how to read a file of others; a set of ours says it itself.
ONLY_FOREIGN = ("labels", "standard", "which", "classes_as", "split_seed", "protocol")


@dataclass(frozen=True, eq=False)
class Foreign:
    """A set of other code, the data set that it was distilled from, and lines on what was found."""

    synthetic: Synthetic
    splits: Splits
    notes: tuple[str, ...]


def file_of_ours(path: Path) -> Path | None:
    """The file of a run's folder, or one that says how it was distilled; None for a set of other code."""
    from mim4dd.records import HEADER, Synthetic
    from mim4dd.sets.containers import READERS, tensors_and_texts
    from mim4dd.sets.reading import OURS

    if path.is_dir():
        return path / OURS
    if path.suffix == ".safetensors" and HEADER in tensors_and_texts(path)[1]:
        return path if "dataset" in Synthetic.load(path).config else None
    return None if path.suffix in READERS or path.exists() else path / OURS


def require_own_flags(arguments: argparse.Namespace) -> None:
    """Raises: InputError for a flag that a set of ours has no use for."""
    for name in ONLY_FOREIGN:
        if getattr(arguments, name, None) not in (None, ""):
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} is for a file of other code; {arguments.run_folder} says it itself: leave it out")


def read_foreign(arguments: argparse.Namespace, source: Flat) -> Foreign:
    """Read the data set and then the file. source: the knobs of the data set.

    Raises: InputError without --dataset, or when one of them cannot be read.
    """
    from mim4dd.data import load
    from mim4dd.sets import read_set

    splits = load(
        required_dataset(arguments),
        data_root=arguments.data_root,
        download=arguments.download,
        split_seed=arguments.split_seed or 0,
        knobs=source,
        classes_as=arguments.classes_as,
    )
    synthetic, notes = read_set(
        arguments.run_folder, data=splits, labels=arguments.labels, standard=arguments.standard, which=arguments.which
    )
    return Foreign(synthetic, splits, (*splits.notes, *(f"{arguments.run_folder.name}: {note}" for note in notes)))


def required_dataset(arguments: argparse.Namespace) -> str:
    """Raises: InputError where a file of others has no --dataset."""
    if not arguments.dataset:
        raise InputError(f"{arguments.run_folder} does not say what it was distilled from: say it with --dataset")
    return str(arguments.dataset)


def named_set(arguments: argparse.Namespace) -> Synthetic:
    """The set of a run or a file, after lines on what was found in one of other code."""
    from mim4dd.records import Synthetic

    ours = file_of_ours(arguments.run_folder)
    if ours is not None:
        require_own_flags(arguments)
        return Synthetic.load(ours)
    foreign = read_foreign(arguments, {"size": arguments.size} if arguments.size else {})
    print("\n".join(foreign.notes))
    return foreign.synthetic
