"""Finished studies of the same methods on other data or ipc, as further blocks of one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mim4dd.errors import InputError
from mim4dd.protocol import RESULTS_VERSION
from studies.engine.folder import StudyFolder
from studies.engine.wording import images, plural

NAME = "baselines"


def place_of(folder: StudyFolder) -> tuple[str, int]:
    """What makes a study a block of its own: data set and images per class."""
    return str(folder.study["dataset"]), int(folder.configuration["ipc"])


def added_studies(folder: StudyFolder) -> list[StudyFolder]:
    """The studies that were added to a finished one, made with its results version.

    Raises: InputError for one that is no block of it any more.
    """
    paths = [_found(Path(text), folder.path) for text in folder.added_studies]
    return read_added(paths, [arm.key for arm in folder.arms], *place_of(folder), folder.version)


def _found(path: Path, out: Path) -> Path:
    """A path as the study was given it; folders that were moved together still find each other."""
    return path if path.exists() or path.is_absolute() else out.parent / path.name


def read_added(
    paths: Sequence[Path], arms: Sequence[str], dataset: str, ipc: int, rules: str = RESULTS_VERSION
) -> list[StudyFolder]:
    """The folders, each a block that no other is.

    arms: the keys of the study that they are added to; dataset, ipc: their own block; rules: its rows' results version.
    Raises: InputError for a folder that is no finished baselines study, has other methods or another results version,
    or is there twice.
    """
    taken: dict[tuple[str, int], str] = {(dataset, ipc): "this study"}
    found = []
    for path in paths:
        folder = _read(path)
        _require_fit(path, folder, arms, rules)
        place = place_of(folder)
        if place in taken:
            raise InputError(
                f"--add-study {path} is {place[0]} with {images(place[1])}, as {taken[place]} is; a block is "
                "another data set or ipc"
            )
        taken[place] = f"--add-study {path}"
        found.append(folder)
    return found


def _read(path: Path) -> StudyFolder:
    """Raises: InputError when it holds no baselines study that can be read."""
    try:
        folder = StudyFolder.read(path)
    except InputError as error:
        raise InputError(f"--add-study {path} cannot be read: {error}") from error
    if folder.name != NAME:
        raise InputError(f"--add-study {path} is no {NAME} study folder (it holds {folder.name})")
    if not isinstance(folder.configuration.get("ipc"), int):
        raise InputError(f"--add-study {path} is no {NAME} study folder (its study.json has no ipc)")
    return folder


def _require_fit(path: Path, folder: StudyFolder, arms: Sequence[str], rules: str) -> None:
    """Raises: InputError when it cannot be a block of a comparison of these arms."""
    if folder.version != rules:
        raise InputError(
            f"--add-study {path} has results version {folder.version}, this study has {rules}; run it again"
        )
    held = [arm.key for arm in folder.arms]
    if set(held) != set(arms):
        lacks, more = [key for key in arms if key not in held], [key for key in held if key not in arms]
        told = [f"lacks {', '.join(lacks)}"] * bool(lacks) + [f"has {', '.join(more)} besides"] * bool(more)
        raise InputError(
            f"--add-study {path} has other methods (it {' and '.join(told)}); run both with the same --method"
        )
    missing = folder.status().get("missing", 0)
    if missing:
        raise InputError(
            f"--add-study {path} is not finished: it lacks {plural(missing, 'trial')}; run its own command again"
        )
