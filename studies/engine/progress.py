"""Progress as plain lines: they read well in a terminal and in a log file."""

from __future__ import annotations

import math
import time
from collections import deque

from studies.engine.arms import Setting, unplanned
from studies.engine.plan import Plan
from studies.engine.rows import Row


def say(text: str) -> None:
    """A line on the terminal, at once, also in a log file."""
    print(text, flush=True)


class Progress:
    """Says after each trial: how many are done, its accuracy, the best setting so far, the time left."""

    def __init__(self, plan: Plan, rows: dict[str, Row], suggested: int = 0) -> None:
        """suggested: trials that a search will add to the plan."""
        self.plan, self.rows = plan, rows
        self.total = len(plan.trials) + suggested
        self.arrivals = deque([time.monotonic()], maxlen=13)
        self.place = {h: setting for setting in plan.settings for h in setting.trials}
        self.best, self.best_name = -1.0, ""
        for setting in plan.settings:
            self._compare(setting)

    def add(self, row: Row) -> None:
        """Print the line of a trial that has just become a row."""
        self.arrivals.append(time.monotonic())
        done = len(self.rows)
        # The pace of the last dozen: the first trials waited for their workers.
        pace = (self.arrivals[-1] - self.arrivals[0]) / (len(self.arrivals) - 1)
        left = max(0, self.total - done) * pace
        found = row.status if math.isnan(row.validation_mean) else f"{row.validation_mean:.1%}"
        if row.status == "error":
            found += f" ({row.reason[:120]})"
        told = [f"[{done:>{len(str(self.total))}}/{self.total}] {found} {self.describe(row)}"]
        told += [f"failed by {', '.join(row.failed_by)}"] if row.failed_by else []
        # Under different conditions the best is no more than the easiest.
        if not self.plan.factors:
            self._compare(self.place.get(row.trial))
            told.append(f"best {self.best:.1%} ({self.best_name})" if self.best_name else "no setting complete yet")
        say("; ".join([*told, f"{clock(left)} left"]))

    def describe(self, row: Row) -> str:
        """`DM + MIM4DD (default) · seed 0`."""
        setting = self.place.get(row.trial)
        if setting is None:
            arms, varied = (one.arm for one in self.plan.settings), (axis.key for axis in self.plan.space)
            return f"{unplanned(arms, row.config, varied).name} · seed {row.config['seed']}"
        return f"{setting.name} · seed {row.config['seed']}"

    def _compare(self, setting: Setting | None) -> None:
        """Keep the best setting so far, once all its seeds have rows; NaN is never the best."""
        if setting is None or setting.arm.role == "full" or any(h not in self.rows for h in setting.trials):
            return
        held = [self.rows[h].validation_mean for h in setting.trials]
        if held and sum(held) / len(held) > self.best:
            self.best = sum(held) / len(held)
            self.best_name = setting.name


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
