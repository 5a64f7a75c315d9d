"""The driver's side of a run of Tune: which unit runs next, what to do with outcomes and losses, when to stop."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune.search import Searcher

from mim4dd.errors import StorageError
from studies.engine.design import BY_SEED, by_seed
from studies.engine.trial import Outcome, Trial, error_outcome, validation_mean

RETRIES = 3
# Units in one run of Tune, which goes through all its trials at every step (decision 6).
CHUNK = 2_000
# The time in which a worker starts, roughly: see `Feed.drained`.
START_SECONDS = 15.0
# Between two checks of the monitor.
CHECK_SECONDS = 2.0
# How long the first unit may wait for a worker before it is told.
WAIT_SECONDS = 30.0
# How long Ctrl-C waits for running trials to be saved.
GRACE_SECONDS = 60.0

Sink = Callable[[Outcome, int], None]
"""Receives each finished trial and its number of retries, on the driver."""


class Told(Protocol):
    """What is told on the driver besides outcomes."""

    def lost(self, trial: Trial, reason: str) -> None:
        """A trial begins again because its worker was lost, for this reason."""

    def waits(self) -> None:
        """No unit has started for WAIT_SECONDS: there is no room for one."""


class InterruptedFit(Exception):
    """The study received a signal to stop, and its running trials were saved (or GRACE_SECONDS have passed)."""


class Feed:
    """The units of a fixed design that are still to be run, in order; a unit whose worker died comes first.

    at_once: the most units that run at the same time, 0 for no limit.
    """

    def __init__(self, trials: Sequence[Trial], at_once: int) -> None:
        self.trials, self.at_once = trials, at_once
        self.waiting = deque(range(len(trials)))
        self.running: dict[str, int] = {}
        self.losses = [0] * len(trials)
        self.issued = self.lost_workers = 0  # in this chunk
        self.seconds: deque[float] = deque(maxlen=8)  # of the last trials

    def start_chunk(self) -> None:
        """Reset the counts of a chunk."""
        self.issued = self.lost_workers = 0

    @property
    def drained(self) -> bool:
        """Whether this chunk issues no more units.

        Tune replaces a lost worker only if no other worker becomes free while the new one starts, which does not happen
        among short trials: after a loss among these, the rest is left to a new chunk, which starts with all workers.
        So is it where one runs at a time: the node may be lost too, and a new chunk asks for what the others have.
        """
        short = bool(self.seconds) and statistics.median(self.seconds) < START_SECONDS
        return self.issued >= CHUNK or bool(self.lost_workers and (short or self.at_once == 1))

    def next(self) -> int | None:
        """Issue the next unit; None if none can start now."""
        if not self.waiting or self.drained or (self.at_once and len(self.running) >= self.at_once):
            return None
        self.issued += 1
        return self.waiting.popleft()

    @property
    def over(self) -> bool:
        """Whether the chunk is done: no unit runs and none will be issued."""
        return not self.running and (not self.waiting or self.drained)

    def give_back(self) -> None:
        """Issue the units again that have not started."""
        self.waiting.extendleft(reversed(self.running.values()))
        self.running.clear()

    def record_loss(self, unit: int) -> bool:
        """Count the loss of a unit's worker; returns whether the unit is tried again."""
        self.lost_workers += 1
        self.losses[unit] += 1
        if self.losses[unit] <= RETRIES:
            self.waiting.appendleft(unit)
            return True
        return False


class Feeder(Searcher):
    """The feed as a searcher of Tune."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(metric=None, mode=None)
        self.feed = feed

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune saves its searchers; this one needs no state, since rows say what is done

    def suggest(self, trial_id: str) -> Any:
        unit = self.feed.next()
        if unit is None:
            return Searcher.FINISHED if self.feed.over else None
        self.feed.running[trial_id] = unit
        # As text: Tune flattens nested dictionaries.
        return {"trial": json.dumps(self.feed.trials[unit].config)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Record a unit that ended with neither an outcome nor an error; the collector handles the others."""
        if not error and trial_id in self.feed.running:
            self.feed.record_loss(self.feed.running.pop(trial_id))

    def save(self, checkpoint_path: str) -> None: ...

    def restore(self, checkpoint_path: str) -> None: ...


