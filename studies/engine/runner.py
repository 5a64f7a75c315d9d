"""Runs trials on Ray: each outcome is written as a row, and each row is passed to the callbacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from studies.engine.journal import Journal
from studies.engine.rows import Row
from studies.engine.trial import Outcome, Trial

if TYPE_CHECKING:
    from studies.engine.tuning.context import ExecutionContext
    from studies.engine.tuning.feeding import Told
    from studies.engine.tuning.search import Search

Callback = Callable[[Row], None]
"""Receives each finished trial's row once it is on disk: on the driver, in the order in which trials finish."""


class Runner:
    """Runs trials; the journal writes each row before the callbacks receive it, so that it cannot be lost."""

    def __init__(
        self,
        context: ExecutionContext,
        journal: Journal,
        callbacks: Sequence[Callback],
        told: Told,
        stopping: Callable[[], bool],
    ) -> None:
        """told: hears of lost workers and of waiting; stopping: returns whether a signal to stop was received."""
        self.context, self.journal, self.callbacks = context, journal, callbacks
        self.told, self.stopping = told, stopping

    def run(self, trials: Sequence[Trial]) -> bool:
        """Run each trial once; returns False if interrupted.

        Raises: StorageError when the study folder cannot be written; ClusterLost when Ray is lost.
        """
        from studies.engine.tuning.fitting import run_fixed

        return not trials or run_fixed(trials, self.context, self._finished, self.told, self.stopping)

    def search(self, search: Search) -> bool:
        """Run the trials that Optuna suggests; returns False if interrupted.

        Raises: StorageError when the study folder cannot be written; ClusterLost when Ray is lost.
        """
        from studies.engine.tuning.fitting import run_search

        return run_search(search, self.context, self._finished, self.told, self.stopping)

    def _finished(self, outcome: Outcome, retries: int) -> None:
        row = self.journal.add(outcome, retries)
        for callback in self.callbacks:
            callback(row)
