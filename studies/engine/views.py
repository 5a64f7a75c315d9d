"""Views of the rows: a file of one that is damaged, or in the way of one, is set aside and made again from rows."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from pathlib import Path


def set_aside(path: Path, why: str) -> str:
    """Rename a file or folder to the first free NAME.damaged, NAME.damaged-2 and so on; returns the line that says so.

    Raises: OSError.
    """
    names = (path.with_name(f"{path.name}.damaged{'' if number == 1 else f'-{number}'}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    path.rename(aside)
    return f"{path} {why}; it is now {aside.name}, and is made again from the rows"


def cleared(files: Iterable[Path] = (), folders: Iterable[Path] = ()) -> list[str]:
    """Set aside each folder in the place of a file, and each file in the place of a folder; returns a line for each.

    Raises: OSError.
    """
    lines = [set_aside(path, "is a folder where a file belongs") for path in files if path.is_dir()]
    misplaced = [path for path in folders if path.exists() and not path.is_dir()]
    return lines + [set_aside(path, "is no folder") for path in misplaced]
