"""What the rows of a comparison say of each method: accuracies, spread, cost, accuracy on the way."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from studies.engine.design import Setting
from studies.engine.evidence import Array, Evidence
from studies.engine.journal import Row
from studies.engine.statistics import Interval, VarianceComponents, mean_interval, set_means, variance_components


@dataclass(frozen=True, eq=False)
class Findings:
    """The methods of a comparison under one recipe of their own or one for all, by seed.

    Nothing is chosen by these numbers, so they are test accuracies.
    """

    evidence: Evidence

    @property
    def arms(self) -> list[Setting]:
        return list(self.evidence.settings)

    @cached_property
    def accuracy(self) -> Array:
        """Test accuracy, [arms, seeds, networks]; NaN where a trial has none."""
        return self.evidence.accuracy(self.arms, "test")

    @cached_property
    def balanced(self) -> Array:
        """Balanced test accuracy, the mean recall of the classes that are there, in the same shape."""
        found = np.full(self.accuracy.shape, np.nan)
        for i, arm in enumerate(self.arms):
            for j, trial in enumerate(arm.trials):
                recall = self.evidence.rows.get(trial, {}).get("report_only", {}).get("test_recall")
                if recall:
                    found[i, j, : len(recall)] = np.nanmean(np.array(recall, dtype=float), axis=1)
        return found

    @cached_property
    def sets(self) -> Array:
        """Mean over the networks of each set, [arms, seeds]."""
        return set_means(self.accuracy)

    def mean(self, arm: int) -> Interval:
        """Test accuracy over synthetic sets."""
        return mean_interval(self.sets[arm])

    def spread(self, arm: int) -> VarianceComponents:
        """Between sets, and between the networks of a set."""
        return variance_components(self.accuracy[arm][None])

    def networks(self, arm: int) -> int:
        """The networks that judge a set."""
        return int(np.isfinite(self.accuracy[arm]).sum(1).max(initial=0))

    def rows(self, arm: int) -> list[Row]:
        """The rows that there are of a method."""
        return [self.evidence.rows[h] for h in self.arms[arm].trials if h in self.evidence.rows]

    def config(self, arm: int) -> dict[str, Any]:
        """A method's configuration, from any of its rows; empty when it has none."""
        rows = self.rows(arm)
        return dict(rows[0]["config"]) if rows else {}

    def alone(self, arm: int) -> int | None:
        """The base of a method with the MI term: the arm without it, with the same knobs, if there is one."""
        own = self.config(arm)
        if own.get("method") != "mim":
            return None
        wanted = _knobs(own, "method.base")
        return next((i for i in range(len(self.arms)) if _knobs(self.config(i), "method") == wanted), None)

    def ended(self, arm: int, status: str) -> int:
        """How many of its trials ended so."""
        return sum(row["result"]["status"] == status for row in self.rows(arm))

    def measured(self, arm: int, key: str) -> float | None:
        """The median of what its trials measured, such as `distil_seconds`."""
        found = [row["measured"][key] for row in self.rows(arm) if row["measured"].get(key) is not None]
        return statistics.median(found) if found else None

    def curve(self, arm: int) -> list[tuple[int, Interval]]:
        """(iteration, validation accuracy over sets) at the interim stops and at the end."""
        found: dict[int, list[float]] = {}
        for row in self.rows(arm):
            result = row["result"]
            if not result.get("validation_accuracy"):
                continue
            for rung in result["rungs"]:
                found.setdefault(int(rung["iteration"]), []).append(rung["validation_accuracy"])
            last = next((int(v) for k, v in row["config"].items() if k.endswith(".iterations")), 0)
            found.setdefault(last, []).append(statistics.fmean(result["validation_accuracy"]))
        return [(iteration, mean_interval(values)) for iteration, values in sorted(found.items())]


def _knobs(config: dict[str, Any], prefix: str) -> dict[str, Any]:
    """A component's name and knobs by what follows its prefix; empty where the configuration is."""
    return {k[len(prefix) :]: v for k, v in config.items() if k == prefix or k.startswith(f"{prefix}.")}
