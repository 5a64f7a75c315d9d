"""Sends rows to MLflow from a thread while a study runs, and brings MLflow up to date afterwards."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from mim4dd.errors import InputError
from studies.engine.folder import StudyFolder, read_study
from studies.engine.rows import Row
from studies.engine.tracking.browser import where
from studies.engine.tracking.server import address, check, client, one_line, shown
from studies.engine.tracking.view import View, experiment_name

LONGEST_PAUSE = 30.0


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Tracker:
    """Sends a running study to MLflow: `check` first, then `start`, `trial` for each row on disk, `finish`, `close`.

    After `start` no method raises: the first failure is reported once, rows wait and are sent again with growing
    pauses, and `finish` reports what did not arrive and the command that sends it.
    """

    def __init__(self, uri: str | None, out: Path, say: Callable[[str], None] = to_stderr) -> None:
        self.uri, self.say = address(uri), say
        self.folder = StudyFolder(Path(out).absolute(), read_study(out))
        self._waiting: deque[Row] = deque()
        self._changed = threading.Condition()
        self._closing = self._warned = self._reported = False
        self._thread: threading.Thread | None = None
        self._last: tuple[str, Mapping[str, Any] | None] | None = None
        self._experiment = ""

    def start(self) -> None:
        """Find or create the experiment and the parent run, and queue the rows that are on disk already.

        Raises: InputError when MLflow does not accept them.
        """
        self.folder = StudyFolder.read(self.folder.path, unfinished=True)
        try:
            view = View(self.uri, self.folder, live=True)
        except Exception as error:  # a client raises what its store, its HTTP library or its server does
            raise InputError(f"MLflow cannot be used at {shown(self.uri)}: {one_line(error)}") from error
        self._experiment = view.experiment
        self._waiting.extend(self.folder.rows.values())
        self._thread = threading.Thread(target=self._work, args=(view,), name="tracking", daemon=True)
        self._thread.start()

    def trial(self, row: Row) -> None:
        """Queue a finished trial whose row and files are on disk."""
        with self._changed:
            self._waiting.append(row)
            self._changed.notify()

    def finish(
        self, status: str = "finished", summary: Mapping[str, Any] | None = None, *, within_seconds: float = 30.0
    ) -> None:
        """Send the queued rows, then the parent's report, files and metrics; give up after `within_seconds`.

        status: finished, failed or killed. summary: the parent's metrics, by default those in OUT/summary.json.
        """
        self._last = (status.upper(), summary)
        if not self._stop(within_seconds) or self._waiting or not self._reported:
            missing = f"{len(self._waiting)} finished trials" if self._waiting else "The report"
            self.say(
                f"{missing} did not reach MLflow; they are safe on disk. Send them with: python -m "
                f"studies.engine.tracking sync {quote(str(self.folder.path))} --tracking-uri {quote(shown(self.uri))}"
            )

    def where(self) -> str:
        """How to open the trials in MLflow, in one or two lines."""
        return where(self.uri, self._experiment, self.folder)

    def close(self) -> None:
        """Stop the thread without waiting for rows; the parent run stays as it is."""
        with self._changed:
            if not self._closing:
                self._waiting.clear()
        self._stop(5.0)

    def _stop(self, seconds: float) -> bool:
        """Let the thread finish; returns whether it did in time."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self, view: View) -> None:
        """The thread: sends queued rows until `_stop`, then the parent's report."""
        pause, failures = 1.0, 0  # failures in a row since the study has ended
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting or failures >= 2:
                    break
                closing = self._closing
                row = self._waiting[0]
            if self._tried(lambda row=row: view.send(row)):  # type: ignore[misc]
                with self._changed:
                    if self._waiting:
                        self._waiting.popleft()
                pause, failures = 1.0, 0
                continue
            with self._changed:
                self._waiting.rotate(-1)  # one row that MLflow refuses does not hold up the others
                failures += closing
                self._changed.wait_for(lambda: self._closing, timeout=pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
        if self._last is not None:
            status, summary = self._last
            self._reported = failures < 2 and self._tried(
                lambda: view.finish(status, self.folder.summary() if summary is None else summary)
            )

    def _tried(self, send: Callable[[], object]) -> bool:
        """Whether sending succeeded; the first failure is reported."""
        try:
            send()
        except Exception as error:  # noqa: BLE001 (whatever MLflow raises must not reach the study)
            if not self._warned:
                self._warned = True
                self.say(f"MLflow does not take what it is sent ({reason(error)}); the study goes on, rows are on disk")
            return False
        return True


class Untracked:
    """The tracker of a study that runs without MLflow; `finish` says how to send the runs later."""

    def __init__(self, out: Path, say: Callable[[str], None] = to_stderr) -> None:
        self.out, self.say = out, say

    def start(self) -> None:
        """Do nothing: there is no thread."""

    def trial(self, row: Row) -> None:
        """Do nothing: the row is on disk."""

    def finish(self, status: str = "finished") -> None:
        """Report the command that sends the rows."""
        self.say(
            f"MLflow has not been told; send it with: python -m studies.engine.tracking sync {quote(str(self.out))}"
        )

    def where(self) -> str:
        """No hint: MLflow has no runs."""
        return ""

    def close(self) -> None:
        """Do nothing: there is no thread."""


def reason(error: Exception) -> str:
    """An error's first line, without the details of the HTTP library."""
    text = one_line(error)
    return "its server does not answer" if "HTTPConnectionPool" in text or "HTTPSConnectionPool" in text else text


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
        view = View(uri, folder, live=False)
        for row in rows:
            sent += view.send(row)
        if folder.answered:
            view.finish("FINISHED", folder.summary())
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
