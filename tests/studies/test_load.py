"""The load of a machine: whose work it is, what is left out, when it is quiet."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from studies.engine import load
from studies.engine.load import BUSY, WINDOW_SECONDS, Load, cpu_seconds, quiet

HOUSE = Path(__file__).parents[2]
BURN = "while True: pass"
# Another process's view of the same stretch: from a line that it reads to the next one.
OBSERVER = """
import sys
from studies.engine.load import Load
sys.stdin.readline()
load = Load()
print("began", flush=True)
sys.stdin.readline()
print(load.others_cores, flush=True)
"""


@contextlib.contextmanager
def child(code: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, cwd=HOUSE, stdin=pipe, stdout=pipe, text=True, env={"PYTHONPATH": str(HOUSE)})
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_child_is_not_others_and_to_another_process_it_is() -> None:
    with child(BURN) as burner, child(OBSERVER) as observer:
        assert observer.stdin is not None
        assert observer.stdout is not None
        print(file=observer.stdin, flush=True)
        assert observer.stdout.readline() == "began\n"
        here, before, began = Load(), sum(psutil.Process(burner.pid).cpu_times()[:2]), time.monotonic()
        time.sleep(1.5)
        ours = here.others_cores
        burnt = (sum(psutil.Process(burner.pid).cpu_times()[:2]) - before) / (time.monotonic() - began)
        print(file=observer.stdin, flush=True)
        theirs = float(observer.stdout.readline())
    assert burnt > 0.1, "it burns, however busy the machine is"
    # Whatever else runs is in both.
    assert theirs - ours == pytest.approx(burnt, abs=0.3 * burnt + 0.05)


def test_seconds_of_all_threads_count() -> None:
    before, meter = cpu_seconds(), Load()

    def burn() -> None:
        while time.thread_time() < 0.2:
            pass

    threads = [threading.Thread(target=burn) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.4 <= meter.cpu_seconds <= cpu_seconds() - before
    assert meter.measured().keys() == {"cpu_seconds", "others_cores", "stolen_cores"}


def counted(monkeypatch: pytest.MonkeyPatch, *readings: tuple[float, float, float, float]) -> None:
    """Let the counters (wall, busy, own, stolen) be these, one after the other."""
    left = iter(np.array(readings))
    monkeypatch.setattr(load, "_counters", lambda: next(left))


def test_what_was_waited_for_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # ten seconds, in four of which two cores worked for this process; then half a core of others and a tenth stolen
    counted(monkeypatch, (0, 0, 0, 0), (2, 2, 1, 0.2), (6, 10, 1, 0.2), (10, 16, 5, 0.6))
    meter = Load()
    assert meter.waited(lambda: "it")[0] == "it"
    found = meter.measured()
    assert (found["others_cores"], found["stolen_cores"]) == pytest.approx(((16 - 8 - 5) / 6, 0.6 / 6))


@pytest.mark.parametrize(("end", "others"), [((2, 1, 1.5, 0), 0.0), ((2, 0, 1, 0), math.nan), ((2, 0, 0, 0), 0.0)])
def test_others_are_never_less_than_none_and_unknown_where_counters_stand_still(
    end: tuple[float, float, float, float], others: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(monkeypatch, (0, 0, 0, 0), end)
    assert Load().others_cores == pytest.approx(others, nan_ok=True)


@pytest.mark.parametrize(
    ("cores", "limit", "windows"),
    [([1.0, BUSY, 0.1], 60, 3), ([1.0] * 9, 4 * WINDOW_SECONDS, 4), ([math.nan], 60, 1), ([], 0, 0)],
)
def test_it_waits_until_others_are_quiet_and_no_longer_than_allowed(
    cores: list[float], limit: float, windows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, left = [0.0], iter(cores)

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(load, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    monkeypatch.setattr(load, "Load", lambda: SimpleNamespace(others_cores=next(left)))
    assert quiet(limit) == pytest.approx(windows * WINDOW_SECONDS)
