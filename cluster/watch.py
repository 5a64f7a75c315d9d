"""Watches Ray while a study runs on it: without its raylet or its head, Ray would end this process without a word."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

# Between two checks. Ray ends a driver about 10 s after its raylet, and 60 s after the last word of its head.
CHECK_SECONDS = 1.0
# How long the head may be silent: a local one never comes back, another may be restarted with what it had stored.
LOCAL_SECONDS, REMOTE_SECONDS = 2.0, 40.0
# How long the main thread may take to leave after the loss of a raylet, and of a head: later, Ray ends the process.
RAYLET_SECONDS, HEAD_SECONDS = 6.0, 50.0
# Between two interrupts of a main thread that does not react.
AGAIN_SECONDS = 5.0


class ClusterLost(RuntimeError):
    """Ray can be used no longer; the message says why."""


class Watch:
    """A context in which a loss of Ray raises KeyboardInterrupt in the main thread, which nothing of Ray's holds up.

    lost: why Ray can be used no longer, "" while it can.
    """

    def __init__(
        self, raylet: psutil.Process | None, head: str, patience: float, before: Callable[[], None], status: int
    ) -> None:
        """raylet: of this machine, None where it cannot be seen; head: HOST:PORT of the GCS, which may be silent for
        `patience` seconds; before: called before the main thread is interrupted; status: of the exit if it does not
        react.
        """
        self.raylet, self.head, self.patience = raylet, head, patience
        self.before, self.status, self.lost = before, status, ""
        self._left, self._silent_since = threading.Event(), 0.0

    def __enter__(self) -> Watch:
        threading.Thread(target=self._run, name="ray-watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()

    def _run(self) -> None:
        while not self._left.wait(CHECK_SECONDS):
            if self.raylet is not None and not _runs(self.raylet):
                reason = f"its raylet on this machine (process {self.raylet.pid}) has ended"
                return self._interrupt(f"Ray was lost: {reason}", RAYLET_SECONDS)
            if self._head_is_lost():
                reason = f"its head (GCS) at {self.head} does not answer"
                return self._interrupt(f"Ray was lost: {reason}", HEAD_SECONDS - self.patience)

    def _head_is_lost(self) -> bool:
        if _listens(self.head):
            self._silent_since = 0.0
            return False
        self._silent_since = self._silent_since or time.monotonic()
        return time.monotonic() - self._silent_since >= self.patience

    def _interrupt(self, reason: str, seconds: float) -> None:
        """Interrupt the main thread until it leaves the context; end the process if it has not in so many seconds."""
        self.lost = reason
        self.before()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            # A real signal: it also ends what waits in the system. Ray's own waits look for it every second.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            if self._left.wait(min(left, AGAIN_SECONDS)):
                return
        print(f"error: {reason}; run the same command again to continue", file=sys.stderr, flush=True)
        os._exit(self.status)


def watch(before: Callable[[], None], status: int) -> Watch:
    """A watch of the cluster that this process has joined; the arguments as for `Watch`."""
    from ray._private.worker import global_worker

    node = global_worker.node
    patience = LOCAL_SECONDS if node.head else REMOTE_SECONDS
    return Watch(_raylet_with(node.raylet_socket_name), node.gcs_address, patience, before, status)


def _raylet_with(word: str) -> psutil.Process | None:
    """The raylet with a word in its command line; None where this user may not see it."""
    import psutil

    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "raylet" and any(word in text for text in process.info["cmdline"] or ()):
            return process
    return None


def _runs(process: psutil.Process) -> bool:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()
    except OSError:
        return False
    return True
