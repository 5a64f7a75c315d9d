"""Progress as plain lines: they read well in a terminal and in a log file."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING

from studies.engine.design import Setting
from studies.engine.journal import Row
from studies.engine.trial import validation_mean

if TYPE_CHECKING:
    from studies.engine.study import Plan


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
        self.labels = {one.text: one.label for one in plan.conditions}
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
        accuracy = validation_mean(row["result"])
        found = row["result"]["status"] if math.isnan(accuracy) else f"{accuracy:.1%}"
        if row["result"]["status"] == "error":
            found += f" ({row['result']['reason'][:120]})"
        name = self.describe(row)
        told = [f"[{done:>{len(str(self.total))}}/{self.total}] {found} {name}"]
        told += [f"failed by {', '.join(failed)}"] if (failed := row["result"].get("failed_by")) else []
        # Under different conditions the best is no more than the easiest.
        if len(self.labels) == 1:
            self._compare(self.place.get(row["trial"]))
            told.append(f"best {self.best:.1%} ({self.best_name})" if self.best_name else "no setting complete yet")
        say("; ".join([*told, f"{clock(left)} left"]))

    def describe(self, row: Row) -> str:
        setting, config = self.place.get(row["trial"]), row["config"]
        seed = f"seed {config['seed']}"
        if len(self.labels) > 1:
            seed += f", {self.labels[str(config.get('perturb', ''))]}"
        if setting is None or setting.role in ("design", "search"):
            knobs = [f"{axis.symbol}={config[axis.key]}" for axis in self.plan.space if axis.key in config]
            return f"{' '.join(knobs)} {seed}"
        names = {
            "default": "the default",
            "variant": "the variant",
            "base": "the base alone",
            "random": "random real images",
            "full": "full data",
        }
        return f"{names.get(setting.role, setting.role)}, {seed}"

    def _compare(self, setting: Setting | None) -> None:
        """Keep the best setting so far, once all its seeds have rows; NaN is never the best."""
        if setting is None or setting.role == "full" or any(h not in self.rows for h in setting.trials):
            return
        held = [validation_mean(self.rows[h]["result"]) for h in setting.trials]
        if held and sum(held) / len(held) > self.best:
            self.best = sum(held) / len(held)
            self.best_name = setting.role if setting.role not in ("design", "search") else f"setting {setting.setting}"


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
