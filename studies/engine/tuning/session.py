"""The worker's side of the monitor: sends heartbeats and checkpoints of the trials that it runs."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Sequence
from typing import Any

import ray

from studies.engine.runs import Run, Saved
from studies.engine.trial import Trial
from studies.engine.tuning.context import ExecutionContext
from studies.engine.tuning.monitor import Worker

# Between two heartbeats of a trial: with a thousand workers, two hundred messages a second.
HEARTBEAT_SECONDS = 5.0


class WorkerSession:
    """The trials of one unit on one worker; called after every iteration and epoch, as their step callback.

    `beat` is called within them too, where a state could not be saved.
    """

    def __init__(self, trials: Sequence[Trial], context: ExecutionContext, worker: Worker) -> None:
        self.monitor, self.checkpoint_seconds, self.worker = context.monitor, context.checkpoint_seconds, worker
        replies = [self.monitor.begin.remote(trial.hash, worker) for trial in trials]
        self.starts = {start.ticket.trial: start for start in ray.get(replies)}
        self.tickets = [start.ticket for start in self.starts.values()]
        self.runs: dict[str, Run] = {}
        self.last_step = self.last_heartbeat = self.last_checkpoint = time.monotonic()
        self.progress = "starting"
        self.reply: Any = None
        if any(start.stopping for start in self.starts.values()):
            self._pause()

    @property
    def interval(self) -> float:
        """Seconds between two heartbeats."""
        return min(HEARTBEAT_SECONDS, self.checkpoint_seconds)

    def saved(self, trial: Trial) -> Saved:
        """The checkpoint of an earlier attempt at a trial."""
        import torch

        start = self.starts[trial.hash]
        if start.state is None:
            return Saved(None, start.unreadable)
        try:
            return Saved(torch.load(io.BytesIO(start.state), weights_only=True))
        except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            return Saved(None, f"its checkpoint could not be read ({type(error).__name__})")

    def __call__(self, run: Run) -> None:
        """Send a heartbeat and save the runs' states, each if it is due; if the study is being stopped, pause."""
        now = time.monotonic()
        if now - self.last_step < self.interval:
            return
        self.last_step, self.runs[run.trial.hash] = now, run
        # The reply to the previous heartbeat, so that the trial need not wait for this one's.
        if self.reply is not None and ray.wait([self.reply], timeout=0)[0] and ray.get(self.reply):
            self._save()
            self._pause()
        if now - self.last_checkpoint >= self.checkpoint_seconds:
            self.last_checkpoint = now
            self._save()
        self._heartbeat(now, run.progress)

    def beat(self) -> None:
        """Send a heartbeat if it is due, from within a long step, which says how far the last one was."""
        now = time.monotonic()
        if now - self.last_heartbeat >= self.interval:
            self._heartbeat(now, self.progress)

    def _heartbeat(self, now: float, progress: str) -> None:
        self.last_heartbeat, self.progress = now, progress
        self.reply = self.monitor.heartbeat.remote(self.tickets, progress)

    def wait_for(self, reference: Any, progress: str) -> None:
        """Wait for another process's result while sending heartbeats; if the study is being stopped, pause."""
        while not ray.wait([reference], timeout=self.interval)[0]:
            if ray.get(self.monitor.heartbeat.remote(self.tickets, progress)):
                self._save()
                self._pause()

    def _save(self) -> None:
        for ticket in self.tickets:
            if ticket.trial in self.runs:
                self.monitor.save.remote(ticket, packed(self.runs[ticket.trial]))

    def _pause(self) -> None:
        """Tell the monitor that the trials are saved, and wait until it kills this process."""
        ray.get(self.monitor.pause.remote(self.tickets))
        while True:
            time.sleep(60)

    def end(self) -> None:
        """Tell the monitor that the trials have their outcomes."""
        self.monitor.end.remote(self.tickets)


def packed(run: Run) -> bytes:
    """A run's state as bytes, written by torch."""
    import torch

    buffer = io.BytesIO()
    torch.save(run.state_dict(), buffer)
    return buffer.getvalue()
