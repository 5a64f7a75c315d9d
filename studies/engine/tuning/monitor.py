"""What must outlive a worker: an actor on the driver's machine that keeps checkpoints and watches running trials.

Workers hand their state to it, so that no node needs to see the study folder; a trial whose worker or node dies goes
on elsewhere from the last state that arrived. When the driver is killed the actor dies with it and the files stay.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from studies.engine.durable import read_signed, write_json, write_signed
from studies.engine.journal import checkpoint_path


@dataclass(frozen=True)
class Worker:
    """A process that runs trials; started: seconds since 1970, which tells it from a later one with its pid."""

    node: str
    host: str
    pid: int
    started: float


@dataclass(frozen=True)
class Ticket:
    """An attempt at a trial: what a worker shows with each of its words."""

    trial: str
    number: int
    worker: Worker


@dataclass
class Attempt:
    """A trial that runs, since when, and its last heartbeat (seconds since 1970)."""

    ticket: Ticket
    began: float
    heard: float
    progress: str = "starting"
    paused: bool = False


@dataclass(frozen=True)
class Start:
    """What a worker is told that begins a trial.

    state: what an earlier attempt saved; unreadable: why a saved state could not be used, or ""; stopping: whether the
    study is being stopped, so that the trial is not to be begun.
    """

    ticket: Ticket
    state: bytes | None
    unreadable: str = ""
    stopping: bool = False


@dataclass(frozen=True)
class Look:
    """How many trials are at work, not counting those that wait to be ended; and what the disk refused, or ""."""

    working: int
    trouble: str


class TrialMonitor:
    """Keeps checkpoints in OUT/checkpoints, hears heartbeats, and ends workers that fall silent."""

    def __init__(self, out: str, silence_seconds: float) -> None:
        self.out, self.silence_seconds = Path(out), silence_seconds
        self.running: dict[str, Attempt] = {}
        self.attempts: dict[str, int] = {}
        self.silent: dict[str, str] = {}
        self.stopping = False
        self.trouble = ""

    def begin(self, trial: str, worker: Worker) -> Start:
        """A worker takes a trial; whoever had it before is no longer listened to."""
        number = self.attempts[trial] = self.attempts.get(trial, 0) + 1
        now, ticket = time.time(), Ticket(trial, number, worker)
        self.running[trial] = Attempt(ticket, now, now)
        return Start(ticket, *read_checkpoint(self.out, trial), self.stopping)

    def _attempt(self, ticket: Ticket) -> Attempt | None:
        """The attempt that a ticket is of; None when another has taken its place."""
        if ticket.trial not in self.attempts:
            # This monitor was started again: it learns from its workers what it knew.
            self.attempts[ticket.trial] = ticket.number
            self.running[ticket.trial] = Attempt(ticket, time.time(), time.time())
        attempt = self.running.get(ticket.trial)
        return attempt if attempt is not None and attempt.ticket == ticket else None

    def heartbeat(self, tickets: Sequence[Ticket], progress: str) -> bool:
        """Record a heartbeat; returns True if the worker should save its trials and stop."""
        attempts = [self._attempt(ticket) for ticket in tickets]
        for attempt in attempts:
            if attempt is not None:
                attempt.heard, attempt.progress = time.time(), progress
        return self.stopping or None in attempts

    def save(self, ticket: Ticket, state: bytes) -> None:
        """Keep a trial's state, in one step and on disk."""
        if (attempt := self._attempt(ticket)) is not None:
            attempt.heard = time.time()
            try:
                write_signed(checkpoint_path(self.out, ticket.trial), state)
            except OSError as error:
                self.trouble = error.strerror or str(error)

    def pause(self, tickets: Sequence[Ticket]) -> None:
        """Trials have been saved and wait to be ended."""
        for attempt in map(self._attempt, tickets):
            if attempt is not None:
                attempt.paused = True

    def end(self, tickets: Sequence[Ticket]) -> None:
        """Trials have their outcomes."""
        for ticket in tickets:
            if self._attempt(ticket) is not None:
                del self.running[ticket.trial]

    def look(self, stopping: bool) -> Look:
        """End the workers of trials that are silent, and write down for other shells who runs what.

        stopping: every trial is told, at its next heartbeat, to save its state and wait.
        """
        self.stopping, now = stopping, time.time()
        for trial, attempt in list(self.running.items()):
            if not attempt.paused and now - attempt.heard > self.silence_seconds:
                self.silent[trial] = f"no heartbeat for {now - attempt.heard:.0f} s while {attempt.progress}"
                del self.running[trial]
                end_worker(attempt.ticket.worker)
        running = [record_of(attempt) for attempt in self.running.values()]
        try:
            write_json(self.out / "running.json", {"at": now, "running": running})
        except OSError as error:
            self.trouble = error.strerror or str(error)
        working = sum(not attempt.paused for attempt in self.running.values())
        if stopping and not working:
            for attempt in self.running.values():  # Tune would wait ten seconds for each to end by itself
                end_worker(attempt.ticket.worker)
        return Look(working, self.trouble)

    def lost(self, trial: str) -> str:
        """A trial's worker has died: why, as far as the monitor has a hand in it, else ""."""
        self.running.pop(trial, None)
        return self.silent.pop(trial, "")


def record_of(attempt: Attempt) -> dict[str, Any]:
    """An attempt as a line of running.json."""
    worker = attempt.ticket.worker
    return {
        "trial": attempt.ticket.trial,
        "attempt": attempt.ticket.number,
        "host": worker.host,
        "pid": worker.pid,
        "began": attempt.began,
        "heard": attempt.heard,
        "progress": "paused" if attempt.paused else attempt.progress,
    }


def read_checkpoint(out: Path, trial: str) -> tuple[bytes | None, str]:
    """A trial's saved state; None and why when there is none or it was damaged."""
    state, reason = read_signed(checkpoint_path(out, trial))
    return state, f"its checkpoint {reason}" if reason else ""


def end_worker(worker: Worker) -> None:
    """SIGKILL a worker on its node: a process that hangs or is stopped hears nothing else."""
    place = NodeAffinitySchedulingStrategy(worker.node, soft=False)
    kill: Any = ray.remote(kill_process)
    kill.options(num_cpus=0, scheduling_strategy=place, max_retries=0).remote(worker)


def kill_process(worker: Worker) -> None:
    """On the node of the process; nothing when it has ended already."""

    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(worker.pid)
        if process.create_time() == worker.started:
            process.kill()


def this_worker() -> Worker:
    """The process that calls."""
    import platform

    import psutil

    process = psutil.Process()
    return Worker(ray.get_runtime_context().get_node_id(), platform.node(), process.pid, process.create_time())


def start_monitor(out: Path, silence_seconds: float) -> Any:
    """The monitor of a study, on this machine's node; OUT must exist."""
    (out / "running.json").unlink(missing_ok=True)  # an earlier driver's
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(TrialMonitor)
    return actor.options(num_cpus=0, scheduling_strategy=here, max_restarts=-1, max_task_retries=-1).remote(
        str(out), silence_seconds
    )
