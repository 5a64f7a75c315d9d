"""Let this process keep the memory that it frees."""

from __future__ import annotations

import ctypes
import sys

# mallopt's parameters, from glibc's malloc.h, and values; 32 MB is the largest threshold that it takes.
MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD = (-3, 32 << 20), (-1, 1 << 30), (-2, 64 << 20)


def keep_freed_memory() -> bool:
    """Keep up to 1 GB of freed tensors of at most 32 MB for later allocations; returns whether malloc accepted it.

    glibc gives such memory back to the system as soon as it is free, and faults it in again, page by page and zeroed,
    for the next tensor: half of a training step of ten small networks (docs/results/bench.md). It affects the whole
    process, so programs call it and the library does not. No result changes. With other C libraries it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    return all(bool(mallopt(*setting)) for setting in (MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD))
