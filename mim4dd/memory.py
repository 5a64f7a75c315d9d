"""The memory that this process may still use, and keeping what it has freed."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

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


def free_memory(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Free bytes of this machine, or of the container or job that this process runs in where that has fewer.

    groups: where control groups are mounted; own: those of this process. Files in the page cache count as free, as the
    system drops them first.
    """
    import psutil

    return min(psutil.virtual_memory().available, *_left_by_groups(groups, own))


def _left_by_groups(groups: Path, own: Path) -> Iterator[int]:
    """What the limit of each control group of this process leaves, in versions 1 and 2; at least one number."""
    yield sys.maxsize
    with contextlib.suppress(OSError):  # other systems have none
        for line in own.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                root, names = groups, ("memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                root, names = (
                    groups / "memory",
                    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
                )
            else:
                continue
            folder = root / path.lstrip("/")
            # A limit of a group holds for those below it; a container may see its own group as the root.
            for group in (folder, *folder.parents):
                if group.is_relative_to(root):
                    yield from _left_by(group, *names)


def _left_by(group: Path, limit: str, used: str, cached: str) -> Iterator[int]:
    """What one group's limit leaves; nothing where it has none."""
    with contextlib.suppress(OSError, ValueError):  # no such file, or the word max
        most, current = (int((group / name).read_text(encoding="utf-8")) for name in (limit, used))
        statistics = dict(line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
        yield max(0, most - current + int(statistics.get(cached, 0)))
