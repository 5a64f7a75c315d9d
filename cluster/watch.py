"""Watches Ray while a study runs on it: without its raylet or its head, Ray would end this process without a word."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import psutil

# Between two checks. Ray ends a driver about 10 s after its raylet, and 60 s after the last word of its head.
CHECK_SECONDS = 1.0
# How long the head may be silent: a local one never comes back, another may be restarted with what it had stored.
LOCAL_SECONDS, REMOTE_SECONDS = 2.0, 40.0


class ClusterLost(RuntimeError):
    """Ray can be used no longer; the message says why."""


class Watch:
    """A context in which a loss of Ray is noticed, whatever the main thread waits for."""

    def __init__(
        self, raylet: psutil.Process | None, head: str, patience: float, lost: Callable[[str], NoReturn]
    ) -> None:
        """raylet: of this machine, None where it cannot be seen; head: HOST:PORT of the GCS, which may be silent for
        `patience` seconds; lost: called with the reason in a thread of its own.
        """
        self.raylet, self.head, self.patience, self.lost = raylet, head, patience, lost
        self._left, self._silent_since = threading.Event(), 0.0

    def __enter__(self) -> Watch:
        threading.Thread(target=self._run, name="ray-watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()

    def _run(self) -> None:
        while not self._left.wait(CHECK_SECONDS):
            if self.raylet is not None and not _runs(self.raylet):
                self.lost(f"Ray was lost: its raylet on this machine (process {self.raylet.pid}) has ended")
            if self._head_is_lost():
                self.lost(f"Ray was lost: its head (GCS) at {self.head} does not answer")

    def _head_is_lost(self) -> bool:
        if _listens(self.head):
            self._silent_since = 0.0
            return False
        self._silent_since = self._silent_since or time.monotonic()
        return time.monotonic() - self._silent_since >= self.patience


def watch(lost: Callable[[str], NoReturn]) -> Watch:
    """A watch of the cluster that this process has joined. lost: called with the reason in a thread of its own."""
    from ray._private.worker import global_worker

    node = global_worker.node
    patience = LOCAL_SECONDS if node.head else REMOTE_SECONDS
    return Watch(_raylet_with(node.raylet_socket_name), node.gcs_address, patience, lost)


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
