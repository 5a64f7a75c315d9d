"""Finished studies of the same methods on other data, resolution or ipc: further blocks of a study."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mim4dd.errors import InputError
from mim4dd.protocol import RESULTS_VERSION
from studies.answers.comparing.plan import SETTING
from studies.engine.folder import StudyFolder
from studies.engine.wording import images, plural

Block = tuple[str, int, int]


def add_study_flag(parser: argparse.ArgumentParser, title: str) -> None:
    """Add `--add-study`, which may be repeated. title: of its group of flags."""
    parser.add_argument_group(title).add_argument(
        "--add-study",
        action="append",
        default=[],
        type=Path,
        dest="added",
        metavar="OUT",
        help="the folder of a finished study of the same methods on another data set, at another resolution or ipc: "
        "one more block (repeatable)",
    )


def block_of(folder: StudyFolder) -> Block:
    """The data set, the images per class, and the side to which images were resized, 0 for as they are."""
    configuration = folder.configuration
    return str(folder.study["dataset"]), int(configuration["ipc"]), int(configuration.get("source.size", 0))


def named_block(block: Block) -> str:
    """`mnist with 1 image per class`, `digits at 16 pixels with 10 images per class`."""
    dataset, ipc, size = block
    return f"{dataset}{f' at {size} pixels' if size else ''} with {images(ipc)}"


def added_studies(folder: StudyFolder) -> list[StudyFolder]:
    """The studies that were added to a finished one.

    Raises: InputError for one that no longer fits as a block.
    """
    paths = [_resolved(Path(text), folder.path) for text in folder.added_studies]
    return read_added(paths, folder.name, [arm.key for arm in folder.arms], block_of(folder), folder.version)


def _resolved(path: Path, out: Path) -> Path:
    """An added study's path; if it does not exist, the folder of its name beside `out`: both may have been moved."""
    return path if path.exists() or path.is_absolute() else out.parent / path.name


def read_added(
    paths: Sequence[Path],
    study: str,
    arms: Sequence[str],
    block: Block,
    results_version: str = RESULTS_VERSION,
) -> list[StudyFolder]:
    """The study folders at `paths`, each a block of its own.

    study, arms, block, results_version: the name, the arms' keys, the block and the results version of the comparing
    study.
    Raises: InputError for a folder that is no finished study of this name, has other methods or another results
    version, or has the same block as the comparing study or another folder.
    """
    taken: dict[Block, str] = {block: "this study"}
    folders = []
    for path in paths:
        folder = _read(path, study)
        _require_fit(path, folder, arms, results_version)
        added = block_of(folder)
        if added in taken:
            raise InputError(
                f"--add-study {path} is {named_block(added)}, as {taken[added]} is; a block is another data set, "
                "resolution or ipc"
            )
        taken[added] = f"--add-study {path}"
        folders.append(folder)
    return folders


def _read(path: Path, study: str) -> StudyFolder:
    """The study folder at a path.

    Raises: InputError for what is no readable study of this name.
    """
    try:
        folder = StudyFolder.read(path)
    except InputError as error:
        raise InputError(f"--add-study {path} cannot be read: {error}") from error
    if folder.name != study:
        raise InputError(f"--add-study {path} is no {study} study folder (it holds {folder.name})")
    if not isinstance(folder.configuration.get("ipc"), int):
        raise InputError(f"--add-study {path} is no {study} study folder (its study.json has no ipc)")
    return folder


def _require_fit(path: Path, folder: StudyFolder, arms: Sequence[str], results_version: str) -> None:
    """Require that a study is finished and has these arms and this results version.

    Raises: InputError.
    """
    if folder.version != results_version:
        raise InputError(
            f"--add-study {path} has results version {folder.version}, this study has {results_version}; run it again"
        )
    added_arms = [arm.key for arm in folder.arms if arm.role != SETTING]
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
