"""The cost of a stretch of work: seconds and peak memory of this process."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Meter:
    """Starts when created; `seconds` and `peak_bytes` are those of this process (or device) since then.

    Where the kernel does not let a process reset its own peak, `peak_bytes` covers its whole lifetime.
    """

    device: str = "cpu"

    def __post_init__(self) -> None:
        self._began = time.perf_counter()
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self.device)
            return
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            pass  # no such interface here: the lifetime's peak is reported instead, as documented

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    @property
    def peak_bytes(self) -> int:
        if self.device.startswith("cuda"):
            import torch

            return int(torch.cuda.max_memory_allocated(self.device))
        try:
            match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        except OSError:
            match = None
        if match:
            return int(match[1]) * 1024
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
