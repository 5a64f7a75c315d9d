"""What a calibration measures: a rate over simulated studies, with its interval and its mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

HOLDS, LITTLE, NOT = "holds", "says too little", "**does NOT hold**"
TOLERANCE = 0.02
WITHOUT_NOMINAL = ("power",)


@dataclass(frozen=True)
class Row:
    """One measured rate.

    kind: `coverage` (the interval contains the truth), `error` (a false decision), `at least` (a promise of at least
    the nominal rate) or `power` (a rate without promise). values: one of each run, 0 or 1, or the fraction of a curve.
    """

    statistic: str
    what: str
    n: str
    noise: str
    kind: str
    values: tuple[float, ...]
    printed: str
    nominal: float | None = None

    @property
    def measured(self) -> float:
        return float(np.mean(self.values))

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval of a binomial rate; of fractions, the t interval of their mean."""
        values = np.array(self.values)
        if np.isin(values, (0.0, 1.0)).all():
            exact = stats.binomtest(int(values.sum()), len(values)).proportion_ci(method="exact")
            return float(exact.low), float(exact.high)
        half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
        return max(self.measured - half, 0.0), min(self.measured + half, 1.0)

    @property
    def mark(self) -> str:
        """Off the nominal rate by more than TOLERANCE and beyond chance, to the wrong or to the cautious side."""
        if self.nominal is None:
            return ""
        (low, high), excess = self.interval, self.measured - self.nominal
        if low <= self.nominal <= high or abs(excess) <= TOLERANCE:
            return HOLDS
        wrong = excess > 0 if self.kind == "error" else excess < 0
        if wrong:
            return NOT
        return HOLDS if self.kind == "at least" else LITTLE

    def line(self) -> str:
        """The row of the Markdown table."""
        nominal = "" if self.nominal is None else f"{'≥ ' if self.kind == 'at least' else ''}{100 * self.nominal:g} %"
        low, high = (100 * end for end in self.interval)
        rate = f"{100 * self.measured:.1f} [{low:.1f}, {high:.1f}] %"
        cells = (self.what, self.n, self.noise, nominal, rate, str(len(self.values)), self.mark, self.printed)
        return f"| {' | '.join(cells)} |"


HEADER = ("measured", "n", "noise", "nominal", "rate [95 % interval]", "studies", "mark", "printed by")


def row(statistic: str, what: str, n: str, noise: str, kind: str, values: Sequence[Any], printed: str) -> Row:
    """A row with the nominal rate of its kind: 95 % covered, 5 % wrong, 80 % at least; none of power."""
    nominal = {"coverage": 0.95, "error": 0.05, "at least": 0.8, "power": None}[kind]
    return Row(statistic, what, n, noise, kind, tuple(float(value) for value in values), printed, nominal)


def covers(low: float | None, truth: float, high: float | None) -> bool:
    """Whether an interval contains the truth; one without bounds excludes nothing."""
    return (low is None or low <= truth) and (high is None or truth <= high)
