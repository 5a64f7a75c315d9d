"""The time that is left of a running study, believed from its first trial on."""

from __future__ import annotations

from collections.abc import Mapping

from studies.engine.estimate import Shared, added_seconds, forecast, timed
from studies.engine.plan import Plan
from studies.engine.rows import Row
from studies.engine.speeds import Speeds


class Remaining:
    """The forecast of the trials without a row, times what those with one took of theirs, over the workers.

    The pace of the trials that arrive says less: of the first ones it holds the start of Ray, and methods that take
    longer often come last. Each row costs the same time, however many trials there are.
    """

    def __init__(self, plan: Plan, rows: Mapping[str, Row], suggested: int, workers: int, speeds: Speeds) -> None:
        """rows: of the trials that have one; suggested: the trials that will be added to the plan; workers: at once."""
        self.workers = max(1, workers)
        whole = forecast(plan, {trial.hash for trial in plan.trials}, speeds)
        self._trials, self._shared, self._preparations = dict(whole.trials), whole.shared, dict(whole.preparations)
        self._seconds = whole.worker_seconds
        self._suggestion = added_seconds(plan, whole)
        self._suggested = suggested
        self._expected = self._took = 0.0
        for row in rows.values():
            self.add(row)

    def add(self, row: Row) -> None:
        """Take a trial off that has a row."""
        expected = self._trials.pop(row.trial, None)
        if expected is None:
            self._suggested = max(0, self._suggested - 1)
            return
        self._seconds -= expected
        shared: Shared | None = self._shared.get(row.trial)
        if shared is not None:
            self._seconds -= self._preparations.pop(shared, 0.0)
        if timed([row]):
            self._expected += expected
            self._took += row.measured["seconds"] - row.measured.get("waited_seconds", 0.0)

    @property
    def seconds(self) -> float:
        """Seconds of this execution until all trials have a row."""
        factor = self._took / self._expected if self._expected else 1.0
        count = len(self._trials) + self._suggested
        left = self._seconds + self._suggested * self._suggestion
        return factor * max(0.0, left) / max(1, min(self.workers, count))
