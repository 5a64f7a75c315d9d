"""What the stages of the check share: what the driver asks of each, the machine in words, repeats timed on a device.

python tests/gpu/stage.py cuda      # the versions and the card
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mim4dd.cost import Meter
from mim4dd.durable import finite, write_json
from studies.engine.measuring import processor
from studies.engine.trial import memory_reason

Work = Callable[[], object]
# Repeats that are timed, unless these take several windows; and at most.
FEWEST, LONG_WINDOWS, MOST = 3, 5, 30
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "Pillow", "safetensors", "matplotlib", "psutil", "pytest")
NO_TIME = "no time was left"


@dataclass(frozen=True)
class Stage:
    """What the driver gives a stage. ends: when it must have written what it has, by time.monotonic."""

    out: Path
    device: str
    small: bool
    ends: float
    data: Path = Path()

    @staticmethod
    def of(description: str | None, *, data: bool = False) -> Stage:
        """The stage that this process was asked for. data: whether it reads packed data."""
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--out", type=Path, required=True, help="folder of results and checkpoints")
        parser.add_argument("--device", default="cuda", help="cuda or cpu")
        parser.add_argument("--small", action="store_true", help="the smallest sizes, which show that it runs")
        later = "seconds since 1970 at which it must have written what it has (default: in three minutes)"
        parser.add_argument("--ends", type=float, default=time.time() + 180, help=later)
        if data:
            parser.add_argument("--data", type=Path, required=True, help="folder that pack.py wrote")
        given = parser.parse_args()
        ends = time.monotonic() + given.ends - time.time()
        return Stage(given.out, given.device, given.small, ends, given.data if data else Path())

    @property
    def left_seconds(self) -> float:
        return self.ends - time.monotonic()

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file of the results so far, with the machine."""
        write_json(self.out / name, finite({"machine": machine(self.device), "small": self.small, **content}))


def machine(device: str) -> dict[str, Any]:
    """The device and what computes on it, in words."""
    return {
        "device": device,
        "processor": processor(device),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "convolutions": torch.backends.cudnn.conv.fp32_precision,
        "matrix products": torch.backends.cuda.matmul.fp32_precision,
    }


@contextmanager
def precision(kind: str) -> Iterator[None]:
    """Multiply float32 on a GPU in `tf32`, in `ieee` (full float32), or, for `default`, as torch is set."""
    places = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = [place.fp32_precision for place in places]
    try:
        if kind != "default":
            for place in places:
                place.fp32_precision = kind
        yield
    finally:
        for place, own in zip(places, before, strict=True):
            place.fp32_precision = own


@dataclass(frozen=True)
class Repeats:
    """Seconds of each repeat after one that is not counted, and the peak memory above what was held before them."""

    seconds: tuple[float, ...]
    peak_bytes: int

    @property
    def entries(self) -> dict[str, Any]:
        return {
            "seconds": statistics.median(self.seconds),
            "fastest_seconds": min(self.seconds),
            "slowest_seconds": max(self.seconds),
            "repeats": len(self.seconds),
            "peak_bytes": self.peak_bytes,
        }


def repeated(work: Work, device: str, window: float) -> Repeats:
    """Repeat for a window of seconds, at least FEWEST times unless that takes LONG_WINDOWS windows."""

    def once() -> float:
        began = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - began

    once()
    meter, seconds = Meter(device), list[float]()
    held = meter.peak_bytes
    while len(seconds) < MOST:
        seconds.append(once())
        spent = sum(seconds)
        if spent >= window and (len(seconds) >= FEWEST or spent >= LONG_WINDOWS * window):
            break
    return Repeats(tuple(seconds), meter.peak_bytes - held)


def tried(stage: Stage, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `measure` returns; or, under `failed`, that no time or no memory was left for it."""
    if stage.left_seconds <= 0:
        return {"failed": NO_TIME}
    try:
        return measure()
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        return {"failed": memory_reason(error)}


if __name__ == "__main__":
    found = machine(sys.argv[1])
    print(f"{found['processor']} ({found['device']}), CUDA {found['cuda']}, Python {found['python']}")
    print(", ".join(f"{name} {version(name)}" for name in LIBRARIES))
    print(f"float32 on a GPU: convolutions {found['convolutions']}, matrix products {found['matrix products']}")
