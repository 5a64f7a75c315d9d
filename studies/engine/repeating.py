"""Timing repetitions of a stage, alone or in turns with another."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# Repetitions of a stage that are timed, unless one of them takes several windows.
FEWEST, LONG_WINDOWS = 3, 10


@dataclass
class Timing:
    """Wall and processor seconds of each repetition of a stage, after one that is not counted.

    others: wall seconds of what ran in turns with it, before each repetition.
    """

    warmup: float
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def medians(self, stage: str) -> dict[str, float]:
        """`STAGE_seconds` and `STAGE_cpu_seconds` of a typical repetition."""
        return {f"{stage}_seconds": statistics.median(self.wall), f"{stage}_cpu_seconds": statistics.median(self.cpu)}

    @property
    def ratio(self) -> float:
        """The typical ratio of a repetition to that of the other right before it.

        A machine's speed wanders by tens of percent within seconds; neighbours of milliseconds share it.
        """
        return statistics.median(own / other for own, other in zip(self.wall, self.others, strict=True))


def timed(
    work: Callable[[], object],
    window: float,
    device: str,
    between: Callable[[], None],
    other: Callable[[], object] | None = None,
) -> Timing:
    """Repeat a stage for a window of seconds. between: called after each repetition, outside its time; other: what it
    is compared with, in turns."""

    def once(one: Callable[[], object]) -> tuple[float, float]:
        began, cpu = time.perf_counter(), time.process_time()
        one()
        if device.startswith("cuda"):
            import torch

            torch.cuda.synchronize()
        return time.perf_counter() - began, time.process_time() - cpu

    if other is not None:
        once(other)
    timing = Timing(once(work)[0])
    between()
    spent = 0.0
    while spent < window or (len(timing.wall) < FEWEST and spent < LONG_WINDOWS * window):
        if other is not None:
            timing.others.append(once(other)[0])
        wall, cpu = once(work)
        timing.wall.append(wall)
        timing.cpu.append(cpu)
        spent += wall
        between()
    return timing


def timed_seconds(once: float, window: float) -> float:
    """What `timed` takes of a stage that takes so many seconds, its warm-up included."""
    if once <= 0:
        return window
    repeats = max(math.ceil(window / once), min(FEWEST, math.ceil(LONG_WINDOWS * window / once)))
    return (1 + repeats) * once
