"""Reads finished studies of the same methods on other data or ipc: further blocks of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mim4dd.errors import InputError
from mim4dd.protocol import RESULTS_VERSION
from studies.engine.folder import StudyFolder
from studies.engine.wording import images, plural

NAME = "baselines"


def block_of(folder: StudyFolder) -> tuple[str, int]:
    """The data set and the images per class, which identify a study's block."""
    return str(folder.study["dataset"]), int(folder.configuration["ipc"])


def added_studies(folder: StudyFolder) -> list[StudyFolder]:
    """The studies that were added to a finished one.

    Raises: InputError for one that no longer fits as a block.
    """
    paths = [_resolved(Path(text), folder.path) for text in folder.added_studies]
    return read_added(paths, [arm.key for arm in folder.arms], *block_of(folder), folder.version)


def _resolved(path: Path, out: Path) -> Path:
    """An added study's path; if it does not exist, the folder of its name beside `out`: both may have been moved."""
    return path if path.exists() or path.is_absolute() else out.parent / path.name


def read_added(
    paths: Sequence[Path], arms: Sequence[str], dataset: str, ipc: int, results_version: str = RESULTS_VERSION
) -> list[StudyFolder]:
    """The study folders at `paths`, each a block of its own.

    arms, dataset, ipc, results_version: the arms' keys, the block and the results version of the comparing study.
    Raises: InputError for a folder that is no finished baselines study, has other methods or another results version,
    or has the same block as the comparing study or another folder.
    """
    taken: dict[tuple[str, int], str] = {(dataset, ipc): "this study"}
    folders = []
    for path in paths:
        folder = _read(path)
        _require_fit(path, folder, arms, results_version)
        block = block_of(folder)
        if block in taken:
            raise InputError(
                f"--add-study {path} is {block[0]} with {images(block[1])}, as {taken[block]} is; a block is "
                "another data set or ipc"
            )
        taken[block] = f"--add-study {path}"
        folders.append(folder)
    return folders


def _read(path: Path) -> StudyFolder:
    """The study folder at a path.

    Raises: InputError for what is no readable baselines study.
    """
    try:
        folder = StudyFolder.read(path)
    except InputError as error:
        raise InputError(f"--add-study {path} cannot be read: {error}") from error
    if folder.name != NAME:
        raise InputError(f"--add-study {path} is no {NAME} study folder (it holds {folder.name})")
    if not isinstance(folder.configuration.get("ipc"), int):
        raise InputError(f"--add-study {path} is no {NAME} study folder (its study.json has no ipc)")
    return folder


def _require_fit(path: Path, folder: StudyFolder, arms: Sequence[str], results_version: str) -> None:
    """Require that a study is finished and has these arms and this results version.

    Raises: InputError.
    """
    if folder.version != results_version:
        raise InputError(
            f"--add-study {path} has results version {folder.version}, this study has {results_version}; run it again"
        )
    added_arms = [arm.key for arm in folder.arms]
    if set(added_arms) != set(arms):
        lacking, extra = [key for key in arms if key not in added_arms], [key for key in added_arms if key not in arms]
        clauses = [f"lacks {', '.join(lacking)}"] * bool(lacking) + [f"has {', '.join(extra)} besides"] * bool(extra)
        raise InputError(
            f"--add-study {path} has other methods (it {' and '.join(clauses)}); run both with the same --method"
        )
    missing = folder.status().get("missing", 0)
    if missing:
        raise InputError(
            f"--add-study {path} is not finished: it lacks {plural(missing, 'trial')}; run its own command again"
        )
