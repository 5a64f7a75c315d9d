"""Processes that help to compute end with the one that started them, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from studies.engine.statistics.processes import process_pool

CODE = """
import os, time
from studies.engine.statistics.processes import process_pool
if __name__ == "__main__":
    with process_pool(2) as pool:
        print(*{pool.submit(os.getpid).result()}, flush=True)
        waiting = [pool.submit(time.sleep, 300) for _ in range(2)]
        print("busy", *pool._processes, flush=True)
        time.sleep(300)
"""


def test_a_pool_computes_in_other_processes() -> None:
    with process_pool(1) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL elsewhere")
def test_helpers_of_a_killed_process_end_within_seconds(tmp_path) -> None:  # type: ignore[no-untyped-def]
    script = tmp_path / "computes.py"
    script.write_text(CODE)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        helpers = [int(word) for word in process.stdout.readline().split()[1:]]
        assert helpers
        assert all(map(psutil.pid_exists, helpers))
        started = [psutil.Process(pid).create_time() for pid in helpers]
        process.kill()
    deadline = time.monotonic() + 10
    while any(map(alive, helpers, started)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
