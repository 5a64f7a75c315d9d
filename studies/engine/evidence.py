"""What a study has found so far, as its answer reads it: settings joined with rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studies.engine.design import Setting
from studies.engine.journal import Row
from studies.engine.space import Space

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evidence:
    """A study folder as data.

    identity: study.json; space: the knobs that varied; rows: by trial hash; interrupted: why rows are missing, or "".
    """

    out: Path
    identity: dict[str, Any]
    space: Space
    settings: Sequence[Setting]
    rows: dict[str, Row]
    interrupted: str = ""

    @property
    def default_name(self) -> str:
        """What the default setting may be called: the paper's only when nothing of the method was set by hand."""
        by_hand = any(key.startswith("method.") and not key.startswith("method.base") for key in self.identity["fixed"])
        return "the default as set" if by_hand else "the paper's default"

    def having(self, *roles: str) -> list[Setting]:
        """The settings with one of these roles, in order."""
        return [setting for setting in self.settings if setting.role in roles]

    def accuracy(self, settings: Sequence[Setting], split: str = "validation") -> Array:
        """Accuracies [settings, seeds, networks]; NaN where a trial failed, diverged or is missing.

        split: `validation` for every choice; `test` for the report's tables alone.
        """
        part, key = ("report_only", "test_accuracy") if split == "test" else ("result", "validation_accuracy")
        found = [[self._row(h).get(part, {}).get(key) or [] for h in s.trials] for s in settings]
        seeds = max((len(seeds) for seeds in found), default=0)
        networks = max((len(values) for seeds in found for values in seeds), default=0) or 1
        array = np.full((len(found), seeds, networks), np.nan)
        for i, per_seed in enumerate(found):
            for j, values in enumerate(per_seed):
                array[i, j, : len(values)] = values
        return array

    def values(self, settings: Sequence[Setting], key: str) -> Array:
        """One number of each trial's result, such as `decodable_information_nats`, [settings, seeds]."""
        seeds = max((len(s.trials) for s in settings), default=0)
        array = np.full((len(settings), seeds), np.nan)
        for i, setting in enumerate(settings):
            for j, trial in enumerate(setting.trials):
                value = self._row(trial).get("result", {}).get(key)
                array[i, j] = np.nan if value is None else value
        return array

    def status(self) -> dict[str, int]:
        """How many trials ended in each status, and how many have no row."""
        counts: dict[str, int] = {}
        for trial, role in {h: setting.role for setting in self.settings for h in setting.trials}.items():
            absent = "stopped early" if role == "stopped" else "missing"
            status = self._row(trial).get("result", {}).get("status", absent)
            counts[status] = counts.get(status, 0) + 1
        return dict(sorted(counts.items()))

    def _row(self, trial: str) -> Row:
        return self.rows.get(trial, {})
