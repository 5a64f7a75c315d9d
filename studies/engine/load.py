"""How busy others keep this machine, and how much of its processors this process uses: what a timing is worth."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

# Below as many cores of others this machine is quiet, and the window in which that is seen.
BUSY = 0.2
WINDOW_SECONDS = 0.15
# Of the machine's counters.
TICK_SECONDS = 0.01


def cpu_seconds() -> float:
    """User and system seconds of this process so far, of all its threads."""
    return time.process_time()


class Load:
    """Starts when created; its numbers are those since then: seconds of this process, and means of other work.

    Limits: a container is often shown the counters of its host, all of whose processes are then others; the counters
    have ticks of TICK_SECONDS, so a stretch below a tenth of a second says little.
    """

    def __init__(self) -> None:
        self._began, self._left_out = _counters(), np.zeros(4)
        self._began_cpu = cpu_seconds()

    def waited(self, get: Callable[[], Any]) -> tuple[Any, float]:
        """What `get` returns, which another process may still be making, and its seconds, which are left out here."""
        began, before = time.perf_counter(), _counters()
        found = get()
        self._left_out += _counters() - before
        return found, time.perf_counter() - began

    @property
    def cpu_seconds(self) -> float:
        """User and system seconds of this process, of all its threads, with what was `waited` for."""
        return cpu_seconds() - self._began_cpu

    @property
    def others_cores(self) -> float:
        """The cores that processes used which are neither this one nor its children; NaN where they cannot be seen."""
        return _others(self._spent())

    def measured(self) -> dict[str, float]:
        """The entries of a row; stolen_cores: those that a hypervisor gave to other machines, 0 where none tells."""
        spent = self._spent()
        wall, _, _, stolen = map(float, spent)
        return {"cpu_seconds": self.cpu_seconds, "others_cores": _others(spent), "stolen_cores": stolen / wall}

    def _spent(self) -> npt.NDArray[np.float64]:
        """As `_counters`, since the start and without what was paused."""
        spent = _counters() - self._began - self._left_out
        spent[0] = max(spent[0], 1e-9)  # divided by
        return spent


def quiet(seconds: float) -> float:
    """Wait until others use less than BUSY cores for WINDOW_SECONDS, at most `seconds`; returns the seconds waited."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        load = Load()
        time.sleep(min(WINDOW_SECONDS, seconds - waited))
        if not load.others_cores >= BUSY:  # nor where it cannot be seen: waiting would not show it
            return time.monotonic() - began
    return waited


def _others(spent: npt.NDArray[np.float64]) -> float:
    """The cores of other processes in a stretch of `_counters`; 0 at least, NaN where the machine's stand still."""
    wall, busy, own, _ = map(float, spent)
    if busy <= 0 and own > 2 * TICK_SECONDS:
        return math.nan  # as in some sandboxes
    return max(0.0, (busy - own) / wall)


def _counters() -> npt.NDArray[np.float64]:
    """(wall clock, busy processors, this process and its children, stolen) in seconds, each since a moment of its own.

    Shape: [4].
    """
    import psutil

    machine = psutil.cpu_times()._asdict()  # `user` has the guests' seconds too
    busy = sum(machine.get(name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))
    this = psutil.Process()
    ended = this.cpu_times()
    own = cpu_seconds() + ended.children_user + ended.children_system
    for child in this.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            own += sum(child.cpu_times()[:4])  # with those of its children that have ended
    return np.array([time.monotonic(), busy, own, machine.get("steal", 0.0)])
