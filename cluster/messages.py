"""What Ray itself writes to the terminal goes to a file, where a study says the same in a line of its own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def messages_to(path: Path) -> Iterator[None]:
    """Send the messages of Ray and Tune, in native code too, to a file, which is removed if there are none.

    Ray's loggers and native code write to file descriptor 2, which becomes the file; `sys.stderr` stays the terminal,
    for our own lines and for the traceback of an unknown error. Ray must have been imported.
    Raises: OSError when the file cannot be written.
    """
    import ray._private.worker

    worker: Any = ray._private.worker
    with open(path, "a", encoding="utf-8", buffering=1) as file:

        def write(message: dict[str, Any], ignore_prefix: bool = False) -> None:
            file.writelines(f"({message.get('pid', 'ray')}) {line}\n" for line in message.get("lines", ()))

        stderr, printed = sys.stderr, worker.print_to_stdstream
        terminal = os.dup(2)
        try:
            with open(os.dup(terminal), "w", encoding="utf-8", errors="backslashreplace", buffering=1) as ours:
                os.dup2(file.fileno(), 2)
                sys.stderr, worker.print_to_stdstream = ours, write
                yield
        finally:
            sys.stderr, worker.print_to_stdstream = stderr, printed
            os.dup2(terminal, 2)
            os.close(terminal)
    remove_empty(path)


def remove_empty(path: Path) -> None:
    """Remove the file of messages if there are none: an empty one would mislead."""
    with contextlib.suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()
