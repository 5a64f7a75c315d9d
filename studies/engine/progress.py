"""Progress as plain lines: they read well in a terminal and in a log file."""

from __future__ import annotations

import math

from mim4dd.registry import Flat
from studies.engine.arms import Setting, unplanned
from studies.engine.plan import Plan
from studies.engine.remaining import Remaining
from studies.engine.rows import Row
from studies.engine.space import keys_of
from studies.engine.trial import Trial
from studies.engine.wording import clock


def say(text: str) -> None:
    """Print a line and flush it, so that a log file has it at once too."""
    print(text, flush=True)


class Progress:
    """Prints a line after each trial: how many are done, its accuracy, the best setting so far, the time left."""

    def __init__(
        self, plan: Plan, rows: dict[str, Row], remaining: Remaining, suggested: int = 0, exclusive: bool = False
    ) -> None:
        """rows: the journal's, which grow; suggested: the number of trials that a search will add to the plan.

        exclusive: whether a trial needs a node without others.
        """
        self.plan, self.rows, self.remaining, self.exclusive = plan, rows, remaining, exclusive
        self.suggested, self.total = suggested, len(plan.trials) + suggested
        self.planned = {trial.hash for trial in plan.trials}
        # Of settings that share a trial, the first names it.
        self.setting_of_trial = {h: setting for setting in reversed(plan.settings) for h in setting.trials}
        self.best, self.best_name = -1.0, ""
        for setting in plan.settings:
            self._compare(setting)

    def add(self, row: Row) -> None:
        """Print the line of a trial that has just become a row."""
        self.remaining.add(row)
        # OUT may hold rows of other plans, which are part of neither number.
        done = len(self.rows) - max(0, len(self.rows.keys() - self.planned) - self.suggested)
        score = row.status if math.isnan(row.validation_mean) else f"{row.validation_mean:.1%}"
        if row.status == "error":
            score += f" ({row.reason[:120]})"
        parts = [f"[{done:>{len(str(self.total))}}/{self.total}] {score} {self.describe(row.trial, row.config)}"]
        parts += [f"failed by {', '.join(row.failed_by)}"] if row.failed_by else []
        # With several levels of a factor, the best setting would only be the one at the easiest level.
        if not self.plan.factors:
            self._compare(self.setting_of_trial.get(row.trial))
            parts.append(f"best {self.best:.1%} ({self.best_name})" if self.best_name else "no setting complete yet")
        say("; ".join([*parts, f"{clock(self.remaining.seconds)} left"]))

    def lost(self, trial: Trial, reason: str) -> None:
        """Print the line of a trial that begins again because its worker was lost."""
        say(f"the worker of {self.describe(trial.hash, trial.config)} was lost ({reason}); another goes on with it")

    def waits(self) -> None:
        """Print why no trial has started yet."""
        say("waiting for a node without other trials" if self.exclusive else "waiting for free CPUs")

    def describe(self, trial: str, config: Flat) -> str:
        """`DM + MIM4DD (default) · seed 0`. trial: its hash."""
        setting = self.setting_of_trial.get(trial)
        if setting is None:
            arms, varied = (planned.arm for planned in self.plan.settings), keys_of(self.plan.space)
            return f"{unplanned(arms, config, varied).name} · seed {config['seed']}"
        return f"{setting.name} · seed {config['seed']}"

    def _compare(self, setting: Setting | None) -> None:
        """Update the best setting so far, if all seeds of this one have rows; a mean of NaN is never the best."""
        if setting is None or setting.arm.role == "full" or any(h not in self.rows for h in setting.trials):
            return
        accuracies = [self.rows[h].validation_mean for h in setting.trials]
        if accuracies and sum(accuracies) / len(accuracies) > self.best:
            self.best = sum(accuracies) / len(accuracies)
            self.best_name = setting.name
