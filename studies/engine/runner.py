"""Runs trials on Ray: each outcome becomes a row on disk, and each row is handed to whoever wants to hear of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from studies.engine.journal import Journal
from studies.engine.rows import Row
from studies.engine.trial import Outcome, Trial

if TYPE_CHECKING:
    from studies.engine.tuning import ExecutionContext, Search

Callback = Callable[[Row], None]
"""Hears of each finished trial once its row is on disk, on the driver, in the order in which they finish."""


class Runner:
    """The journal comes first: what a callback hears of cannot be lost any more."""

    def __init__(
        self,
        context: ExecutionContext,
        journal: Journal,
        callbacks: Sequence[Callback],
        stopping: Callable[[], bool],
    ) -> None:
        """stopping: whether the user or the system has asked the study to stop."""
        self.context, self.journal, self.callbacks, self.stopping = context, journal, callbacks, stopping

    def run(self, trials: Sequence[Trial]) -> bool:
        """Run each trial once; False when it was interrupted.

        Raises: StorageError when the study folder takes no more.
        """
        from studies.engine.tuning import run_fixed

        return not trials or run_fixed(trials, self.context, self._finished, self.stopping)

    def search(self, search: Search) -> bool:
        """Run what Optuna suggests; False when it was interrupted.

        Raises: StorageError when the study folder takes no more.
        """
        from studies.engine.tuning import run_search

        return run_search(search, self.context, self._finished, self.stopping)

    def _finished(self, outcome: Outcome, retries: int) -> None:
        row = self.journal.add(outcome, retries)
        for callback in self.callbacks:
            callback(row)
