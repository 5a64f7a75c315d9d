"""The driver's side of a fit: what is given to Tune next, what comes back, and when to stop."""

from __future__ import annotations

import json
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from studies.engine.trial import Outcome, StorageError, Trial, without_result

RETRIES = 3
# Tune looks through all its trials at every step: it is given so many before it is started afresh (decision 6).
CHUNK = 2_000
# A worker takes about as long to start: see `Feed.drained`.
START_SECONDS = 15.0
LOOK_SECONDS = 2.0
# How long Ctrl-C waits for running trials to be saved.
GRACE_SECONDS = 60.0

Sink = Callable[[Outcome, int], None]
"""Receives each finished trial and how often it was retried, on the driver."""


class InterruptedFit(Exception):
    """The user or the system asked the study to stop, and its running trials were saved."""


class Feed:
    """The units of a fixed design that are still to be run, in order; those whose workers died come again first."""

    def __init__(self, trials: Sequence[Trial], at_once: int) -> None:
        self.trials, self.at_once = trials, at_once
        self.waiting = deque(range(len(trials)))
        self.running: dict[str, int] = {}
        self.losses = [0] * len(trials)
        self.given = self.lost = 0
        self.seconds: deque[float] = deque(maxlen=8)

    def open(self) -> None:
        """Begin a chunk."""
        self.given = self.lost = 0

    @property
    def drained(self) -> bool:
        """Whether this chunk gets no more units.

        Tune replaces a lost worker only when no other comes free while the new one starts, which short trials never
        allow: after a loss among such, the rest is left to a new chunk with all its workers.
        """
        short = bool(self.seconds) and statistics.median(self.seconds) < START_SECONDS
        return self.given >= CHUNK or bool(self.lost and short)

    def next(self) -> int | None:
        """The next unit, or None for none now."""
        if not self.waiting or self.drained or (self.at_once and len(self.running) >= self.at_once):
            return None
        self.given += 1
        return self.waiting.popleft()

    @property
    def over(self) -> bool:
        """Whether the chunk is done: nothing runs and nothing will."""
        return not self.running and (not self.waiting or self.drained)

    def lose(self, unit: int) -> bool:
        """A unit's worker has died; whether it is tried again."""
        self.lost += 1
        self.losses[unit] += 1
        if self.losses[unit] <= RETRIES:
            self.waiting.appendleft(unit)
            return True
        return False


class Feeder(Searcher):
    """Asks the feed on behalf of Tune."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(metric=None, mode=None)
        self.feed = feed

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune saves its searchers; ours is made again from the rows

    def suggest(self, trial_id: str) -> Any:
        unit = self.feed.next()
        if unit is None:
            return Searcher.FINISHED if self.feed.over else None
        self.feed.running[trial_id] = unit
        # As text: Tune takes nested dictionaries apart.
        return {"trial": json.dumps(self.feed.trials[unit].config)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The collector has heard of what ended with an outcome or an error; a unit that ended with neither is lost."""
        if not error and trial_id in self.feed.running:
            self.feed.lose(self.feed.running.pop(trial_id))

    def save(self, checkpoint_path: str) -> None: ...

    def restore(self, checkpoint_path: str) -> None: ...


class Collector(tune.Callback):
    """Hands finished trials to the driver as they come, out of Tune's own records, and looks after running ones."""

    def __init__(
        self,
        monitor: Any,
        sink: Sink,
        interrupted: Callable[[], bool],
        trials_of: Callable[[dict[str, Any]], list[Trial]],
        feed: Feed | None = None,
    ) -> None:
        """trials_of: the trials of a unit by its config; feed: None when Tune itself retries (a search)."""
        self.monitor, self.sink, self.interrupted, self.trials_of, self.feed = (
            monitor,
            sink,
            interrupted,
            trials_of,
            feed,
        )
        self.looked = self.stopping_since = 0.0
        self.view: Any = None
        self.trouble: StorageError | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks, and the driver holds locks, files and threads

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        for outcome in result.pop("outcomes", ()):
            retries = trial.num_failures
            if self.feed is not None:
                retries = self.feed.losses[self.feed.running.pop(trial.trial_id)]
                self.feed.seconds.append(outcome.measured["seconds"])
            self._sink(outcome, retries)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        lost = self.trials_of(trial.config)
        reasons = list(filter(None, ray.get([self.monitor.lost.remote(one.hash) for one in lost])))
        if self.feed is not None and self.feed.lose(self.feed.running.pop(trial.trial_id)):
            return
        reason = f"its worker was lost {RETRIES + 1} times, at last: {reasons[0] if reasons else died_of(trial)}"
        for one in lost:
            self._sink(without_result(one, reason, time.time()), RETRIES)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.check()
        now = time.monotonic()
        stopping = self.interrupted()
        if stopping and not self.stopping_since:
            self.stopping_since, self.looked = now, 0.0
        if self.view is not None and ray.wait([self.view], timeout=0)[0]:
            found, self.view = ray.get(self.view), None
            if found.trouble:
                raise StorageError(found.trouble)
            if stopping and not found.working and self.looked > self.stopping_since:
                raise InterruptedFit
        if stopping and now - self.stopping_since > GRACE_SECONDS:
            raise InterruptedFit
        if self.view is None and now - self.looked > (0.2 if stopping else LOOK_SECONDS):
            self.looked, self.view = now, self.monitor.look.remote(stopping)

    def check(self) -> None:
        """Raises: StorageError when the sink could not store an outcome."""
        if self.trouble is not None:
            raise self.trouble

    def _sink(self, outcome: Outcome, retries: int) -> None:
        try:
            self.sink(outcome, retries)
        except OSError as error:
            # What is raised while Tune handles a result comes out as a TuneError around a text: it waits for a step.
            self.trouble = self.trouble or StorageError(error.strerror or str(error))


def died_of(trial: Any) -> str:
    """What Tune says of a trial that it lost, in a line."""
    error = trial.get_error()
    lines = str(error).splitlines() if error is not None else []
    return next((line.strip() for line in lines if line.strip()), "unknown")[:300]
