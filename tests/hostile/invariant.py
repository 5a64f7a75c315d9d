"""What every command must hold, whatever it is given: a known exit status, few lines, no traceback, in time.

A command is called in this process, where a thousand of them take minutes, or as a process of its own.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
SECONDS, LINES, BYTES = 10, 3, 2 << 30
PATIENCE = 120  # seconds until a command is ended, which on a busy machine waits more than it computes
# Of the environment, read by our commands.
VARIABLES = ("RAY_ADDRESS", "MLFLOW_TRACKING_URI", "MIM4DD_DATA")
Command = Callable[[list[str]], int]


def statuses() -> frozenset[int]:
    """The exit statuses that docs/reliability.md lists for commands and for `status`."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    section = text.partition("## Words and exit statuses")[2]
    listed = [cell for row in re.findall(r"^\| ([\d, ]+) \|", section, re.M) for cell in row.split(",")]
    return frozenset(map(int, listed))


class Late(BaseException):
    """A command that has used up its time; no handler of ours can take it for an error of its own."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    status: None after an uncaught exception; seconds: of the processor; peak_bytes: 0 where it was not measured.
    """

    status: int | None
    output: str
    errors: str
    seconds: float
    peak_bytes: int = 0

    @property
    def broken(self) -> str:
        """What does not hold, "" when all does."""
        if "Traceback" in self.errors or self.status is None:
            return f"a traceback: {self.errors.strip()}"
        if self.status not in statuses():
            return f"status {self.status} is not listed"
        lines = self.errors.strip().splitlines()
        if len(lines) > LINES:
            return f"{len(lines)} lines on stderr: {lines}"
        if self.status == 2 and not lines:
            return "status 2 without a reason"
        if self.seconds > SECONDS:
            return f"{self.seconds:.1f} s"
        if self.peak_bytes > BYTES:
            return f"{self.peak_bytes / 2**20:.0f} MiB"
        return ""


def called(command: Command, arguments: Sequence[str]) -> Ended:
    """Call a command's main function in this process."""
    output, errors = io.StringIO(), io.StringIO()
    began = time.process_time()
    status: int | None = None
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors), _limited(PATIENCE):
        try:
            status = command(list(arguments))
        except SystemExit as ended:  # argparse's --help
            status = ended.code if isinstance(ended.code, int) else 1
        except Late:
            errors.write(f"Traceback: still running after {PATIENCE} s\n{traceback.format_exc()}")
        except BaseException:  # noqa: BLE001 - an exception that leaves the command is what is looked for
            traceback.print_exc(file=errors)
    return Ended(status, output.getvalue(), errors.getvalue(), time.process_time() - began)


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def late(*_: object) -> None:
        raise Late

    earlier = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


def run(words: Sequence[str], folder: Path, **variables: str) -> Ended:
    """Run a Python command line (`-m module ...` or `script ...`) as a process in a folder, its memory limited.

    variables: of its environment.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    limited = ["sh", "-c", f'ulimit -d {2 * BYTES >> 10}; exec "$@"', "sh", sys.executable, *words]
    began = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(limited, cwd=folder, env=environment, stdout=output, stderr=errors)
        waited = os.wait4(process.pid, os.WNOHANG)
        while waited[0] == 0 and time.monotonic() - began < PATIENCE:
            time.sleep(0.02)
            waited = os.wait4(process.pid, os.WNOHANG)
        if waited[0] == 0:
            process.kill()
            waited = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(waited[1])
        usage: resource.struct_rusage = waited[2]
        used = usage.ru_utime + usage.ru_stime if process.returncode >= 0 else time.monotonic() - began
        return Ended(process.returncode, _text(output), _text(errors), used, usage.ru_maxrss * 1024)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="backslashreplace")
