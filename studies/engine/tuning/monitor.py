"""The monitor: an actor on the driver's machine that stores checkpoints and watches the heartbeats of running trials.

Workers send their state to it, so that only this machine needs access to the study folder; a trial whose worker or node
dies continues elsewhere from the last state that arrived. The actor dies with the driver; the files stay.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mim4dd.durable import read_signed, write_json, write_signed
from studies.engine.journal import checkpoint_path, described, require_same


@dataclass(frozen=True)
class Worker:
    """A process that runs trials; started: seconds since 1970, which distinguishes it from later ones with its pid."""

    node: str
    host: str
    pid: int
    started: float


@dataclass(frozen=True)
class Ticket:
    """The identity of an attempt at a trial, which a worker sends with each of its messages."""

    trial: str
    number: int
    worker: Worker


@dataclass
class Attempt:
    """A running attempt, its start and its last heartbeat (both in seconds since 1970)."""

    ticket: Ticket
    began: float
    last_heartbeat: float
    progress: str = "starting"
    paused: bool = False


@dataclass(frozen=True)
class Start:
    """The monitor's reply to a worker that begins a trial.

    state: what an earlier attempt saved; unreadable: why a saved state could not be read, or ""; stopping: whether the
    study is being stopped, so that the trial must not start.
    """

    ticket: Ticket
    state: bytes | None
    unreadable: str = ""
    stopping: bool = False


@dataclass(frozen=True)
class MonitorReport:
    """The number of trials at work, without those that are paused; storage_error: why writing failed, or ""."""

    working: int
    storage_error: str


class TrialMonitor:
    """Writes checkpoints to OUT/checkpoints, records heartbeats, and kills workers without one for too long."""

    def __init__(self, out: str, opened: os.stat_result, silence_seconds: float) -> None:
        """opened: the `stat` of OUT when the study began."""
        self.out, self.opened, self.silence_seconds = Path(out), opened, silence_seconds
        self.running: dict[str, Attempt] = {}
        self.attempts: dict[str, int] = {}
        self.kill_reasons: dict[str, str] = {}  # by trial
        self.stopping = False
        self.storage_error = ""

    def begin(self, trial: str, worker: Worker) -> Start:
        """Register an attempt at a trial; earlier attempts are ignored, and told to stop at their next heartbeat."""
        number = self.attempts[trial] = self.attempts.get(trial, 0) + 1
        now, ticket = time.time(), Ticket(trial, number, worker)
        self.running[trial] = Attempt(ticket, now, now)
        return Start(ticket, *read_checkpoint(self.out, trial), self.stopping)

    def _current_attempt(self, ticket: Ticket) -> Attempt | None:
        """The attempt of a ticket; None when a later attempt has replaced it."""
        if ticket.trial not in self.attempts:
            # After a restart of this monitor, tickets restore its knowledge of running attempts.
            self.attempts[ticket.trial] = ticket.number
            self.running[ticket.trial] = Attempt(ticket, time.time(), time.time())
        attempt = self.running.get(ticket.trial)
        return attempt if attempt is not None and attempt.ticket == ticket else None

    def heartbeat(self, tickets: Sequence[Ticket], progress: str) -> bool:
        """Record a heartbeat; returns True if the worker should save its trials and stop."""
        attempts = [self._current_attempt(ticket) for ticket in tickets]
        for attempt in attempts:
            if attempt is not None:
                attempt.last_heartbeat, attempt.progress = time.time(), progress
        return self.stopping or None in attempts

    def save(self, ticket: Ticket, state: bytes) -> None:
        """Write a trial's state to disk, atomically."""
        if (attempt := self._current_attempt(ticket)) is not None:
            attempt.last_heartbeat = time.time()
            self._write(lambda: write_signed(checkpoint_path(self.out, ticket.trial), state))

    def _write(self, write: Callable[[], None]) -> None:
        """Write a file of OUT; an error is reported by the next `check`."""
        try:
            require_same(self.out, self.opened)
            write()
        except OSError as error:
            self.storage_error = described(error, self.out)

    def pause(self, tickets: Sequence[Ticket]) -> None:
        """Record that trials have been saved and wait for their worker to be killed."""
        for attempt in map(self._current_attempt, tickets):
            if attempt is not None:
                attempt.paused = True

    def end(self, tickets: Sequence[Ticket]) -> None:
        """Record that trials have their outcomes."""
        for ticket in tickets:
            if self._current_attempt(ticket) is not None:
                del self.running[ticket.trial]

    def check(self, stopping: bool) -> MonitorReport:
        """Kill the workers of trials without a heartbeat, and write running.json, which `status` reads.

        stopping: whether to tell every trial, at its next heartbeat, to save its state and wait.
        """
        self.stopping, now = stopping, time.time()
        for trial, attempt in list(self.running.items()):
            silence = now - attempt.last_heartbeat
            if not attempt.paused and silence > self.silence_seconds:
                self.kill_reasons[trial] = f"no heartbeat for {silence:.0f} s while {attempt.progress}"
                del self.running[trial]
                kill_worker(attempt.ticket.worker)
        running = [record_of(attempt) for attempt in self.running.values()]
        self._write(lambda: write_json(self.out / "running.json", {"at": now, "running": running}))
        working = sum(not attempt.paused for attempt in self.running.values())
        if stopping and not working:
            for attempt in self.running.values():  # Tune would wait ten seconds for each to end by itself
                kill_worker(attempt.ticket.worker)
        return MonitorReport(working, self.storage_error)

    def forget(self, trial: str) -> str:
        """Remove a trial whose worker has died; returns the reason if the monitor killed it, else ""."""
        self.running.pop(trial, None)
        return self.kill_reasons.pop(trial, "")


def record_of(attempt: Attempt) -> dict[str, Any]:
    """The record of an attempt in running.json."""
    worker = attempt.ticket.worker
    return {
        "trial": attempt.ticket.trial,
        "attempt": attempt.ticket.number,
        "host": worker.host,
        "pid": worker.pid,
        "began": attempt.began,
        "heard": attempt.last_heartbeat,
        "progress": "paused" if attempt.paused else attempt.progress,
    }


def read_checkpoint(out: Path, trial: str) -> tuple[bytes | None, str]:
    """A trial's saved state, and ""; else None, and why ("" when there is no checkpoint)."""
    state, reason = read_signed(checkpoint_path(out, trial))
    return state, f"its checkpoint {reason}" if reason else ""


def kill_worker(worker: Worker) -> None:
    """Send SIGKILL to a worker from a task on its node: a process that hangs or is stopped reacts to nothing else."""
    on_its_node = NodeAffinitySchedulingStrategy(worker.node, soft=False)
    kill: Any = ray.remote(kill_process)
    kill.options(num_cpus=0, scheduling_strategy=on_its_node, max_retries=0).remote(worker)


def kill_process(worker: Worker) -> None:
    """Kill a process of this node; does nothing when it has ended already."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(worker.pid)
        if process.create_time() == worker.started:
            process.kill()


def this_worker() -> Worker:
    """The calling process as a worker."""
    import platform

    import psutil

    process = psutil.Process()
    return Worker(ray.get_runtime_context().get_node_id(), platform.node(), process.pid, process.create_time())


def start_monitor(out: Path, silence_seconds: float) -> Any:
    """Start the monitor of a study on this machine's node; OUT must exist."""
    (out / "running.json").unlink(missing_ok=True)  # an earlier driver's
    this_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(TrialMonitor)
    options = actor.options(num_cpus=0, scheduling_strategy=this_node, max_restarts=-1, max_task_retries=-1)
    return options.remote(str(out), os.stat(out), silence_seconds)
