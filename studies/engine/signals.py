"""Ctrl-C and SIGTERM while trials run: the first requests a clean stop, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType, TracebackType

from mim4dd_cli.command import signalled

# Exit statuses besides 0, 1, 2 and those of signals: trials that ended in an error, and Ray lost (docs/reliability.md).
WITH_ERRORS, LOST = 5, 6
MESSAGE = b"\nstopping: saving the running trials, within a minute; interrupt again to end at once\n"


class Signals:
    """A context in which SIGINT and SIGTERM set `received`; a second signal raises Signalled.

    A preempted machine sends SIGTERM before it shuts down: its trials are saved as after Ctrl-C.
    """

    def __init__(self) -> None:
        self.received, self._terminal = 0, 2
        self._before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        with contextlib.suppress(OSError, ValueError):  # a stream without a file, as in tests
            self._terminal = sys.stderr.fileno()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            signalled(number, frame)
        self.received = number
        os.write(self._terminal, MESSAGE)  # print is not reentrant: the signal may have interrupted one
