"""What a study has found so far, as its answer reads it: settings joined with rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studies.engine.conditions import CLEAN, Condition
from studies.engine.design import Setting
from studies.engine.journal import Row
from studies.engine.space import Space
from studies.engine.trial import selected_by

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

    @property
    def conditions(self) -> list[Condition]:
        """The conditions of the study, the clean data first."""
        return [Condition.read(held) for held in self.identity.get("conditions", [])] or [CLEAN]

    def at(self, condition: Condition) -> Evidence:
        """The settings under one condition alone."""
        return replace(self, settings=[s for s in self.settings if s.condition == condition.text])

    def having(self, *roles: str) -> list[Setting]:
        """The settings with one of these roles, in order."""
        return [setting for setting in self.settings if setting.role in roles]

    def accuracy(self, settings: Sequence[Setting], split: str = "validation") -> Array:
        """Accuracies [settings, seeds, networks]; NaN where a trial failed, diverged or is missing.

        split: `validation` for every choice; `test` for the report's tables alone.
        """
        found = [[self._accuracies(h, split) for h in s.trials] for s in settings]
        seeds = max((len(seeds) for seeds in found), default=0)
        networks = max((len(values) for seeds in found for values in seeds), default=0) or 1
        array = np.full((len(found), seeds, networks), np.nan)
        for i, per_seed in enumerate(found):
            for j, values in enumerate(per_seed):
                array[i, j, : len(values)] = values
        return array

    def _accuracies(self, trial: str, split: str) -> list[float]:
        row = self._row(trial)
        if split == "test":
            return row.get("report_only", {}).get("test_accuracy") or []
        result = row.get("result", {})
        return result.get(selected_by(result)) or []

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
