"""How every command of ours ends: an exit status and, where something went wrong, one line."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mim4dd.durable import STORAGE_ERRORS
from mim4dd.errors import InputError, StorageError


class Signalled(KeyboardInterrupt):
    """SIGINT or SIGTERM has arrived.

    A class of its own for SIGINT too: where a plain KeyboardInterrupt leaves code that exec() was given as text (as in
    dataclasses, so in imports), Python ends by the signal at exit, whatever status was returned.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.number = number


def exit_status(work: Callable[[], int], *, interrupted: str = "interrupted") -> int:
    """Run a command; returns its exit status (docs/reliability.md), after one line on stderr where it failed.

    What stdout and stderr cannot encode is printed as its escape. A reader that closes the pipe, as `head` does, ends
    the command without a word, with the status of SIGPIPE.
    interrupted: the line after Ctrl-C or SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _interruptible():
            status = _status(work, interrupted)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except OSError as error:
        if not _discarded():
            raise
        if isinstance(error, BrokenPipeError):
            return 128 + signal.SIGPIPE
        return _failed(f"standard output cannot be written ({error.strerror})", 1)


def _status(work: Callable[[], int], interrupted: str) -> int:
    try:
        return work()
    except InputError as error:
        return _failed(str(error), 2)
    except (StorageError, FloatingPointError) as error:
        return _failed(str(error), 1)
    except MemoryError as error:
        return _failed(f"out of memory ({error}); ask for fewer or smaller images, networks or batches", 1)
    except KeyboardInterrupt as error:
        return _interrupted(interrupted, error.number if isinstance(error, Signalled) else signal.SIGINT)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise
        # Ray's handler of SIGTERM replaces ours and exits with the signal's number; argparse exits after --help.
        return _interrupted(interrupted, signal.SIGTERM) if ended.code == signal.SIGTERM else ended.code or 0
    except OSError as error:
        if error.filename is None:
            raise
        status = 1 if error.errno in STORAGE_ERRORS else 2
        return _failed(f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}", status)


def _failed(message: str, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def _interrupted(message: str, number: signal.Signals) -> int:
    print(message, file=sys.stderr)
    return 128 + number


@contextmanager
def _interruptible() -> Iterator[None]:
    """A context in which Ctrl-C and SIGTERM raise Signalled, so that nothing is left half-made."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, signal._HANDLER] = {signal.SIGTERM: signal.signal(signal.SIGTERM, signalled)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background job ignores it
        before[signal.SIGINT] = signal.signal(signal.SIGINT, signalled)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def signalled(number: int, frame: FrameType | None) -> None:
    """A handler that raises Signalled."""
    raise Signalled(signal.Signals(number))


def _discarded() -> bool:
    """Whether stdout or stderr cannot be written; it is then closed, or Python would write its rest again at exit."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None where the shell has closed it
        try:
            print(file=stream, flush=True)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return True
    return False