class Collector(tune.Callback):
    """Passes finished trials to the driver's sink, handles lost ones, and checks the monitor of running ones."""

    def __init__(
        self,
        monitor: Any,
        sink: Sink,
        told: Told,
        interrupted: Callable[[], bool],
        trials_of: Callable[[dict[str, Any]], list[Trial]],
        feed: Feed | None = None,
    ) -> None:
        """trials_of: returns the trials of a unit from its config; feed: None when Tune itself retries (a search)."""
        self.monitor, self.sink, self.told, self.interrupted = monitor, sink, told, interrupted
        self.trials_of, self.feed = trials_of, feed
        self.last_check = self.stopping_since = 0.0
        self.began, self.started, self.told_waiting = time.monotonic(), False, False
        self.pending_report: Any = None
        self.storage_error: StorageError | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks, and the driver's locks, files and threads cannot be pickled

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        outcomes: Sequence[Outcome] = result.pop("outcomes", ())
        if outcomes and self.feed is None:  # pairs: Tune flattens nested dictionaries
            result[BY_SEED] = [
                (str(one.trial.config["seed"]), by_seed(validation_mean(one.result))) for one in outcomes
            ]
        for outcome in outcomes:
            retries = trial.num_failures
            if self.feed is not None:
                retries = self.feed.losses[self.feed.running.pop(trial.trial_id)]
                self.feed.seconds.append(outcome.measured["seconds"] - outcome.measured.get("waited_seconds", 0.0))
            self._sink(outcome, retries)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """In a search, a scheduler may have stopped a setting, whose trainable then told the monitor of no end."""
        if self.feed is None:
            self._forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        lost_trials, reason = self._forget(trial)
        if self.feed is not None:
            unit = self.feed.running.pop(trial.trial_id, None)
            if unit is None:
                self.feed.lost_workers += 1  # after its outcome had arrived
                return
            if self.feed.record_loss(unit):
                self._tell(lost_trials, reason)
                return
        reason = f"its worker was lost {RETRIES + 1} times, at last: {reason}"
        for lost in lost_trials:
            self._sink(error_outcome(lost, reason, time.time()), RETRIES)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """In a search, Tune itself begins a lost trial again."""
        self._tell(*self._forget(trial))

    def _forget(self, trial: Any) -> tuple[list[Trial], str]:
        """The trials of a lost unit, which the monitor forgets, and why its worker was lost."""
        lost_trials = self.trials_of(trial.config)
        reasons = ray.get([self.monitor.forget.remote(lost.hash) for lost in lost_trials])
        return lost_trials, next(filter(None, reasons), error_line(trial))

    def _tell(self, lost_trials: list[Trial], reason: str) -> None:
        if not self.interrupted():  # then the workers are ended on purpose
            for lost in lost_trials:
                self.told.lost(lost, reason)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.started = True

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.raise_storage_error()
        now = time.monotonic()
        if not self.started and not self.told_waiting and now - self.began > WAIT_SECONDS:
            self.told_waiting = True
            self.told.waits()
        stopping = self.interrupted()
        if stopping and not self.stopping_since:
            self.stopping_since, self.last_check = now, 0.0
        if self.pending_report is not None and ray.wait([self.pending_report], timeout=0)[0]:
            report, self.pending_report = ray.get(self.pending_report), None
            if report.storage_error:
                raise StorageError(report.storage_error)
            if stopping and not report.working and self.last_check > self.stopping_since:
                raise InterruptedFit
        if stopping and now - self.stopping_since > GRACE_SECONDS:
            raise InterruptedFit
        if self.pending_report is None and now - self.last_check > (0.2 if stopping else CHECK_SECONDS):
            self.last_check, self.pending_report = now, self.monitor.check.remote(stopping)

    def raise_storage_error(self) -> None:
        """Raises: StorageError when the sink could not store an outcome."""
        if self.storage_error is not None:
            raise self.storage_error

    def _sink(self, outcome: Outcome, retries: int) -> None:
        try:
            self.sink(outcome, retries)
        except OSError as error:
            # Raised here, it would become a TuneError with a text; `on_step_begin` raises it as it is.
            self.storage_error = self.storage_error or StorageError(error.strerror or str(error))


class NoRoom(tune.Stopper):
    """Ends a run of Tune in which no unit starts because the nodes have changed: a new run asks for what they have.

    Ray takes some seconds to see that a node is lost: a run that began in these asks for what that node had.
    """

    def __init__(self, collector: Collector, wanted: Callable[[], Any]) -> None:
        """wanted: returns what a unit reserves, by the nodes of now."""
        self.collector, self.wanted, self.asked = collector, wanted, wanted()
        self.last_check = time.monotonic()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # as the collector's

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        feed, now = self.collector.feed, time.monotonic()
        if feed is None or self.collector.started or now - self.last_check < WAIT_SECONDS:
            return False
        self.last_check = now
        if self.wanted() == self.asked:
            return False
        feed.give_back()
        return True


def error_line(trial: Any) -> str:
    """Why Tune lost a trial, in Ray's words, from the file in which Tune keeps the error."""
    try:
        text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    except (OSError, TypeError):  # none was written
        return "for an unknown reason"
    if cause := re.search(r"is dead because (its [^.\n]*)", text):
        return cause[1]
    if "temporarily unavailable" in text:
        return "it does not answer"
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Failure #")]
    return lines[0][:300] if lines else "for an unknown reason"
