"""Ctrl-C and SIGTERM while trials run: the first requests a clean stop, the second ends the process at once."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType

MESSAGE = b"\nstopping: saving the running trials, within a minute; interrupt again to end at once\n"


class Signals:
    """A context in which SIGINT and SIGTERM set `received`; a second signal raises KeyboardInterrupt.

    A preempted machine sends SIGTERM before it shuts down: its trials are saved as after Ctrl-C.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number
        os.write(2, MESSAGE)  # print is not reentrant: the signal may have interrupted one
