"""Every number of a stress answer, from rows alone: arms under conditions, paired over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from studies.answers.stress.arms import OWN, Arm, arms_of, key_of
from studies.engine.conditions import Condition
from studies.engine.design import Setting
from studies.engine.evidence import Array, Evidence
from studies.engine.failures.groups import Classes
from studies.engine.statistics import (
    Interval,
    PairedInterval,
    holm,
    mean_interval,
    paired_interval,
    paired_p_value,
    set_means,
)


@dataclass(frozen=True)
class Curve:
    """Conditions of one kind in order of severity, the clean control (condition 0) first."""

    family: str
    stage: str
    conditions: tuple[int, ...]

    @property
    def worst(self) -> int:
        return self.conditions[-1]


@dataclass(frozen=True)
class Slope:
    """What one unit of severity does to accuracy: the mean over seeds of each seed's least-squares slope.

    upto: the last condition that enters; misfit: the largest distance of a condition's mean from the mean line.
    """

    curve: Curve
    arm: Arm
    interval: Interval
    upto: int
    misfit: float | None


# Beyond it labels say less of an image than its pixels do, and no curve is a line.
SLOPE_RATE = 0.5


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
        return np.array([set_means(of_condition) for of_condition in self.accuracy])

    def mean(self, condition: int, arm: int) -> Interval:
        """Balanced test accuracy over seeds."""
        return mean_interval(self.sets[condition, arm])

    def gain(self, condition: int, arm: int) -> PairedInterval:
        """The arm less its base under the same condition, paired over seeds."""
        return paired_interval(self.sets[condition, arm], self.sets[condition, self.base_of(arm)])

    def loss(self, condition: int, arm: int) -> PairedInterval:
        """The arm under this condition less itself on clean data, paired over seeds."""
        return paired_interval(self.sets[condition, arm], self.sets[0, arm])

    def gain_change(self, condition: int, arm: int) -> PairedInterval:
        """How much the arm's gain over its base differs from its gain on clean data, paired over seeds."""
        return paired_interval(self.gains[condition, arm], self.gains[0, arm])

    @cached_property
    def gains(self) -> Array:
        """Each set less that of the arm's base, [conditions, arms, seeds]; 0 for arms without the term."""
        return self.sets - self.sets[:, [j if arm.base is None else arm.base for j, arm in enumerate(self.arms)]]

    def base_of(self, arm: int) -> int:
        """Where the base of an arm with the term stands."""
        base = self.arms[arm].base
        if base is None:
            raise ValueError(f"{self.arms[arm].name} has no base among the arms")
        return base

    @property
    def base(self) -> int:
        """The base that the suite is about."""
        return next(i for i, arm in enumerate(self.arms) if arm.role == "base")

    @property
    def own(self) -> list[int]:
        """The arms that every suite has: what its curves and its words are about."""
        return [j for j, arm in enumerate(self.arms) if arm.role in OWN]

    @property
    def others(self) -> list[int]:
        """The methods that were asked for besides."""
        return [j for j, arm in enumerate(self.arms) if arm.role not in OWN]

    @property
    def random(self) -> int:
        return next(i for i, arm in enumerate(self.arms) if arm.role == "random")

    def result(self, condition: int, arm: int, seed: int) -> dict[str, Any]:
        """A trial's result; empty where it has no row."""
        trials = self.settings[condition][arm].trials
        row = self.evidence.rows.get(trials[seed], {}) if seed < len(trials) else {}
        found: dict[str, Any] = row.get("result", {})
        return found

    def data_result(self, condition: int, seed: int) -> dict[str, Any]:
        """The result of some trial of a seed, for its data: all arms meet the same. Empty where none has a row."""
        results = (self.result(condition, arm, seed) for arm in range(len(self.arms)))
        return next((result for result in results if "train_counts" in result), {})

    def any_result(self, condition: int) -> dict[str, Any]:
        """The same of the first seed that has one."""
        return next(filter(None, (self.data_result(condition, seed) for seed in range(self.seeds))), {})

    def class_counts(self, condition: int, seed: int) -> list[int] | None:
        """Training images by true class of one seed; None where none of its trials has a row."""
        result = self.data_result(condition, seed)
        if not result:
            return None
        # Rows written before the true counts were kept: only an imbalance changes those.
        cut = [step["counts"] for step in result["perturbed"].values() if "factor" in step]
        found: list[int] = result.get("clean_counts") or (cut[0] if cut else result["train_counts"])
        return found

    def group_recall(self, condition: int, arm: int, groups: Callable[[Sequence[int]], Sequence[Classes]]) -> Array:
        """Mean test recall of each group of classes, [groups, seeds]; a seed's groups are those of its own counts."""
        columns: list[list[float] | None] = []
        for k, one in enumerate(self.recall[condition][arm]):
            counts = self.class_counts(condition, k)
            found = groups(counts) if counts else ()
            if one is None or not found:
                columns.append(None)
            else:
                columns.append([float(np.nanmean(one[:, group])) if len(group) else np.nan for group in found])
        width = max((len(column) for column in columns if column), default=1)
        return np.array([column or [np.nan] * width for column in columns]).T

    @cached_property
    def place(self) -> list[float | None]:
        """Each condition's place on its curve: the realised noise rate, the imbalance factor or a severity."""
        return [self._place(i) for i in range(len(self.conditions))]

    def _place(self, condition: int) -> float | None:
        stages = self.conditions[condition].stages
        if stages == ("label noise",):
            rates = []
            for k in range(self.seeds):
                steps = self.data_result(condition, k).get("perturbed", {})
                rates += [step["rate"] for step in steps.values() if "rate" in step]
            return float(np.mean(rates)) if rates else self.conditions[condition].severity
        return self.conditions[condition].severity

    @cached_property
    def curves(self) -> list[Curve]:
        """Every kind of a single stage whose conditions have a place."""
        found: dict[tuple[str, str], list[int]] = {}
        for i, one in enumerate(self.conditions):
            if len(one.stages) == 1 and self.place[i] is not None:
                found.setdefault((one.stages[0], one.family), []).append(i)
        return [
            Curve(family, stage, (0, *sorted(members, key=lambda i: self.place[i] or 0)))
            for (stage, family), members in found.items()
        ]

    def places(self, curve: Curve) -> Array:
        """Where a curve's conditions stand on its axis; the clean control at rate or severity 0, or factor 1."""
        clean = 1.0 if curve.stage == "imbalance" else 0.0
        return np.array([clean if i == 0 else float(self.place[i] or 0) for i in curve.conditions])

    @cached_property
    def slopes(self) -> list[Slope]:
        """Each arm's change per 10% of wrong labels (up to half of them), factor of ten, or step of severity."""
        found = []
        for curve in self.curves:
            x = self.places(curve)
            inside = [k for k in range(len(x)) if curve.stage != "label noise" or x[k] <= SLOPE_RATE]
            if len(inside) < 2:
                continue
            x = {"label noise": 10 * x, "imbalance": np.log10(np.maximum(x, 1))}.get(curve.stage, x)[inside]
            kept = [curve.conditions[k] for k in inside]
            for j, arm in enumerate(self.arms):
                y = self.sets[kept, j]
                # A seed enters with all its conditions or not at all.
                whole = y[:, np.isfinite(y).all(0)]
                fitted = [float(np.polyfit(x, column, 1)[0]) for column in whole.T]
                misfit = None
                if whole.shape[1] and len(kept) > 2:  # two points always lie on their line
                    line = np.polynomial.Polynomial.fit(x, whole.mean(1), 1)
                    misfit = float(np.abs(whole.mean(1) - line(x)).max())
                found.append(Slope(curve, arm, mean_interval(fitted), kept[-1], misfit))
        return found

    @cached_property
    def gain_p(self) -> dict[tuple[int, int], float]:
        """Paired t tests of every gain over a base, Holm's correction over all of them."""
        return self._tested(self.gains, range(len(self.conditions)))

    @cached_property
    def change_p(self) -> dict[tuple[int, int], float]:
        """The same of every change of a gain against the clean data."""
        return self._tested(self.gains - self.gains[:1], range(1, len(self.conditions)))

    def _tested(self, differences: Array, conditions: range) -> dict[tuple[int, int], float]:
        places = [(i, j) for i in conditions for j, arm in enumerate(self.arms) if arm.has_term]
        raw = {place: paired_p_value(differences[place], np.zeros(self.seeds)) for place in places}
        known = {place: p for place, p in raw.items() if p is not None}
        return dict(zip(known, holm(list(known.values())), strict=True))

    def ended(self, condition: int, arm: int, status: str) -> int:
        """How many of an arm's trials ended in a status."""
        return sum(self.result(condition, arm, k).get("status") == status for k in range(self.seeds))

    def class_recall(self, condition: int, arm: int) -> Array | None:
        """Mean test recall of each class over seeds and networks, [C]."""
        found = [one.mean(0) for one in self.recall[condition][arm] if one is not None]
        return np.asarray(np.mean(found, 0)) if found else None


def find(evidence: Evidence) -> Findings:
    """Order the settings by condition and arm; the arms of the clean control are those of every condition."""
    conditions = evidence.conditions
    of_clean = evidence.at(conditions[0]).settings
    base = str(evidence.identity["configuration"]["method.base"])
    arms = arms_of(of_clean, base)
    settings = []
    for one in conditions:
        held = {key_of(setting): setting for setting in evidence.at(one).settings}
        settings.append([held[arm.key] for arm in arms])
    return Findings(evidence, conditions, arms, settings)
