"""The flags of a study that scores sets: their files, and what they are held against."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from mim4dd.errors import InputError
from mim4dd.files import opened
from studies.engine.flags import Flags
from studies.engine.sizes import NAMED

NONE, EVERY = "none", "every"
# Real images of the same number, and all of them.
ANCHORS = ("random", "herding", "k_center", "k_medoids", "full")
QUICK_ANCHORS = ("random", "full")


@dataclass(frozen=True)
class SetFile:
    """A file with a set. label: what reports call it; digest: of its bytes, and of how it is to be read."""

    label: str
    path: Path
    digest: str

    @property
    def name(self) -> str:
        """`images_best@1a2b3c4d5e6f`, which identifies the set in a trial."""
        return f"{self.label}@{self.digest}"


@dataclass(frozen=True)
class ScoreFlags(Flags):
    """The files, how to read them, and what else judges them: networks, recipes and corruptions as texts.

    ipc, shape: of the sets, images per class and [channels, H, W]. networks, recipes, corruptions: None for the usual.
    """

    files: tuple[SetFile, ...]
    ipc: int
    shape: tuple[int, int, int]
    labels: Path | None = None
    standard: str = ""
    which: int | None = None
    networks: tuple[str, ...] | None = None
    recipes: tuple[str, ...] | None = None
    corruptions: tuple[str, ...] | None = None
    quick: bool = False

    seeds: ClassVar[tuple[str, str]] = ("0-4", "0-4")
    one_base: ClassVar[bool] = False

    @property
    def given_ipc(self) -> int:
        return self.ipc

    @property
    def anchors(self) -> tuple[str, ...]:
        """The methods that the sets are compared with."""
        return QUICK_ANCHORS if self.quick else ANCHORS

    def describe(self) -> str:
        """The comparison in words, for study.json and the report."""
        return f"{', '.join(file.name for file in self.files)} against {', '.join(self.anchors)}"

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a set: .pt, .npz, .safetensors, a run")
        how = parser.add_argument_group("how the files are read")
        how.add_argument("--labels", type=Path, help="the file of the labels, where it is not found beside FILE")
        how.add_argument(
            "--standard",
            default="",
            help="how its images were normalised: levels, pixels, published, channels, zca, zca-published, zca-pixels "
            "or MEAN/STD (default: found and said)",
        )
        how.add_argument("--which", type=int, help="of several sets in one file, counted from 0 (default: the last)")
        judges = parser.add_argument_group("what it is held against besides the network and recipe of --set")
        for flag, what in (
            (
                "network",
                "a network, as NAME or NAME:KNOB=VALUE,...; every, or none (default: what is quick here)",
            ),
            ("recipe", "a recipe, as NAME or NAME:KNOB=VALUE,...; every, or none (default: every)"),
            ("corrupt", "test images under a corruption, as NAME:severity=1..5; every, or none (default: every, 3)"),
        ):
            judges.add_argument(
                f"--{flag}", action="append", metavar="NAME", help=f"{what} (repeatable)", dest=f"judging_{flag}"
            )

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments; reads the files for the sizes of the sets.

        Raises: InputError.
        """
        from mim4dd.sets import file_of, set_size

        if arguments.labels and len(arguments.files) > 1:
            raise InputError("--labels is for one FILE; score the others by a command of their own")
        paths = [file_of(path) for path in arguments.files]
        how = (arguments.labels, arguments.which, arguments.standard)
        files = [SetFile(_label(path), path, _digest(path, *how)) for path in paths]
        if len({file.label for file in files}) < len(files):
            raise InputError(f"the files must have different names, got {', '.join(file.label for file in files)}")
        sizes = {path: set_size(path, labels=arguments.labels, which=arguments.which) for path in paths}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{file.label} {sizes[file.path][0]} of {list(sizes[file.path][1])}" for file in files)
            raise InputError(f"the sets of a study must have as many images per class, of one shape, got {told}")
        ipc, shape = next(iter(sizes.values()))
        if arguments.ipc not in (None, ipc):
            raise InputError(f"--ipc must be left out or {ipc}, the images per class of {files[0].label}")
        _require_shape(arguments, shape, paths)
        named = (getattr(arguments, f"judging_{flag}") for flag in ("network", "recipe", "corrupt"))
        networks, recipes, corruptions = (None if texts is None else tuple(texts) for texts in named)
        read = (arguments.labels, arguments.standard, arguments.which)
        return cls(tuple(files), ipc, shape, *read, networks, recipes, corruptions, arguments.quick)


def _require_shape(arguments: argparse.Namespace, shape: tuple[int, ...], paths: Sequence[Path]) -> None:
    """Raises: InputError where a named data set, by default digits, has images of another size than the sets."""
    from mim4dd.records import Synthetic

    named = NAMED.get(arguments.dataset)
    resized = any(assigned.partition("=")[0].endswith("size") for assigned in arguments.assigned)
    if named is None or resized or named.shape[1:] == tuple(shape[1:]):
        return
    ours = {path: Synthetic.load(path).config.get("dataset") for path in paths if path.suffix == ".safetensors"}
    origin = next((f" {dataset}, of which {_label(path)} is" for path, dataset in ours.items() if dataset), "")
    raise InputError(
        f"{arguments.dataset} has images of {named.shape[1]}x{named.shape[2]}, {_label(paths[0])} of "
        f"{shape[1]}x{shape[2]}; give --dataset{origin}"
    )


def _label(path: Path) -> str:
    """The file's name without its suffix; that of its folder for a file of ours, which all have one name."""
    return path.parent.name if path.stem == "synthetic" else path.stem


def _digest(path: Path, labels: Path | None, which: int | None, standard: str) -> str:
    hasher = hashlib.sha256(f"{which} {standard}".encode())
    for each in filter(None, (path, labels)):
        with opened(each) as file:
            hasher.update(hashlib.file_digest(file, "sha256").digest())
    return hasher.hexdigest()[:12]
