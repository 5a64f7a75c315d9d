"""How commands end: exit statuses, what a stream cannot encode, closed pipes, full disks, signals, memory."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mim4dd.errors import DataError, InputError, StorageError
from mim4dd_cli.command import exit_status


def raising(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


ENDS = {
    "input": (InputError("x must be 1"), 2, "error: x must be 1\n"),
    "data": (DataError("no data"), 2, "error: no data\n"),
    "storage": (StorageError("cannot write x"), 1, "error: cannot write x\n"),
    "divergence": (FloatingPointError("it diverged"), 1, "error: it diverged\n"),
    "memory": (MemoryError("9 GiB"), 1, "error: out of memory (9 GiB); ask for fewer or smaller images, networks or "),
    "denied": (PermissionError(errno.EACCES, "Permission denied", "a/b"), 2, "error: a/b cannot be used: Permission"),
    "disk full": (OSError(errno.ENOSPC, "No space left on device", "a/b"), 1, "error: a/b cannot be used: No space"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "interrupted\n"),
    "help": (SystemExit(0), 0, ""),
    "Ray after SIGTERM": (SystemExit(signal.SIGTERM), 143, "interrupted\n"),
}


@pytest.mark.parametrize("case", ENDS)
def test_each_kind_of_error_is_one_line_with_its_status(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    error, status, line = ENDS[case]
    assert exit_status(raising(error)) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(line)
    assert told.err.count("\n") == bool(line)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(errno.EPIPE, "a socket"), KeyError("a bug")])
def test_what_no_input_explains_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        exit_status(raising(error))
    assert caught.value is error


def test_sigterm_is_one_line_and_restores_the_handler(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal came too late")

    before = signal.getsignal(signal.SIGTERM)
    assert exit_status(work, interrupted="stopped; go on with the same command") == 143
    assert capsys.readouterr().err == "stopped; go on with the same command\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_stream_cannot_encode_is_printed_as_its_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert exit_status(lambda: print("café, τ = 0.1, \udcff") or 0) == 0
    assert written.getvalue() == rb"caf\xe9, \u03c4 = 0.1, \udcff" + b"\n"


# Modules that are commands, and arguments with which each prints at least a line.
COMMANDS = {
    "mim4dd_cli": ["list", "perturbations"],
    "studies.sensitivity": ["--help"],
    "studies.answers": ["--help"],
    "studies.engine.status": ["--help"],
    "studies.engine.tracking": ["--help"],
    "cluster.preflight": ["--help"],
}
QUICK = ("mim4dd_cli", "studies.engine.status")


def piped(command: list[str]) -> tuple[int, bytes]:
    """The exit status and stderr of a command whose reader has closed the pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=100)
    finally:
        os.close(writer)
    return ran.returncode, ran.stderr


@pytest.mark.parametrize(
    "module",
    [pytest.param(module, marks=() if module in QUICK else pytest.mark.slow) for module in COMMANDS],
)
def test_commands_survive_ascii_closed_pipes_and_wrong_words(module: str) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", module]
    printed = subprocess.run([*command, *COMMANDS[module]], capture_output=True, env=environment, timeout=100)
    assert (printed.returncode, printed.stderr) == (0, b"")
    assert printed.stdout.isascii()
    # argparse itself drops a text of --help that it cannot write.
    status, complained = piped([*command, *COMMANDS[module]])
    assert status in {128 + signal.SIGPIPE} | ({0} if "--help" in COMMANDS[module] else set())
    assert complained == b""
    wrong = subprocess.run([*command, "--wrong", "é"], capture_output=True, env=environment, timeout=100)
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert wrong.stderr.startswith(b"error: ")
    assert wrong.stderr.count(b"\n") == 1


@pytest.mark.slow
def test_a_dry_run_whose_reader_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "studies.sensitivity", "--quick", "--dry-run"]
    assert piped(command) == (128 + signal.SIGPIPE, b"")


def test_output_on_a_full_disk_is_one_line_and_status_1() -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "mim4dd_cli", "list", "perturbations"]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=100)
    assert ran.returncode == 1
    assert ran.stderr == b"error: standard output cannot be written (No space left on device)\n"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_distilling_is_one_line(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """The run would take hours; its first line comes once it distils."""
    out, long = tmp_path / "out", ["--set", "iterations=1000000"]
    words = ["distill", "--quick", *long, "--perturb", "exponential:factor=99", "--out", str(out)]
    command = [sys.executable, "-u", "-m", "mim4dd_cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith(b"exponential")
        assert run.stdout.readline().startswith(b"tail repeat")
        run.send_signal(number)
        _, complained = run.communicate(timeout=60)
    assert (run.returncode, complained) == (status, b"interrupted\n")
    assert not out.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_text_is_executed_is_one_line(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """As an import of a module of dataclasses does; Python would end such a process by SIGINT itself."""
    (tmp_path / "work.py").write_text(f"""
import os, sys
from mim4dd_cli.command import exit_status
sys.exit(exit_status(lambda: exec("os.kill(os.getpid(), {int(number)})")))
""")
    ran = subprocess.run([sys.executable, "-m", "work"], capture_output=True, cwd=tmp_path, timeout=100)
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, b"", b"interrupted\n")


def test_memory_that_torch_or_numpy_refuses_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from mim4dd_cli.device import allocating

    def torch_on_cpu() -> None:
        torch.empty(10**14)

    def torch_beyond_any() -> None:
        torch.empty(10**12, 10**12)

    def on_gpu() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB")

    def numpy() -> None:
        np.empty(10**14)

    for asked in (torch_on_cpu, torch_beyond_any, on_gpu, numpy):

        def work(asked: Callable[[], None] = asked) -> int:
            with allocating():
                asked()
            return 0

        assert exit_status(work) == 1
        told = capsys.readouterr().err
        assert told.startswith("error: out of memory (")
        assert told.count("\n") == 1
    with pytest.raises(RuntimeError, match="shape"), allocating():
        torch.ones(2).reshape(3)
