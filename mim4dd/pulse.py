"""A sign of life from within long computations, for whoever watches the process that computes.

An epoch on all real images, or the classification of thousands of them by a large network, takes longer on a CPU than a
watcher should wait for a process that hangs. So every piece of them gives a sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[], None]
_listeners: list[Listener] = []


def beat() -> None:
    """Tell the innermost listener, if there is one, that the computation goes on."""
    if _listeners:
        _listeners[-1]()


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Within the block, call `listener` at every sign: often, so it must be quick where nothing is due."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
