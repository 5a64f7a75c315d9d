"""The status of a study, from another shell: `python -m studies.engine.status OUT`. It only reads.

The exit status: 0 when every planned trial has a row, 5 when some of these say that it ended in an error, 3 while a
driver runs, 4 when none runs and trials are missing.
"""

from __future__ import annotations

import fcntl
import sys
import time
from collections import Counter
from collections.abc import Mapping
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
from studies.engine.wording import clock, plural

FINISHED, RUNNING, INCOMPLETE = 0, 3, 4
RECENT = 12  # trials whose pace is measured
WAVES = 3  # trials of each worker before the ends of trials tell a pace
LATEST = 5  # errors that are listed
STATUSES = {"ok": "to the end", "diverged": "diverged", "error": "in an error"}


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
    errors = [row for row in rows.values() if row.status == "error"]
    left = len(planned - set(rows))
    lines = [f"{folder.study['title']}  ({out})", folder.study["command"]]
    lines.append(f"driver: {holder}" if holder else "driver: not running")
    statuses = Counter(row.status for row in rows.values())
    done = len(planned & set(rows)) if planned else len(rows)
    counts = [f"{statuses[status]} {words}" for status, words in STATUSES.items() if statuses[status]]
    lines.append(f"{done} of {plural(len(planned), 'planned trial')} done: {', '.join(counts) or 'none'}")
    names = names_of(folder)
    modes = Counter(mode for row in rows.values() for mode in row.failed_by)
    if modes:
        told = ", ".join(f"{mode} ({count})" for mode, count in modes.most_common())
        lines.append(f"failure modes so far: {told}; the report says what each means")
    retried = sum(row.measured.get("retries", 0) for row in rows.values())
    if retried:
        lines.append(f"trials restarted after losing their worker: {retried}")
    running = running_lines(out / "running.json", now, names) if holder else []
    if holder and left:
        lines += pace_lines(list(rows.values()), left, len(running))
    lines += running
    lines += [f"ended in an error: {names.get(row.trial, row.trial)}: {row.reason[:160]}" for row in errors[-LATEST:]]
    if len(errors) > LATEST:
        lines.append(f"and {len(errors) - LATEST} more in an error, see rows.jsonl")
    if holder:
        return RUNNING, lines
    if left == 0 and planned:
        failed = folder.status().get("error", 0)
        if failed:
            lines.append(f"finished, {failed} in an error: the same command runs them again")
        return (WITH_ERRORS if failed else FINISHED), lines
    lines.append(f"{plural(left, 'planned trial')} left to run; run the same command again to continue")
    return INCOMPLETE, lines


def names_of(folder: StudyFolder) -> dict[str, str]:
    """What each planned trial is, `DM + MIM4DD (default) · seed 0`, by its hash; of settings that share one, the first.

    A setting's trials are in the order of the seeds, from the first on.
    """
    named: dict[str, str] = {}
    for setting in folder.settings:
        for seed, trial in zip(folder.seeds, setting.trials, strict=False):
            of = folder.rows[trial].config.get("seed", seed) if trial in folder.rows else seed
            named.setdefault(trial, f"{setting.name} · seed {of}")
    return named


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


def pace_lines(rows: list[Row], left: int, workers: int) -> list[str]:
    """A line with the seconds per trial of the last ones, and the time for those left; none before there is a pace.

    workers: that run at once. The first trials of all of them end together, so that the time between two ends says
    nothing until each worker has had several; until then it is the time since the first began.
    """
    done = sorted((row.measured["ended"], row.measured["seconds"]) for row in rows if "ended" in row.measured)
    recent = done[-max(RECENT, WAVES * workers) :]
    ends = [ended for ended, _ in recent]
    if len(recent) < 2 or ends[-1] == ends[0]:
        return []
    began = min(ended - seconds for ended, seconds in recent)
    early = len(recent) < WAVES * workers
    pace = (ends[-1] - began) / len(ends) if early else (ends[-1] - ends[0]) / (len(ends) - 1)
    return [f"pace: {pace:.1f} s per trial, {clock(left * pace)} left"]


def running_lines(path: Path, now: float, names: Mapping[str, str]) -> list[str]:
    """A line for each trial in running.json; if it is damaged, one that says so: the driver writes it again.

    names: of the planned trials, by hash.
    """
    try:
        record = read_json(path)
        running = checked(record, Running)["running"] if record is not None else []
    except ValueError as error:
        return [f"running: unknown, {path.name} cannot be read ({error})"]
    return [running_line(attempt, now, names.get(attempt["trial"], attempt["trial"])) for attempt in running]


def running_line(attempt: RunningTrial, now: float, name: str) -> str:
    """A line for a running trial, from its record in running.json."""
    number = f", attempt {attempt['attempt']}" if attempt["attempt"] > 1 else ""
    seconds, silent = now - attempt["began"], now - attempt["heard"]
    return (
        f"running: {name} for {clock(seconds)}, {attempt['progress']} "
        f"(on {attempt['host']}, process {attempt['pid']}{number}, last heartbeat {silent:.0f} s ago)"
    )


if __name__ == "__main__":
    sys.exit(main())
