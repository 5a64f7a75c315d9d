"""Every number of a stress answer, from rows alone: arms under conditions, paired over seeds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mim4dd.methods import Mim
from mim4dd.registry import knobs
from studies.engine.conditions import Condition
from studies.engine.design import Setting
from studies.engine.evidence import Array, Evidence
from studies.engine.statistics import Interval, PairedInterval, mean_interval, paired_interval

NAMES = {"random": "random real images", "base": "{base}", "default": "{base} + MIM4DD", "full": "full data"}


@dataclass(frozen=True)
class Arm:
    """What is compared: a method with its knobs. key: its role, and what a variant changes."""

    key: tuple[Any, ...]
    role: str
    name: str

    @property
    def has_term(self) -> bool:
        """Whether the MI term is on."""
        return self.role in ("default", "variant")


@dataclass(frozen=True)
class Slope:
    """What one unit of severity does to accuracy: the mean over seeds of each seed's least-squares slope."""

    family: str
    arm: Arm
    interval: Interval
    conditions: int


@dataclass(frozen=True, eq=False)
class Findings:
    """Test accuracies by condition and arm, and what follows from them. The clean control is condition 0.

    Nothing is chosen by these numbers, so they are test accuracies: `accuracy` is the mean recall of the classes
    (balanced accuracy), per network.
    """

    evidence: Evidence
    conditions: list[Condition]
    arms: list[Arm]
    settings: list[list[Setting]]

    @cached_property
    def recall(self) -> list[list[list[Array | None]]]:
        """Test recall of each condition, arm and seed, [networks, C]; None where the trial has none."""
        return [
            [[self._recall(trial) for trial in setting.trials] for setting in of_condition]
            for of_condition in self.settings
        ]

    def _recall(self, trial: str) -> Array | None:
        found = self.evidence.rows.get(trial, {}).get("report_only", {}).get("test_recall")
        return np.array(found, dtype=float) if found else None

    @cached_property
    def accuracy(self) -> Array:
        """Balanced test accuracy, [conditions, arms, seeds, networks]; NaN where a trial has none."""
        networks = max((len(one) for rows in self.recall for arm in rows for one in arm if one is not None), default=1)
        found = np.full((len(self.conditions), len(self.arms), self.seeds, networks), np.nan)
        for i, rows in enumerate(self.recall):
            for j, arm in enumerate(rows):
                for k, one in enumerate(arm):
                    if one is not None:
                        found[i, j, k, : len(one)] = np.nanmean(one, 1)
        return found

    @property
    def seeds(self) -> int:
        return max(len(setting.trials) for rows in self.settings for setting in rows)

    @cached_property
    def sets(self) -> Array:
        """Mean over the networks of each set, [conditions, arms, seeds]."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a lost trial is an empty mean
            return np.asarray(np.nanmean(self.accuracy, 3))

    def mean(self, condition: int, arm: int) -> Interval:
        """Balanced test accuracy over seeds."""
        return mean_interval(self.sets[condition, arm])

    def gain(self, condition: int, arm: int) -> PairedInterval:
        """The arm less the base under the same condition, paired over seeds."""
        return paired_interval(self.sets[condition, arm], self.sets[condition, self.base])

    def loss(self, condition: int, arm: int) -> PairedInterval:
        """The arm under this condition less itself on clean data, paired over seeds."""
        return paired_interval(self.sets[condition, arm], self.sets[0, arm])

    def gain_change(self, condition: int, arm: int) -> PairedInterval:
        """How much the arm's gain over the base differs from its gain on clean data, paired over seeds."""
        gains = self.sets[:, arm] - self.sets[:, self.base]
        return paired_interval(gains[condition], gains[0])

    @property
    def base(self) -> int:
        return next(i for i, arm in enumerate(self.arms) if arm.role == "base")

    @property
    def random(self) -> int:
        return next(i for i, arm in enumerate(self.arms) if arm.role == "random")

    def result(self, condition: int, arm: int, seed: int) -> dict[str, Any]:
        """A trial's result; empty where it has no row."""
        trials = self.settings[condition][arm].trials
        row = self.evidence.rows.get(trials[seed], {}) if seed < len(trials) else {}
        found: dict[str, Any] = row.get("result", {})
        return found

    def any_result(self, condition: int) -> dict[str, Any]:
        """The result of some trial of a condition: all of one seed meet the same data."""
        for seed in range(self.seeds):
            for arm in range(len(self.arms)):
                if "train_counts" in (found := self.result(condition, arm, seed)):
                    return found
        return {}

    @cached_property
    def place(self) -> list[float | None]:
        """Each condition's place on its curve: the realised noise rate, or the imbalance factor; 0 or 1 when clean."""
        return [self._place(i) for i in range(len(self.conditions))]

    def _place(self, condition: int) -> float | None:
        stages = self.conditions[condition].stages
        if stages == ("label noise",):
            rates = []
            for seed in range(self.seeds):
                steps = self.result(condition, self.base, seed).get("perturbed", {})
                rates += [step["rate"] for step in steps.values() if "rate" in step]
            return float(np.mean(rates)) if rates else self.conditions[condition].severity
        return self.conditions[condition].severity

    def families(self, stage: str) -> dict[str, list[int]]:
        """The conditions of each curve in order of severity, the clean control first; families of one stage only."""
        found: dict[str, list[int]] = {}
        for i, one in enumerate(self.conditions):
            if one.stages == (stage,) and self.place[i] is not None:
                found.setdefault(one.family, [0]).append(i)
        return {name: [0, *sorted(members[1:], key=lambda i: self.place[i] or 0)] for name, members in found.items()}

    def axis(self, stage: str, conditions: list[int]) -> Array:
        """The places of conditions as a slope is taken over: rate in tens of percent, factor in powers of ten."""
        clean = 0.0 if stage == "label noise" else 1.0
        places = np.array([clean if i == 0 else float(self.place[i] or 0) for i in conditions])
        return places * 10 if stage == "label noise" else np.log10(places)

    def slopes(self, stage: str) -> list[Slope]:
        """Each arm's loss per 10% of noise, or per factor of ten, by family."""
        found = []
        for family, conditions in self.families(stage).items():
            x = self.axis(stage, conditions)
            for j, arm in enumerate(self.arms):
                y = self.sets[conditions, j]
                # A seed enters with all its conditions or not at all.
                whole = np.isfinite(y).all(0)
                fitted = [float(np.polyfit(x, y[:, k], 1)[0]) for k in np.flatnonzero(whole)]
                found.append(Slope(family, arm, mean_interval(fitted), len(conditions)))
        return found

    def class_recall(self, condition: int, arm: int) -> Array | None:
        """Mean test recall of each class over seeds and networks, [C]."""
        found = [one.mean(0) for one in self.recall[condition][arm] if one is not None]
        return np.asarray(np.mean(found, 0)) if found else None


def find(evidence: Evidence) -> Findings:
    """Order the settings by condition and arm; the arms of the clean control are those of every condition."""
    conditions = evidence.conditions
    of_clean = evidence.at(conditions[0]).settings
    base = str(evidence.identity["configuration"]["method.base"]).upper()
    arms = [Arm(_key(setting), setting.role, _name(setting, base)) for setting in of_clean]
    settings = []
    for one in conditions:
        held = {_key(setting): setting for setting in evidence.at(one).settings}
        settings.append([held[arm.key] for arm in arms])
    return Findings(evidence, conditions, arms, settings)


def _key(setting: Setting) -> tuple[Any, ...]:
    return (setting.role, *sorted(setting.knobs.items()))


def _name(setting: Setting, base: str) -> str:
    if setting.role != "variant":
        return NAMES[setting.role].format(base=base)
    declared = knobs(Mim)
    told = []
    for key, value in sorted(setting.knobs.items(), key=lambda pair: isinstance(pair[1], int | float)):
        name = key.rpartition(".")[2]
        symbol = declared[name].symbol if name in declared else ""
        told.append(str(value) if isinstance(value, str) else f"{symbol or name}={value:g}")
    return f"{base} + MIM4DD ({', '.join(told)})"
