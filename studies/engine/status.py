"""The status of a study, from another shell: `python -m studies.engine.status OUT`. It only reads.

The exit status: 0 when every planned trial has a row, 5 when some of these say that it ended in an error, 3 while a
driver runs, 4 when none runs and trials are missing.
"""

from __future__ import annotations

import contextlib
import fcntl
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from mim4dd.errors import InputError
from mim4dd_cli.parsing import Parser
from studies.engine.durable import read_json
from studies.engine.folder import StudyFolder
from studies.engine.rows import Row
from studies.engine.signals import WITH_ERRORS
from studies.engine.wording import clock

FINISHED, RUNNING, INCOMPLETE = 0, 3, 4
RECENT = 12  # trials whose pace is measured


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m studies.engine.status", description=__doc__)
    parser.add_argument("out", type=Path, help="the study's folder")
    try:
        out = parser.parse_args(arguments).out.absolute()
        state, lines = study_status(out, time.time())
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return state


def study_status(out: Path, now: float) -> tuple[int, list[str]]:
    """The exit status and the lines to print. now: seconds since 1970.

    Raises: InputError when the folder contains no study.
    """
    folder = StudyFolder.read(out, unfinished=True)
    rows, planned = folder.rows, set(folder.planned)
    holder = lock_holder(out)
    lines = [f"{folder.study['title']}  ({out})", folder.study["command"]]
    lines.append(f"driver: {holder}" if holder else "driver: not running")
    statuses = Counter(row.status for row in rows.values())
    done = len(planned & set(rows)) if planned else len(rows)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())) or "none"
    lines.append(f"trials: {done} of {len(planned)} planned have a row ({counts})")
    retried = sum(row.measured.get("retries", 0) for row in rows.values())
    if retried:
        lines.append(f"trials restarted after losing their worker: {retried}")
    left = len(planned - set(rows))
    running = read_json(out / "running.json") if holder else None
    if holder and left:
        lines += pace_lines(list(rows.values()), left)
    lines += [running_line(attempt, now) for attempt in (running or {}).get("running", [])]
    lines += [f"error: {row.trial} {row.reason[:160]}" for row in rows.values() if row.status == "error"][-5:]
    if holder:
        return RUNNING, lines
    if left == 0 and planned:
        errors = folder.status().get("error", 0)
        if errors:
            lines.append(f"finished, {errors} in an error: the same command runs them again")
        return (WITH_ERRORS if errors else FINISHED), lines
    lines.append("run the same command again to continue")
    return INCOMPLETE, lines


def lock_holder(out: Path) -> str:
    """The process that has locked OUT, "" for none."""
    with contextlib.suppress(FileNotFoundError), open(out / "lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip() or "a process"
    return ""


def pace_lines(rows: list[Row], left: int) -> list[str]:
    """A line with the seconds per trial of the last ones, and the time for those left; none before there is a pace."""
    ended = sorted(row.measured["ended"] for row in rows if "ended" in row.measured)[-RECENT:]
    if len(ended) < 2 or ended[-1] == ended[0]:
        return []
    pace = (ended[-1] - ended[0]) / (len(ended) - 1)
    return [f"pace: {pace:.1f} s per trial, {clock(left * pace)} left"]


def running_line(attempt: dict[str, Any], now: float) -> str:
    """A line for a running trial, from its record in running.json."""
    number = f", attempt {attempt['attempt']}" if attempt["attempt"] > 1 else ""
    seconds, silent = now - attempt["began"], now - attempt["heard"]
    return (
        f"running: {attempt['trial']} on {attempt['host']} (process {attempt['pid']}{number}) for {clock(seconds)}, "
        f"{attempt['progress']}, last heartbeat {silent:.0f} s ago"
    )


if __name__ == "__main__":
    sys.exit(main())
