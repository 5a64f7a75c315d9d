"""A driver that has lost Ray: the program that it becomes writes the answer from what is on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from answered import copied

from studies.engine.ending import left_to_run
from studies.engine.journal import Journal

HOUSE = Path(__file__).parents[2]
# A driver with a child, as Ray's processes are, which calls from a thread while its main thread waits.
DRIVER = """
import subprocess, sys, threading, time
from pathlib import Path
from studies.engine.ending import end_without_ray
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
threading.Thread(target=end_without_ray, args=(Path(sys.argv[1]), "", "Ray was lost: its head is gone", 2)).start()
time.sleep(60)
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A finished study whose last three rows are missing."""
    copy = copied("sensitivity-digits", tmp_path / "out", "figures")
    rows = (copy / "rows.jsonl").read_text().splitlines(keepends=True)
    (copy / "rows.jsonl").write_text("".join(rows[:-3]))
    return copy


def driven(out: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DRIVER, str(out)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_answer_is_written_without_ray_and_says_what_is_missing(out: Path, tmp_path: Path) -> None:
    (out / "ray.log").touch()
    ended = driven(out, tmp_path)
    assert ended.returncode == 6, ended.stderr
    last = "Ray was lost: its head is gone; 3 planned trials left to run; run the same command again to continue"
    assert ended.stdout.splitlines()[-1] == last
    assert "Not complete" in (out / "report.html").read_text()
    assert not (out / "ray.log").exists(), "an empty file misleads"
    child = int(ended.stdout.splitlines()[0])
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_the_messages_of_ray_are_named(out: Path, tmp_path: Path) -> None:
    (out / "ray.log").write_text("it said so\n")
    assert f"(its messages: {out / 'ray.log'}); 3 planned trials left" in driven(out, tmp_path).stdout


def test_what_is_left_to_run() -> None:
    assert left_to_run(0, 0) == ""
    assert left_to_run(1, 2).startswith("1 planned trial left")
    assert left_to_run(0, 2).startswith("2 settings left")


def test_the_lock_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "out", {"hash": "h", "study": "s"})
    assert not os.get_inheritable(journal._lock.fileno())
    journal.keep_lock()
    assert os.get_inheritable(journal._lock.fileno())
    journal.close()
