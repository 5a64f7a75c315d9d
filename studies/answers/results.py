"""A study's rows as labelled arrays [arm, factor..., seed, network], with their means and contrasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from mim4dd.registry import Flat
from studies.answers.metrics import METRICS
from studies.engine.arms import Arm, Curve, Factor, Setting
from studies.engine.folder import StudyFolder
from studies.engine.rows import Array, Row, TrainingData
from studies.engine.statistics import Interval, SetComponents, mean_interval, set_components
from studies.engine.statistics.contrasts import MARGIN


@dataclass(frozen=True)
class Cell:
    """One arm at one level of each factor, by labels in the factors' order."""

    arm: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of cells for each seed: a gain is a cell less its control, a change the difference of two gains.

    id: unique in an answer; what: its description; unit: its metric's, `points` (differences of fractions, times 100),
    `points of H(Y)` (of shares of the label's entropy) or `nats`. differences: by seed, NaN for a lost pair; absent:
    the number of pairs that lack a row. seeds: those that it is judged on, if not on all.
    """

    id: str
    what: str
    metric: str
    terms: tuple[tuple[float, Cell], ...]
    differences: tuple[float, ...]
    absent: int
    trials: tuple[str, ...]
    margin: float = MARGIN
    unit: str = "points"
    seeds: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for a contrast and its opposite; the metric and the id where no cells define the contrast."""
        if not self.terms:
            return self.metric, self.id
        weights = self._weights()
        return (
            self.metric,
            self.seeds,
            frozenset((round(self.sign * weight, 12), cell) for cell, weight in weights.items()),
        )

    @property
    def sign(self) -> float:
        """1, or -1 where the first cell by name is subtracted; a contrast and its opposite differ in it."""
        weights = self._weights()
        first = min(weights, key=lambda cell: (cell.arm, cell.levels), default=None)
        return -1.0 if first is not None and weights[first] < 0 else 1.0

    def _weights(self) -> dict[Cell, float]:
        """The non-zero weight of each cell, summed over the terms."""
        weights = {cell: 0.0 for _, cell in self.terms}
        for weight, cell in self.terms:
            weights[cell] += weight
        return {cell: weight for cell, weight in weights.items() if weight}


class Results:
    """The rows of a study folder by arm, level, seed and network."""

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder
        self.arms: dict[str, Arm] = {arm.key: arm for arm in folder.arms}
        self.factors: tuple[Factor, ...] = folder.factors
        self.seeds = folder.seeds
        self._settings = {
            Cell(setting.arm.key, tuple(setting.levels[factor.name] for factor in self.factors)): setting
            for setting in folder.settings
        }
        self._tables: dict[str, xr.DataArray] = {}

    @property
    def dims(self) -> tuple[str, ...]:
        return ("arm", *(factor.name for factor in self.factors), "seed", "network")

    @cached_property
    def reference(self) -> tuple[str, ...]:
        """The reference level of each factor."""
        return tuple(factor.reference.label for factor in self.factors)

    @cached_property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Every combination of the factors' levels, the references first."""
        return tuple(product(*([level.label for level in factor.levels] for factor in self.factors)))

    @cached_property
    def networks(self) -> int:
        """The largest number of networks that evaluate a set."""
        rows = self.folder.rows.values()
        return max((row.networks for row in rows), default=1) or 1

    def table(self, metric: str) -> xr.DataArray:
        """A metric of every trial, [arm, factor..., seed, network]; NaN if a trial failed, diverged or is missing."""
        if metric not in self._tables:
            shape = [len(self.arms), *(len(factor.levels) for factor in self.factors), len(self.seeds), self.networks]
            values = np.full(shape, np.nan)
            for cell, setting in self._settings.items():
                at, view = self._index(cell), self.view(cell)
                for seed, trial in enumerate(setting.trials):
                    if (row := self.folder.rows.get(trial)) is not None:
                        scores = METRICS[metric].scores(row.seen(view))
                        values[at][seed, : len(scores)] = scores
            coordinates: dict[str, Any] = {"arm": list(self.arms), "seed": list(self.seeds)}
            coordinates |= {factor.name: [level.label for level in factor.levels] for factor in self.factors}
            self._tables[metric] = xr.DataArray(values, coordinates, self.dims, metric)
        return self._tables[metric]

    def view(self, cell: Cell) -> str:
        """The view of a row that a cell reads, that of the level which has one."""
        levels = (factor.level(label) for factor, label in zip(self.factors, cell.levels, strict=True))
        return next((level.view for level in levels if level.view), "")

    def _index(self, cell: Cell) -> tuple[int, ...]:
        """A cell's position in a table, [arm, factor...]."""
        levels = [
            [level.label for level in factor.levels].index(label)
            for factor, label in zip(self.factors, cell.levels, strict=True)
        ]
        return (list(self.arms).index(cell.arm), *levels)

    def cell(self, arm: str, *levels: str) -> Cell:
        """An arm at these levels; at the reference levels by default."""
        return Cell(arm, levels or self.reference)

    def setting(self, cell: Cell) -> Setting | None:
        """The setting of a cell; None where the study does not run it."""
        return self._settings.get(cell)

    def networks_of(self, cell: Cell, metric: str = "test") -> Array:
        """A metric of each network, [seeds, networks]."""
        return np.asarray(self.table(metric).values[self._index(cell)])

    def sets(self, cell: Cell, metric: str = "test") -> Array:
        """A metric of each set, the mean of its networks, [seeds]; NaN where it has none."""
        values = self.networks_of(cell, metric)
        present = np.isfinite(values)
        count = present.sum(axis=1)
        return np.where(count > 0, np.where(present, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)

    def mean(self, cell: Cell, metric: str = "test") -> Interval:
        """A metric over sets, with its 95% t interval."""
        return mean_interval(self.sets(cell, metric))

    def spread(self, cell: Cell, metric: str = "test") -> SetComponents:
        """The variance between the sets of a cell, and between the networks of a set."""
        return set_components(self.networks_of(cell, metric))

    def judges(self, cell: Cell, metric: str = "test") -> int:
        """The number of networks that evaluate a set of the cell."""
        return int(np.isfinite(self.networks_of(cell, metric)).sum(axis=1).max(initial=0))

    def trials(self, cell: Cell) -> tuple[str, ...]:
        """The trials of a cell by seed; none where the study does not run it."""
        setting = self.setting(cell)
        return setting.trials if setting else ()

    def rows(self, cell: Cell) -> list[Row]:
        """The existing rows of a cell."""
        return [self.folder.rows[trial] for trial in self.trials(cell) if trial in self.folder.rows]

    def row(self, cell: Cell, seed: int) -> Row | None:
        """The row of a cell for the seed at this index; None where it is missing."""
        trials = self.trials(cell)
        return self.folder.rows.get(trials[seed]) if seed < len(trials) else None

    def ended(self, cell: Cell, status: str) -> int:
        """The number of trials of a cell that ended in a status; `missing`: those without a row."""
        if status == "missing":
            return len(self.trials(cell)) - len(self.rows(cell))
        return sum(row.status == status for row in self.rows(cell))

    def config(self, arm: str) -> Flat:
        """An arm's configuration, from any of its rows; empty when it has none."""
        cells = (Cell(arm, levels) for levels in self.levels)
        return next((dict(row.config) for cell in cells for row in self.rows(cell)), {})

    def data(self, levels: tuple[str, ...], seed: int) -> TrainingData | None:
        """The training data of a seed, which all arms share; None where no row describes it."""
        rows = (self.row(Cell(arm, levels), seed) for arm in self.arms)
        return next((row.data for row in rows if row is not None and row.data is not None), None)

    def any_data(self, levels: tuple[str, ...]) -> TrainingData | None:
        """The training data of the first seed that has a description of it."""
        return next(filter(None, (self.data(levels, seed) for seed in range(len(self.seeds)))), None)

    # Contrasts

    def contrast(
        self,
        id: str,
        what: str,
        *terms: tuple[float, Cell],
        metric: str = "test",
        margin: float | None = None,
        values: Array | None = None,
        among: Sequence[int] | None = None,
    ) -> Contrast:
        """A weighted sum of cells, paired by seed.

        margin: that of the metric by default. values: by seed, replace the sum where the cells vary by seed. among: the
        seeds to judge it on; by default those that are planned for every cell.
        """
        total = np.zeros(len(self.seeds))
        absent = np.zeros(len(self.seeds), dtype=bool)
        planned = min((len(self.trials(cell)) for _, cell in terms), default=len(self.seeds))
        if among is None and planned < len(self.seeds):
            among = self.seeds[:planned]
        judged = [k for k, seed in enumerate(self.seeds) if among is None or seed in among]
        trials: dict[str, None] = {}
        for weight, cell in terms:
            total = total + weight * self.sets(cell, metric)
            own = self.trials(cell)
            trials |= dict.fromkeys(own[k] for k in judged if k < len(own))
            absent |= [seed < len(own) and own[seed] not in self.folder.rows for seed in range(len(self.seeds))]
        differences = tuple(float(difference) for difference in (total if values is None else values)[judged])
        fixed, seeds = terms if values is None else (), tuple(among or ())
        unit, lacking = METRICS[metric].difference, int(absent[judged].sum())
        margin = METRICS[metric].margin if margin is None else margin
        return Contrast(id, what, metric, fixed, differences, lacking, tuple(trials), margin, unit, seeds)

    def gain(self, arm: str, levels: tuple[str, ...] = (), metric: str = "test") -> Contrast:
        """The difference of an arm and its control at the same levels."""
        levels = levels or self.reference
        control = self.arms[arm].control
        return self.against(arm, control, levels, metric, kind="gain")

    def against(
        self, a: str, b: str, levels: tuple[str, ...] = (), metric: str = "test", *, kind: str = "difference"
    ) -> Contrast:
        """The difference of two arms, a less b, at the same levels."""
        levels = levels or self.reference
        what = f"{self.arms[a].name} {METRICS[metric].less} {self.arms[b].name}{self.at(levels)}"
        id = slug(kind, a, *((b,) if kind == "difference" else ()), *levels)
        return self.contrast(id, what, (1.0, Cell(a, levels)), (-1.0, Cell(b, levels)), metric=metric)

    def cost(self, arm: str, levels: tuple[str, ...], metric: str = "test") -> Contrast:
        """The difference of an arm at these levels and at the references."""
        what = f"{self.arms[arm].name}{self.at(levels)} {METRICS[metric].less} itself{self.at(self.reference)}"
        terms = ((1.0, Cell(arm, levels)), (-1.0, Cell(arm, self.reference)))
        return self.contrast(slug("cost", arm, *levels), what, *terms, metric=metric)

    def change(self, arm: str, levels: tuple[str, ...], metric: str = "test") -> Contrast:
        """The difference of an arm's gain at these levels and its gain at the references."""
        control, reference, less = self.arms[arm].control, self.reference, METRICS[metric].less
        what = f"the gain of {self.arms[arm].name}{self.at(levels)} {less} its gain{self.at(reference)}"
        gain = ((1.0, Cell(arm, levels)), (-1.0, Cell(control, levels)))
        subtracted = ((-1.0, Cell(arm, reference)), (1.0, Cell(control, reference)))
        return self.contrast(slug("change", arm, *levels), what, *gain, *subtracted, metric=metric)

    def at(self, levels: tuple[str, ...]) -> str:
        """Levels as the end of a phrase, `, symmetric 0.4`; "" without levels."""
        return f", {' · '.join(levels)}" if levels else ""

    # Curves

    def curves(self) -> Iterator[tuple[Curve, list[tuple[float, tuple[str, ...]]]]]:
        """Each curve of the factors, with its (x, levels) in ascending order, the reference first."""
        for position, factor in enumerate(self.factors):
            for curve in factor.curves:
                points = []
                for level in factor.levels:
                    labels = (*self.reference[:position], level.label, *self.reference[position + 1 :])
                    x = self._realised(curve, labels, level.at)
                    if level.curve == curve.name and x is not None:
                        points.append((x, labels))
                if points:
                    yield curve, [(curve.origin, self.reference), *sorted(points)]

    def _realised(self, curve: Curve, levels: tuple[str, ...], planned: float | None) -> float | None:
        """A level's x on a curve: the mean realised value over the seeds, or the planned one where no row has it."""
        if not curve.realised:
            return planned
        data = (self.data(levels, seed) for seed in range(len(self.seeds)))
        realised = [value for training in data if training is not None for value in training.realised(curve.realised)]
        return float(np.mean(realised)) if realised else planned


def slug(*parts: str) -> str:
    """The parts joined to an id without spaces, `gain/mim:base=dm/symmetric-0.4`."""
    return "/".join(part.replace(" ", "-") for part in parts if part)
