"""Which image files a folder holds, for which part and class, and what of it is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mim4dd.data.images import SUFFIXES
from mim4dd.errors import DataError
from mim4dd.files import readable, require_printable, shown

TRAIN, TEST = "train", "test"
VALIDATION = ("val", "valid", "validation")
NAMED = 3


@dataclass(frozen=True)
class Layout:
    """The sorted image files of each class of each part, and lines on what is left out.

    parts: by their folders' names, `train` and the test part; or one that is called "".
    """

    parts: dict[str, dict[str, list[Path]]]
    notes: tuple[str, ...]

    @property
    def test(self) -> str:
        """The name of the test part, "" where there is none."""
        return next((name for name in self.parts if name not in ("", TRAIN)), "")

    @property
    def paths(self) -> list[Path]:
        """All image files, part by part and class by class."""
        return [path for part in self.parts.values() for paths in part.values() for path in paths]


def layout_of(root: Path) -> Layout:
    """The layout of a folder: ROOT/train/CLASS/* and ROOT/test/CLASS/* (or `val`), else ROOT/CLASS/*.

    Names that begin with a dot are not looked at.
    Raises: DataError for a folder that has neither layout, or cannot be read.
    """
    with readable(root):
        if not root.is_dir():
            raise DataError(f"folder needs an existing folder, got {shown(root)}")
        found = _Walk(root)
        folders, files = found.inside(root)
        names = {folder.name: folder for folder in folders}
        test = next((name for name in (TEST, *VALIDATION) if name in names), "") if TRAIN in names else ""
        if test:
            parts = {name: found.classes(*found.inside(names[name]), names[name]) for name in (TRAIN, test)}
            found.unread += files
            for folder in folders:
                if folder.name not in (TRAIN, test):
                    found.leave_out_part(folder, test)
        else:
            parts = {"": found.classes(folders, files, root)}
        if test and list(parts[TRAIN]) != list(parts[test]):
            differ = ", ".join(sorted(set(parts[TRAIN]) ^ set(parts[test])))
            raise DataError(
                f"{shown(root)}: {TRAIN} and {test} must have the same classes, got in only one of them: {differ}"
            )
        return Layout(parts, tuple(found.notes()))


class _Walk:
    """Walks a folder; collects what is not read on the way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unread: list[Path] = []  # files outside class folders
        self.others: list[Path] = []  # files of class folders that are no images by their names
        self.nested: dict[Path, int] = {}  # folders in class folders, with their numbers of files
        self.parts: list[str] = []  # lines on folders beside train and the test part

    def inside(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The folders and the other entries of a folder, sorted by name."""
        kinds: dict[Path, bool] = {}
        with readable(folder), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name[0] != ".":
                    with readable(folder / entry.name):
                        kinds[folder / entry.name] = entry.is_dir()
        ordered = sorted(kinds, key=lambda path: path.name)
        return [path for path in ordered if kinds[path]], [path for path in ordered if not kinds[path]]

    def classes(self, folders: Sequence[Path], files: Sequence[Path], root: Path) -> dict[str, list[Path]]:
        """The image files of each class folder. files: those beside the class folders, which are not read."""
        if len(folders) < 2:
            raise DataError(
                f"{shown(root)} must hold a folder of images for each of at least two classes, or train and test with "
                f"these, got {', '.join(shown(path.name) for path in folders) or 'none'}"
            )
        self.unread += files
        images = {}
        for folder in folders:
            require_printable(folder.name)
            nested, members = self.inside(folder)
            images[folder.name] = [path for path in members if _is_image(path.name)]
            if not images[folder.name]:
                raise DataError(f"{shown(folder)} must hold images of its class ({', '.join(SUFFIXES)}), got none")
            self.others += [path for path in members if not _is_image(path.name)]
            self.nested |= {path: _count_files(path) for path in nested}
        return images

    def leave_out_part(self, folder: Path, test: str) -> None:
        """Count a folder beside train and the test part."""
        reason = f"validation is cut from {TRAIN}" if folder.name in VALIDATION else f"only {TRAIN} and {test} are read"
        self.parts.append(f"files left out: {_count_files(folder)} in {shown(folder.name)}, since {reason}")

    def notes(self) -> list[str]:
        """A line for each reason for which files are left out."""
        lines = list(self.parts)
        beside = [path for path in self.unread if _is_image(path.name)]
        if beside:
            lines.append(f"files left out: {len(beside)} outside the class folders ({self._named(beside)})")
        if self.nested:
            files, folders = sum(self.nested.values()), self._named(list(self.nested))
            lines.append(f"files left out: {files} in folders inside class folders ({folders})")
        others = [*self.others, *(path for path in self.unread if not _is_image(path.name))]
        if others:
            kinds = Counter(shown(path.suffix.lower()) or "without suffix" for path in others)
            counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
            lines.append(f"files left out: {len(others)} whose names do not end in {', '.join(SUFFIXES)} ({counts})")
        return lines

    def _named(self, paths: Sequence[Path]) -> str:
        names = [shown(path.relative_to(self.root)) for path in paths[:NAMED]]
        return ", ".join(names + ["..."] * (len(paths) > NAMED))


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _count_files(folder: Path) -> int:
    # a link could lead anywhere, such as to all files of the machine
    walked = () if folder.is_symlink() else os.walk(folder)
    return sum(name[0] != "." for _, _, names in walked for name in names)
