"""A small real study as a child process, what can be done to it, and what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parents[2]
SCRIPT = HOUSE / "studies" / "sensitivity.py"
FAULTY = Path(__file__).with_name("faulty_study.py")


def study(iterations: int, epochs: int) -> list[str]:
    """The words of a study of 13 trials."""
    knobs = (f"iterations={iterations}", "batch_real=16", "width=16", f"evaluation.epochs={epochs}")
    assigned = [word for knob in (*knobs, "evaluation.networks=3") for word in ("--set", knob)]
    return ["--settings", "1", "--seeds", "0-1", "--protocol", "quick", "--checkpoint-seconds", "0.3", *assigned]


# Trials of two to three seconds: long enough to be met in their middle.
SMALL = study(200, 60)
# As short as they can be.
SHORT = study(40, 15)
PLANNED = 13
Rows = dict[str, dict[str, Any]]


@dataclass
class Run:
    """A study in a folder of its own: `start` or `finish` it, as often as need be, with the same words."""

    folder: Path
    words: list[str] = field(default_factory=lambda: [*SMALL, "--out", "out", "--offline"])
    script: Path = SCRIPT
    env: dict[str, str] = field(default_factory=dict)
    prefix: list[str] = field(default_factory=list)
    driver: subprocess.Popen[bytes] | None = None

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> subprocess.Popen[bytes]:
        """The driver, as a child of its own session that writes to `log`."""
        with open(self.folder / "log", "ab") as log:
            self.driver = subprocess.Popen(
                [*self.prefix, sys.executable, str(self.script), *self.words],
                cwd=self.folder,
                env={**os.environ, **self.env},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.driver

    def finish(self, seconds: float = 600) -> int:
        """Start it if need be, and wait for its end; the exit status."""
        driver = self.driver if self.driver is not None and self.driver.poll() is None else self.start()
        return driver.wait(seconds)

    def end(self) -> None:
        """End what is left of it."""
        if self.driver is not None and self.driver.poll() is None:
            self.driver.kill()
            self.driver.wait()

    def lines(self) -> int:
        """Finished trials, as the disk has them."""
        path = self.out / "rows.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def running(self) -> list[dict[str, Any]]:
        """The trials that run, as other shells see them."""
        found: list[dict[str, Any]] = self.running_record()["running"]
        return found

    def running_record(self) -> dict[str, Any]:
        """running.json; nothing runs before there is one."""
        path = self.out / "running.json"
        return json.loads(path.read_text()) if path.exists() else {"at": 0.0, "running": []}

    def until(self, holds: Callable[[], Any], seconds: float = 300) -> Any:
        """Wait until something holds, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := holds()):
            assert self.driver is not None
            assert self.driver.poll() is None, f"the driver ended too early:\n{self.log[-3000:]}"
            assert time.monotonic() < deadline, f"waited {seconds} s:\n{self.log[-3000:]}"
            time.sleep(0.05)
        return found

    def busy_worker(self) -> dict[str, Any]:
        """A trial in its middle, with a state that was saved."""

        def saved() -> dict[str, Any] | None:
            there = {path.stem for path in (self.out / "checkpoints").glob("*.pt")}
            return next((one for one in self.running() if one["trial"] in there), None)

        found: dict[str, Any] = self.until(lambda: self.lines() >= 2 and saved())
        return found

    def stopped_workers(self, least: int = 1) -> list[dict[str, Any]]:
        """The running trials, their workers stopped (SIGSTOP) in the middle of each; a SIGCONT lets them work again.

        The first has a state that was saved. least: of workers.

        running.json is written every two seconds, and trials are hardly longer: a worker that is met by it may have
        ended its trial. So they are stopped first, and looked at when the file is younger than that.
        """
        while True:
            saved = self.busy_worker()["trial"]
            found = sorted(self.running(), key=lambda one: one["trial"] != saved)
            signalled(found, signal.SIGSTOP)
            stopped = time.time()
            try:
                self.until(lambda: self.running_record()["at"] > stopped + 0.5)  # noqa: B023 - it is called here and now
                ended = {row["trial"] for row in raw_rows(self.out)} & {one["trial"] for one in found}
                if len(found) >= least and attempts(self.running()) == attempts(found) and not ended:
                    return found
            except BaseException:
                signalled(found, signal.SIGCONT)
                raise
            signalled(found, signal.SIGCONT)


def attempts(workers: list[dict[str, Any]]) -> set[tuple[str, int]]:
    """Which process runs which trial."""
    return {(worker["trial"], worker["pid"]) for worker in workers}


def signalled(workers: list[dict[str, Any]], number: int) -> None:
    """Send a signal to each worker that there is."""
    for worker in workers:
        with suppress(ProcessLookupError):
            os.kill(worker["pid"], number)


def raw_rows(out: Path) -> list[dict[str, Any]]:
    """Every line of rows.jsonl."""
    return [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]


def rows(out: Path) -> Rows:
    """The rows by trial, without what differs between runs; a trial that has two rows fails."""
    found = raw_rows(out)
    twice = [trial for trial, count in Counter(row["trial"] for row in found).items() if count > 1]
    assert not twice, f"{twice} were run twice"
    return {row["trial"]: {key: value for key, value in row.items() if key != "measured"} for row in found}


def retries(out: Path) -> int:
    """How often a worker was lost under a trial."""
    return sum(row["measured"]["retries"] for row in raw_rows(out))


@contextmanager
def run_of(folder: Path, *more: str, **fields: Any) -> Iterator[Run]:
    """A run whose processes end with the block."""
    run = Run(folder, **fields)
    run.words += more
    try:
        yield run
    finally:
        run.end()


def interrupt(run: Run, number: int = signal.SIGKILL) -> None:
    """Signal the driver alone, as a scheduler or `kill` would, and wait for its end."""
    assert run.driver is not None
    os.kill(run.driver.pid, number)
    run.driver.wait(100)
