"""A worker's side of the monitor: heartbeats and checkpoints of the trials that it runs."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Sequence
from typing import Any

import ray

from studies.engine.running import Saved, TrialRun
from studies.engine.trial import Trial
from studies.engine.tuning.context import ExecutionContext
from studies.engine.tuning.monitor import Worker

# The monitor hears so often of each trial: a thousand workers are two hundred messages a second.
HEARTBEAT_SECONDS = 5.0


class WorkerSession:
    """The trials of one unit on one worker; it is the pause that their runs call after every iteration and epoch."""

    def __init__(self, trials: Sequence[Trial], context: ExecutionContext, worker: Worker) -> None:
        self.monitor, self.checkpoint_seconds, self.worker = context.monitor, context.checkpoint_seconds, worker
        begun = [self.monitor.begin.remote(trial.hash, worker) for trial in trials]
        self.starts = {start.ticket.trial: start for start in ray.get(begun)}
        self.tickets = [start.ticket for start in self.starts.values()]
        self.runs: dict[str, TrialRun] = {}
        self.last_heartbeat = self.last_checkpoint = time.monotonic()
        self.reply: Any = None
        if any(start.stopping for start in self.starts.values()):
            self._wait_to_be_ended()

    @property
    def interval(self) -> float:
        """Seconds between two heartbeats."""
        return min(HEARTBEAT_SECONDS, self.checkpoint_seconds)

    def saved(self, trial: Trial) -> Saved:
        """What an earlier attempt has saved of a trial."""
        import torch

        start = self.starts[trial.hash]
        if start.state is None:
            return Saved(None, start.unreadable)
        try:
            return Saved(torch.load(io.BytesIO(start.state), weights_only=True))
        except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            return Saved(None, f"its checkpoint could not be read ({type(error).__name__})")

    def __call__(self, run: TrialRun) -> None:
        """Send a heartbeat and save the runs' states, each when it is due; when told to stop, wait to be ended."""
        now = time.monotonic()
        if now - self.last_heartbeat < self.interval:
            return
        self.last_heartbeat, self.runs[run.trial.hash] = now, run
        # The reply to the last heartbeat: a trial does not wait for this one's.
        if self.reply is not None and ray.wait([self.reply], timeout=0)[0] and ray.get(self.reply):
            self._save()
            self._wait_to_be_ended()
        if now - self.last_checkpoint >= self.checkpoint_seconds:
            self.last_checkpoint = now
            self._save()
        self.reply = self.monitor.heartbeat.remote(self.tickets, run.progress)

    def wait_for(self, reference: Any, progress: str) -> None:
        """Wait until another process has made something, with heartbeats; when told to stop, wait to be ended."""
        while not ray.wait([reference], timeout=self.interval)[0]:
            if ray.get(self.monitor.heartbeat.remote(self.tickets, progress)):
                self._wait_to_be_ended()

    def _save(self) -> None:
        for ticket in self.tickets:
            if ticket.trial in self.runs:
                self.monitor.save.remote(ticket, packed(self.runs[ticket.trial]))

    def _wait_to_be_ended(self) -> None:
        ray.get(self.monitor.pause.remote(self.tickets))
        while True:
            time.sleep(60)

    def end(self) -> None:
        """Say that the trials have their outcomes."""
        self.monitor.end.remote(self.tickets)


def packed(run: TrialRun) -> bytes:
    """A run's state as torch writes it."""
    import torch

    buffer = io.BytesIO()
    torch.save(run.state_dict(), buffer)
    return buffer.getvalue()
