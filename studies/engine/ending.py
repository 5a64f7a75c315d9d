"""The end of an execution: the answer from all rows. After a loss of Ray a fresh process writes it.

Ray ends a process that has lost its raylet or its head after some seconds, without a word, and a call into Ray may not
return before. So the driver becomes another program, which reads OUT and knows nothing of Ray: it has all the time that
the answer takes. It keeps the process's number, its lock on OUT and its terminal.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from cluster.messages import remove_empty
from mim4dd_cli.command import exit_status
from studies.engine.door import ROOT
from studies.engine.folder import StudyFolder
from studies.engine.joining import MESSAGES
from studies.engine.progress import say
from studies.engine.signals import LOST, WITH_ERRORS
from studies.engine.study import Study, study_of
from studies.engine.tracking import Tracker, Untracked, address
from studies.engine.wording import plural


class Tracking:
    """Closes a tracker on exit; an exception first marks the study's run in MLflow as failed.

    uri: of the MLflow server, "" to send nothing.
    """

    def __init__(self, uri: str, out: Path) -> None:
        self.tracker = Tracker(uri, out) if uri else Untracked(out)

    def __enter__(self) -> Tracker | Untracked:
        self.tracker.start()
        return self.tracker

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.tracker.finish("failed")
        self.tracker.close()


def end(
    study: Study[Any], folder: StudyFolder, tracker: Tracker | Untracked, status: int, took: Callable[[], str]
) -> int:
    """Write the answer, end tracking and print the answer.

    status: of the exit where the execution was interrupted; took: called last, for a line on what all of it took, or
    "". Returns: it, WITH_ERRORS when trials ended in errors, or 0.
    """
    from studies.engine.report import write_report

    answer = study.answer(folder)
    for note in write_report(answer, folder):
        say(note)
    tracker.finish("killed" if folder.interrupted else "finished")
    say("")
    for line in answer.lines:
        say(line)
    say(f"\nreport: {folder.path / 'report.html'}   numbers: {folder.path / 'answer.md'}")
    if mlflow_hint := tracker.where():
        say(mlflow_hint)
    if line := took():
        say(line)
    if folder.interrupted:
        say(folder.interrupted)
        return status
    errors = folder.status().get("error", 0)
    if errors:
        say(f"{errors} of {len(folder.planned)} planned trials ended in an error; the same command runs them again")
    return WITH_ERRORS if errors else 0


def left_to_run(missing: int, settings: int) -> str:
    """What an interrupted execution leaves, "" if nothing. missing: planned trials; settings: of a search."""
    if not missing and not settings:
        return ""
    left = plural(missing, "planned trial") if missing else plural(settings, "setting")
    return f"{left} left to run; run the same command again to continue"


def end_without_ray(out: Path, uri: str, lost: str, settings: int) -> NoReturn:
    """Make this process one that has no Ray and ends the study. May be called from any thread.

    uri: of the MLflow server, "" to send nothing; lost: why Ray can be used no longer; settings: of a search, that it
    has not tried.
    """
    _kill_children()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        os.dup2(sys.stderr.fileno(), 2)  # it was Ray's messages'
    command = [sys.executable, "-P", "-m", __name__, str(out.absolute())]
    command += ["--lost", lost, "--settings-left", str(settings)]
    command += [] if uri else ["--offline"]
    # In the environment a password in the address is not shown to other users of the machine.
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri}
    os.execve(sys.executable, command, variables)


def _kill_children() -> None:
    """Kill what this process has started: a local Ray has lost a part of itself and would only leave messages."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def main() -> int:
    """End a study whose driver has lost Ray; returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--lost", required=True)
    parser.add_argument("--settings-left", type=int, required=True)
    parser.add_argument("--offline", action="store_true")
    options = parser.parse_args()
    messages = options.out / MESSAGES
    remove_empty(messages)

    def work() -> int:
        folder = StudyFolder.read(options.out)
        left = left_to_run(folder.status().get("missing", 0), options.settings_left)
        named = f" (its messages: {messages})" if messages.exists() else ""
        folder = replace(folder, interrupted=left and f"{options.lost}{named}; {left}")
        with Tracking("" if options.offline else address(None), options.out) as tracker:
            # What this process's predecessor ran is no longer known.
            return end(study_of(folder), folder, tracker, LOST, lambda: "")

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
