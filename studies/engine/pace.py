"""How fast this machine is: seconds of a fixed piece of work, by which speeds of one machine forecast for another."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache

import numpy as np

REPEATS = 15


@cache
def pace_seconds() -> float:
    """Geometric mean of the shortest seconds of three pieces of work: products, moving numbers, the interpreter.

    They need no torch, one thread, and a tenth of a second in all. The shortest of several says what the machine can
    do; what else it does just then is seen elsewhere (`studies.engine.load`). Measured once in a process.
    """
    rng = np.random.default_rng(0)
    # So small that no library of linear algebra takes a second thread for one of them.
    matrices = rng.random((256, 32, 32), dtype=np.float32)
    numbers = rng.random(1 << 18, dtype=np.float32)

    # No memory is allocated meanwhile: whether that takes long depends on what the process did before.
    product, moved = np.empty_like(matrices), np.empty_like(numbers)

    def products() -> None:
        np.matmul(matrices, matrices, out=product)

    def moving() -> None:
        np.multiply(numbers, 0.5, out=moved)
        np.add(moved, numbers, out=moved)
        np.maximum(moved, 0.25, out=moved)

    def interpreting() -> None:
        total = 0
        for number in range(20_000):
            total += number & 7

    pieces = (products, moving, interpreting)
    return math.exp(math.fsum(math.log(_shortest(piece)) for piece in pieces) / len(pieces))


def _shortest(work: Callable[[], None]) -> float:
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)
