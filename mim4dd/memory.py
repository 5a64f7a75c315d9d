"""How this process keeps the memory that it has freed."""

from __future__ import annotations

import ctypes
import sys

# mallopt's parameters, from glibc's malloc.h, and values; 32 MB is the largest threshold that it takes.
MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD = (-3, 32 << 20), (-1, 1 << 30), (-2, 64 << 20)


def keep_freed_memory() -> bool:
    """Keep up to 1 GB of freed tensors of at most 32 MB for what is allocated next; whether that could be asked for.

    glibc gives such memory back to the system as soon as it is free, and faults it in again, page by page and zeroed,
    for the next tensor: half of a training step of ten small networks (docs/results/bench.md). It concerns the whole
    process, so programs ask for it and the library does not. No number changes. Other C libraries have their own ways:
    nothing is done there.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    return all(bool(mallopt(*setting)) for setting in (MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD))
