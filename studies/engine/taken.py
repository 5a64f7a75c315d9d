"""What an execution took, beside its forecast: a line, and OUT/forecast.json for programs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mim4dd.durable import write_json
from studies.engine.estimate import forecast, timed, wall_seconds, worker_seconds
from studies.engine.plan import Plan
from studies.engine.rows import Row
from studies.engine.speeds import Speeds
from studies.engine.wording import clock, plural

FILE = "forecast.json"


@dataclass(frozen=True)
class Comparison:
    """The forecast of the trials that an execution ran to their end, and what they took.

    worker_seconds: of one worker for them and what they share, with those before an interruption; wall_seconds: of the
    whole command, None where it ran more than these trials; workers: at once.
    """

    trials: int
    workers: int
    forecast_worker_seconds: float
    worker_seconds: float
    forecast_wall_seconds: float | None
    wall_seconds: float | None

    @property
    def line(self) -> str:
        """`forecast 3:50 of one worker's time for these 100 trials, they took 4:10 (1.09 times); ...`."""
        expected, took = self.forecast_worker_seconds, self.worker_seconds
        those = f"these {plural(self.trials, 'trial')}, they" if self.trials > 1 else "this trial, it"
        text = f"forecast {clock(expected)} of one worker's time for {those} took {clock(took)}"
        text += f" ({took / expected:.2f} times)"
        if self.forecast_wall_seconds is not None and self.wall_seconds is not None:
            text += f"; forecast {clock(self.forecast_wall_seconds)} in all on {plural(self.workers, 'worker')}"
            text += f", it took {clock(self.wall_seconds)}"
        return text


class Taken:
    """Receives each row of an execution, then compares them with the forecast."""

    def __init__(self, earlier: Iterable[Row], began: float, speeds: Speeds) -> None:
        """earlier: the rows that were there before; began: `time.monotonic()` when the command started."""
        self.speeds = speeds
        self.earlier, self.began = {row.trial for row in earlier if row.status != "error"}, began
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Receive a trial that has just become a row."""
        self.rows.append(row)

    def compared(self, plan: Plan, workers: int, *, whole: bool) -> Comparison | None:
        """The comparison of now; None when no trial ran to its end.

        workers: that run at once; whole: whether the execution was not interrupted.
        """
        ran = timed(self.rows)
        made = forecast(plan, self.earlier, self.speeds).preparations
        expected = forecast(plan, ran, self.speeds).without(made)
        if not expected.trials:
            return None
        count, worker = len(expected.trials), expected.worker_seconds
        rows = [row for trial, row in ran.items() if trial in expected.trials]
        # One that ended in an error or diverged took time that was not forecast.
        whole = whole and len(rows) == len(self.rows)
        return Comparison(
            count,
            max(1, min(workers, count)),
            worker,
            worker_seconds(rows, made),
            wall_seconds(worker, count, workers, self.speeds) if whole else None,
            time.monotonic() - self.began if whole else None,
        )


def told(comparison: Comparison | None, out: Path) -> str:
    """Write a comparison to OUT/forecast.json; returns its line, "" where there is none.

    Raises: OSError.
    """
    if comparison is None:
        return ""
    write_json(out / FILE, asdict(comparison))
    return comparison.line
