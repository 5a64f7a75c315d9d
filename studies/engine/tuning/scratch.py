"""Folders for what Tune writes and nobody reads; those of drivers that were killed are removed by the next one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX, LOCK = "mim4dd-tune-", "in-use"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is locked while it is used, and removed afterwards; first, those that nobody uses are removed."""
    above = Path(tempfile.gettempdir())
    for left in above.iterdir():
        if left.name.startswith(PREFIX):
            _remove_unused(left)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    with open(folder / LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the system unlocks it when this process ends, however it ends
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_unused(folder: Path) -> None:
    """Remove a folder of ours whose process has ended; without its lock, it is only just being made."""
    with contextlib.suppress(OSError):  # another driver removes it too, or the lock is held
        if folder.lstat().st_uid == os.getuid():
            with open(folder / LOCK, "r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
