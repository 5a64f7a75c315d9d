"""Has a process of its own send rows to MLflow while a study runs, and brings MLflow up to date afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

from mim4dd.errors import InputError
from studies.engine.door import ROOT
from studies.engine.folder import StudyFolder, read_settings, read_study
from studies.engine.tracking import sending
from studies.engine.tracking.browser import where
from studies.engine.tracking.opening import experiment_name, open_view
from studies.engine.tracking.server import address, check, client, one_line, reason, shown
from studies.engine.wording import plural

# Between the end of a process that was killed and the start of another.
AGAIN_SECONDS = 30.0
# How long the process may take longer than it was given, before it is killed.
GRACE_SECONDS = 5.0


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Tracker:
    """Has a running study's rows sent to MLflow: `check` first, then `start`, `finish`, `close`.

    Rows are read from OUT by the process that sends them. After `start` no method raises: the first failure is reported
    once, and `finish` reports what did not arrive and the command that sends it.
    """

    def __init__(self, uri: str | None, out: Path, say: Callable[[str], None] = to_stderr) -> None:
        self.uri, self.say = address(uri), say
        self.folder = StudyFolder(Path(out).absolute(), read_study(out))
        self._experiment = self._parent = ""
        self._lock = threading.Lock()  # of the process, which finish and the thread both use
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._last = ""
        self._told = False
        self._result: dict[str, Any] = {}

    def start(self) -> None:
        """Find or create the experiment and the parent run, and start the process.

        Raises: InputError when MLflow does not accept them.
        """
        out, study = self.folder.path, self.folder.study
        self.folder = StudyFolder(out, study, read_settings(out))
        try:
            view = open_view(self.uri, self.folder, live=True)
        except Exception as error:  # a client raises what its store, its HTTP library or its server does
            raise InputError(f"MLflow cannot be used at {shown(self.uri)}: {one_line(error)}") from error
        self._experiment, self._parent = view.experiment, view.parent
        self._begin()
        self._thread = threading.Thread(target=self._listen, name="tracking", daemon=True)
        self._thread.start()

    def finish(self, status: str = "finished", *, within_seconds: float = 30.0) -> None:
        """Have the rows of OUT sent, then the parent's report, files and metrics; give up after `within_seconds`.

        status: finished, failed or killed.
        """
        self._last = json.dumps({"status": status.upper(), "within_seconds": within_seconds}) + "\n"
        self._stop(within_seconds + GRACE_SECONDS)
        left = self._result.get("left")
        if left != 0 or not self._result["reported"]:
            trials = "Finished trials" if left is None else plural(left, "finished trial")
            missing = "The report" if left == 0 else trials
            self.say(
                f"{missing} did not reach MLflow; they are safe on disk. Send them with: python -m "
                f"studies.engine.tracking sync {quote(str(self.folder.path))} --tracking-uri {quote(shown(self.uri))}"
            )

    def where(self) -> str:
        """How to open the trials in MLflow, in one or two lines."""
        return where(self.uri, self._experiment, self.folder)

    def close(self) -> None:
        """End the process without waiting for rows; the parent run stays as it is."""
        self._stop(0.0)

    def _stop(self, seconds: float) -> None:
        """Tell the process that the study has ended, and give it this time."""
        self._closing.set()
        with self._lock:
            self._order()
        if self._thread is not None and self._last:
            self._thread.join(seconds)
        with self._lock:
            self._last = ""
            if self._process is not None:
                self._process.kill()
        if self._thread is not None:
            self._thread.join(GRACE_SECONDS)  # a process that waits for a disk may not even be killed

    def _order(self) -> None:
        """Tell the process what is left to do, if anything is; one that has ended is replaced in `_listen`."""
        if self._process is not None and self._process.stdin is not None and self._last:
            with contextlib.suppress(OSError, ValueError):
                os.write(self._process.stdin.fileno(), self._last.encode())

    def _begin(self) -> None:
        """Start the process: in a session of its own, so that Ctrl-C in a terminal reaches the driver alone."""
        words = [sys.executable, "-P", "-m", sending.__name__, str(self.folder.path), self._experiment, self._parent]
        # In the environment a password in the address is not shown to other users of the machine.
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": self.uri}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, env=variables, stdin=pipe, stdout=pipe, start_new_session=True)

    def _listen(self) -> None:
        """The thread: hears the process, and starts another in place of one that was killed."""
        while self._process is not None and self._process.stdout is not None:
            last = self._closing.is_set()
            with self._process:
                for line in self._process.stdout:
                    self._hear(json.loads(line))
            if last or self._result:
                return
            # Where Ray was lost, the driver kills what it has started and becomes another program at once.
            if not self._closing.wait(1.0):
                if not self._told:
                    self._told = True
                    code = self._process.returncode
                    self.say(f"the process that sends to MLflow has ended (status {code}); another will go on with it")
                self._closing.wait(AGAIN_SECONDS)
            with self._lock:
                if self._closing.is_set() and not self._last:
                    return
                try:
                    self._begin()
                except OSError as error:
                    self.say(f"no process can be started that sends to MLflow ({error.strerror}); rows are on disk")
                    return
                self._order()

    def _hear(self, message: dict[str, Any]) -> None:
        if "say" in message:
            self.say(message["say"])
        else:
            self._result = message


class Untracked:
    """The tracker of a study that runs without MLflow; `finish` says how to send the runs later."""

    def __init__(self, out: Path, say: Callable[[str], None] = to_stderr) -> None:
        self.out, self.say = out, say

    def start(self) -> None:
        """Do nothing: there is no process."""

    def finish(self, status: str = "finished") -> None:
        """Report the command that sends the rows."""
        self.say(
            f"MLflow has not been told; send it with: python -m studies.engine.tracking sync {quote(str(self.out))}"
        )

    def where(self) -> str:
        """No hint: MLflow has no runs."""
        return ""

    def close(self) -> None:
        """Do nothing: there is no process."""


def sync(out: Path, uri: str | None = None) -> int:
    """Bring MLflow up to date with a study's folder; returns the number of trials that were sent.

    May be repeated, even after a crash, without creating duplicates. The parent run is ended once the study has its
    answer and a row for every planned trial.
    Raises: InputError when the folder holds no study or MLflow cannot be used.
    """
    uri, folder = address(uri), StudyFolder.read(out, unfinished=True)
    rows = list(folder.rows.values())
    check(uri)
    sent = 0
    try:
        view = open_view(uri, folder, live=False)
        for row in rows:
            sent += view.send(row)
        if folder.answered:
            view.finish("FINISHED")
    except InputError:
        raise  # of the folder, not of MLflow
    except Exception as error:
        raise InputError(
            f"MLflow at {shown(uri)} stopped taking rows after {sent} of {len(rows)}: {reason(error)}; "
            "run the same command again"
        ) from error
    return sent


def look(folder: StudyFolder, uri: str) -> str:
    """How to open a study's trials in MLflow; "" if MLflow has no experiment for the study.

    Raises: InputError when it does not answer.
    """
    try:
        experiment = client(uri).get_experiment_by_name(experiment_name(folder))
    except Exception as error:
        raise InputError(f"MLflow at {shown(uri)} does not say where the trials are: {reason(error)}") from error
    return where(uri, experiment.experiment_id, folder) if experiment else ""
