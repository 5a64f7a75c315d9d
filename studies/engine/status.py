"""Where a study stands, from another shell: `python -m studies.engine.status OUT`. It reads and changes nothing.

The exit status: 0 when every planned trial has a row, 3 while it runs, 4 when it stands still unfinished.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from mim4dd.errors import InputError
from studies.engine.durable import read_json
from studies.engine.folder import StudyFolder
from studies.engine.progress import clock
from studies.engine.rows import Row

FINISHED, RUNNING, STANDING = 0, 3, 4
RECENT = 12


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m studies.engine.status", description=__doc__)
    parser.add_argument("out", type=Path, help="the study's folder")
    out = parser.parse_args(arguments).out.absolute()
    try:
        state, lines = look(out, time.time())
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return state


def look(out: Path, now: float) -> tuple[int, list[str]]:
    """The exit status and the lines of a study folder, at a time in seconds since 1970.

    Raises: InputError when it holds no study.
    """
    folder = StudyFolder.read(out, unfinished=True)
    rows, planned = folder.rows, set(folder.planned)
    holder = held_by(out)
    lines = [f"{folder.study['title']}  ({out})", folder.study["command"]]
    lines.append(f"driver: {holder} holds the folder" if holder else "driver: none runs")
    statuses = Counter(row.status for row in rows.values())
    done = len(planned & set(rows)) if planned else len(rows)
    told = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())) or "none"
    lines.append(f"trials: {done} of {len(planned)} planned have a row ({told})")
    retried = sum(row.measured.get("retries", 0) for row in rows.values())
    if retried:
        lines.append(f"workers lost under trials: {retried}")
    left = len(planned - set(rows))
    running = read_json(out / "running.json") if holder else None
    if holder and left:
        lines += paced(list(rows.values()), left)
    lines += [line_of(one, now) for one in (running or {}).get("running", [])]
    lines += [f"error: {row.trial} {row.reason[:160]}" for row in rows.values() if row.status == "error"][-5:]
    if left == 0 and planned:
        return (RUNNING if holder else FINISHED), lines
    if holder:
        return RUNNING, lines
    lines.append("the same command goes on from here")
    return STANDING, lines


def held_by(out: Path) -> str:
    """Who runs the study, "" for nobody."""
    with contextlib.suppress(FileNotFoundError), open(out / "lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip() or "a process"
    return ""


def paced(rows: list[Row], left: int) -> list[str]:
    """The pace of the last trials, and how long the rest takes at it."""
    ended = sorted(row.measured["ended"] for row in rows if "ended" in row.measured)[-RECENT:]
    if len(ended) < 2 or ended[-1] == ended[0]:
        return []
    pace = (ended[-1] - ended[0]) / (len(ended) - 1)
    return [f"pace: a trial in {pace:.1f} s, {clock(left * pace)} left"]


def line_of(one: dict[str, Any], now: float) -> str:
    """A running trial."""
    again = f", attempt {one['attempt']}" if one["attempt"] > 1 else ""
    return (
        f"running: {one['trial']} on {one['host']} (process {one['pid']}{again}) for {clock(now - one['began'])}, "
        f"{one['progress']}, heard of {now - one['heard']:.0f} s ago"
    )


if __name__ == "__main__":
    sys.exit(main())
