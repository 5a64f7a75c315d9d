"""Finished studies of the same methods on other data or ipc, as further blocks of one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mim4dd.errors import InputError
from mim4dd.protocol import PROTOCOL
from studies.engine.design import Setting
from studies.engine.journal import Row, read_json, read_rows, read_settings

NAME = "baselines"


@dataclass(frozen=True, eq=False)
class Folder:
    """A study folder as it lies there. path: as it was given; rows: by trial hash."""

    path: Path
    identity: dict[str, Any]
    settings: tuple[Setting, ...]
    rows: dict[str, Row]

    @property
    def place(self) -> tuple[str, int]:
        """What makes it a block of its own: data set and images a class."""
        return str(self.identity["dataset"]), int(self.identity["configuration"]["ipc"])


def read_beside(
    paths: Sequence[Path], methods: Sequence[str], dataset: str, ipc: int, rules: str = PROTOCOL
) -> list[Folder]:
    """The folders, each a block that no other is.

    methods: those of the study that they stand beside; dataset, ipc: its own block; rules: of its rows.
    Raises: InputError for a folder that is no finished baselines study, has other methods or rules, or is there twice.
    """
    taken: dict[tuple[str, int], str] = {(dataset, ipc): "this study"}
    found = []
    for path in paths:
        folder = _read(path)
        _require_fit(folder, methods, rules)
        if folder.place in taken:
            name, images = folder.place
            raise InputError(
                f"--beside {path} is {name} with {images} image(s) a class, as {taken[folder.place]} is; a block is "
                "another data set or ipc"
            )
        taken[folder.place] = f"--beside {path}"
        found.append(folder)
    return found


def _read(path: Path) -> Folder:
    """Raises: InputError when it holds no baselines study that can be read."""
    try:
        identity = read_json(path / "study.json")
        if not isinstance(identity, dict) or identity.get("study") != NAME:
            held = identity.get("study") if isinstance(identity, dict) else None
            raise InputError(
                f"--beside {path} is no {NAME} study folder ({f'it holds {held}' if held else 'no study.json there'})"
            )
        folder = Folder(path, identity, tuple(read_settings(path)), {row["trial"]: row for row in read_rows(path)})
        _ = folder.place, identity["rules"], identity["hash"], [row["result"]["status"] for row in folder.rows.values()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--beside {path} cannot be read ({type(error).__name__}: {error})") from error
    return folder


def _require_fit(folder: Folder, methods: Sequence[str], rules: str) -> None:
    """Raises: InputError when it cannot be a block of a comparison of these methods."""
    if folder.identity["rules"] != rules:
        raise InputError(
            f"--beside {folder.path} was made with rules {folder.identity['rules']}, these are rules {rules}; "
            "run it again"
        )
    held = [setting.role for setting in folder.settings]
    if set(held) != set(methods):
        lacks, more = [m for m in methods if m not in held], [m for m in held if m not in methods]
        told = [f"lacks {', '.join(lacks)}"] * bool(lacks) + [f"has {', '.join(more)} besides"] * bool(more)
        raise InputError(
            f"--beside {folder.path} has other methods (it {' and '.join(told)}); run both with the same --method"
        )
    missing = sum(trial not in folder.rows for setting in folder.settings for trial in setting.trials)
    if missing:
        raise InputError(
            f"--beside {folder.path} is not finished: {missing} trials have no row; run its own command again"
        )
