"""Processes that compute beside this one, and end with it however it ends."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process

# glibc's settings with which freed memory goes back to the system at once: what a process keeps for later is none that
# it needs.
GIVING_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}
# torch imports the second with its first optimizer step. A process imports its parent's main module, which in a worker
# of Ray imports ray. Each takes longer than all else that a fresh process does.
PRELOADED = ("torch", "torch._dynamo", "ray")


def process_pool(processes: int) -> ProcessPoolExecutor:
    """A pool of fresh processes; when this one is killed, they end at once instead of waiting for work for ever."""
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_end_with_parent)


def fresh_process() -> ProcessPoolExecutor:
    """A pool of one process that has done nothing with torch yet, and gives freed memory back to the system.

    The first one starts a server, a process of one thread, from which each is forked.
    """
    from multiprocessing.forkserver import ensure_running

    context = get_context("forkserver")
    context.set_forkserver_preload([name for name in PRELOADED if name in sys.modules])
    before = {name: os.environ.get(name) for name in GIVING_BACK}
    os.environ.update(GIVING_BACK)
    try:
        ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
