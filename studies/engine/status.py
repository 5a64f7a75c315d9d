"""The status of a study, from another shell: `python -m studies.engine.status OUT`. It only reads.

The exit status: 0 when every planned trial has a row, 5 when some of these say that it ended in an error, 3 while a
driver runs, 4 when none runs and trials are missing.
"""

from __future__ import annotations

import fcntl
import sys
import time
from collections import Counter
from pathlib import Path

from mim4dd.durable import read_json
from mim4dd.errors import InputError
from mim4dd_cli.command import exit_status
from mim4dd_cli.parsing import Parser
from studies.engine.folder import StudyFolder
from studies.engine.reading import checked
from studies.engine.rows import Row
from studies.engine.shapes import Running, RunningTrial
from studies.engine.signals import WITH_ERRORS
from studies.engine.wording import clock

FINISHED, RUNNING, INCOMPLETE = 0, 3, 4
RECENT = 12  # trials whose pace is measured


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m studies.engine.status", description=__doc__)
    parser.add_argument("out", type=Path, help="the study's folder")

    def status() -> int:
        state, lines = study_status(parser.parse_args(arguments).out.absolute(), time.time())
        print("\n".join(lines))
        return state

    return exit_status(status)


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
    if holder and left:
        lines += pace_lines(list(rows.values()), left)
    lines += running_lines(out / "running.json", now) if holder else []
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
    """The process that has locked OUT, "" for none.

    Raises: InputError.
    """
    try:
        with open(out / "lock", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read().strip() or "a process"
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise InputError(f"{out / 'lock'} cannot be read: {error.strerror}") from error
    return ""


def pace_lines(rows: list[Row], left: int) -> list[str]:
    """A line with the seconds per trial of the last ones, and the time for those left; none before there is a pace."""
    ended = sorted(row.measured["ended"] for row in rows if "ended" in row.measured)[-RECENT:]
    if len(ended) < 2 or ended[-1] == ended[0]:
        return []
    pace = (ended[-1] - ended[0]) / (len(ended) - 1)
    return [f"pace: {pace:.1f} s per trial, {clock(left * pace)} left"]


def running_lines(path: Path, now: float) -> list[str]:
    """A line for each trial in running.json; if it is damaged, one that says so: the driver writes it again."""
    try:
        record = read_json(path)
        running = checked(record, Running)["running"] if record is not None else []
    except ValueError as error:
        return [f"running: unknown, {path.name} cannot be read ({error})"]
    return [running_line(attempt, now) for attempt in running]


def running_line(attempt: RunningTrial, now: float) -> str:
    """A line for a running trial, from its record in running.json."""
    number = f", attempt {attempt['attempt']}" if attempt["attempt"] > 1 else ""
    seconds, silent = now - attempt["began"], now - attempt["heard"]
    return (
        f"running: {attempt['trial']} on {attempt['host']} (process {attempt['pid']}{number}) for {clock(seconds)}, "
        f"{attempt['progress']}, last heartbeat {silent:.0f} s ago"
    )


if __name__ == "__main__":
    sys.exit(main())
