"""Ctrl-C and SIGTERM while trials run: the first asks for a clean stop, the second ends at once."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType

SAID = b"\nstopping: running trials are saved first, within a minute; once more ends at once\n"


class Signals:
    """While it is entered, SIGINT and SIGTERM set `received`; a second one raises KeyboardInterrupt.

    A preempted machine says SIGTERM before it goes: its trials are saved as after Ctrl-C.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number
        os.write(2, SAID)  # print may be interrupted by itself
