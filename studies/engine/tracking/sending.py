"""The process that sends a running study's rows to MLflow: `python -m studies.engine.tracking.sending OUT ...`.

MLflow takes 20 to 60 ms of a processor for a run, most of it in Python: a thread would take them from the driver. The
process reads the rows from OUT, where each is before anybody hears of it, so the driver hands it nothing, and a process
that is started in place of a killed one finds what MLflow lacks. It ends with the driver.

The driver writes one line of JSON to stdin, at the end; this process answers on stdout, a line of JSON each:
`{"say": TEXT}` for the user, and last `{"left": ROWS, "reported": BOOL}`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from studies.engine.folder import StudyFolder, read_settings, read_study
from studies.engine.reading import opened, parsed
from studies.engine.rows import Row
from studies.engine.tracking.server import address, reason
from studies.engine.tracking.view import View

LOOK_SECONDS = 0.5
LONGEST_PAUSE = 30.0


class Sender:
    """Sends the rows that OUT has and those that it gets, until `finish`, then the report.

    `work` raises nothing: the first failure is reported once, and rows are sent again with growing pauses.
    """

    def __init__(self, out: Path, view: Callable[[], View], say: Callable[[str], None]) -> None:
        """view: opens the study in MLflow; called again when it fails."""
        self._rows, self._open, self.say = out / "rows.jsonl", view, say
        self._view: View | None = None
        # Where the latest line of each trial begins. A row takes 30 KB of memory, and a server may be away for days.
        self.waiting: dict[str, int] = {}
        self._end = 0
        self._closing = threading.Event()
        self._status = ""
        self._warned = self.reported = False

    def finish(self, status: str) -> None:
        """Send what OUT has by now, then the report, and end. status: FINISHED, FAILED or KILLED."""
        self._status = status
        self._closing.set()

    def work(self) -> None:
        """Send rows until `finish`, then the parent's report."""
        pause, failures = 1.0, 0  # failures in a row since the study has ended
        while failures < 2:
            closing = self._closing.is_set()  # asked before OUT is read, which has all rows by then
            trial = ""
            if self._tried(self._look):
                trial = next(iter(self.waiting), "")
                if not trial and closing:
                    break
                if not trial:
                    self._closing.wait(LOOK_SECONDS)
                    continue
                if self._tried(lambda trial=trial: self._send(trial)):  # type: ignore[misc]
                    del self.waiting[trial]
                    pause, failures = 1.0, 0
                    continue
                self.waiting[trial] = self.waiting.pop(trial)  # one row that is refused does not hold up the others
            failures += closing
            self._closing.wait(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
        else:
            return
        self.reported = self._tried(lambda: self._opened().finish(self._status))

    def _look(self) -> None:
        """Find the lines that were added to rows.jsonl; of two of one trial the later is sent."""
        with opened(self._rows) as file:
            file.seek(self._end)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # it is being written
                trial = str(parsed(line)["trial"])
                self.waiting.pop(trial, None)
                self.waiting[trial] = self._end
                self._end += len(line)

    def _send(self, trial: str) -> None:
        with opened(self._rows) as file:
            file.seek(self.waiting[trial])
            row = Row.read(parsed(file.readline()))
        self._opened().send(row)

    def _opened(self) -> View:
        if self._view is None:
            self._view = self._open()
        return self._view

    def _tried(self, work: Callable[[], object]) -> bool:
        """Whether it succeeded; the first failure is reported."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 (whatever MLflow raises must not reach the study)
            if not self._warned:
                self._warned = True
                self.say(f"MLflow does not take what it is sent ({reason(error)}); the study goes on, rows are on disk")
            return False
        return True


class Channel:
    """Lines of JSON to the driver; what others print to stdout goes to stderr."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        self._lock = threading.Lock()
        os.dup2(2, 1)

    def write(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(message) + "\n")
            self._file.flush()


def main(out: Path, experiment: str, parent: str) -> None:
    """Send a study until the driver says that it has ended, or ends. experiment, parent: their ids in MLflow."""
    channel = Channel()

    def view() -> View:
        study = read_study(out)
        return View(address(), StudyFolder(out, study, read_settings(out)), experiment, parent)

    sender = Sender(out, view, lambda text: channel.write({"say": text}))

    def last_words() -> None:
        channel.write({"left": len(sender.waiting), "reported": sender.reported})
        os._exit(0)

    def obey() -> None:
        line = sys.stdin.readline()
        if not line:
            os._exit(1)  # the driver has ended
        order = json.loads(line)
        sender.finish(order["status"])
        threading.Timer(order["within_seconds"], last_words).start()

    threading.Thread(target=obey, daemon=True).start()
    sender.work()
    last_words()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
