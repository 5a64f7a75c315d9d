"""What a synthetic set costs in all: its preparation, its iterations, the networks that evaluate it; and its bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch

from studies.answers.ledger import Ledger
from studies.answers.parts.drawing import PAGE, panels
from studies.answers.results import Cell, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Claim, Figure, Quantity, Table
from studies.engine.arms import FLOOR
from studies.engine.rows import Array, Row
from studies.engine.statistics import mean_interval

STAGES = ("preparing", "distilling", "evaluating")
# Light to dark, with hatches: readable in grey.
LOOKS = {"preparing": ("#CC6677", "///"), "distilling": ("#332288", ""), "evaluating": ("#c9ced6", "...")}


@dataclass(frozen=True, eq=False)
class Stages:
    """The seconds of each stage of one set, by repeat. Shapes: [repeats], 0 where a method has no such stage."""

    preparing: Array
    distilling: Array
    evaluating: Array

    @property
    def total(self) -> Array:
        """Of all stages; without the evaluation where it was not measured."""
        return self.preparing + self.distilling + np.nan_to_num(self.evaluating)

    @property
    def evaluated(self) -> bool:
        """Whether the evaluation is among them."""
        return bool(np.isfinite(self.evaluating).any())

    def share(self, stage: str) -> float:
        """A stage's mean share of the total."""
        return float(np.nanmean(np.nan_to_num(getattr(self, stage)) / np.where(self.total > 0, self.total, np.nan)))


def seconds(results: Results, cell: Cell, metric: str) -> Array:
    """A logged metric in its own unit, by repeat; NaN where it was not measured."""
    return np.exp(results.sets(cell, metric))


def own_level(results: Results) -> str:
    """The level of the study's own data, "" where they were not measured."""
    dataset = str(results.folder.study["dataset"])
    labels = [level.label for factor in results.factors for level in factor.levels if not level.curve]
    return next((label for label in labels if label.partition(":")[0] == dataset.partition(":")[0]), "")


def stages(results: Results, arm: str, level: str) -> Stages:
    """The stages of an arm at a level.

    The evaluating networks are those of random images, of which there are as many: NaN where these are no arm. A stage
    that a method has not is 0; NaN in a repeat that did not finish.
    """
    cell, floor = Cell(arm, (level,)), Cell(FLOOR, (level,))
    rows = [results.row(cell, k) for k in range(len(results.seeds))]
    present = np.array([row is not None and row.status == "ok" for row in rows])

    def found(metric: str, times: float = 1.0) -> Array:
        values = seconds(results, cell, metric) * times
        return np.where(present, 0.0, np.nan) if np.isnan(values).all() else values

    evaluating = np.full(len(rows), np.nan)
    if FLOOR in results.arms:
        training, one = (seconds(results, floor, metric) for metric in ("training", "classification"))
        evaluating = training + held_out(results, floor) * one
    distilling = found("iteration", iterations_of(results, cell)) + found("selection")
    return Stages(found("preparation"), distilling, np.where(present, evaluating, np.nan))


def iterations_of(results: Results, cell: Cell) -> int:
    """The iterations of a cell's method, 0 of a selection."""
    return next((int(row.record["result"].get("iterations", 0)) for row in _finished(results, cell)), 0)


def held_out(results: Results, cell: Cell) -> int:
    """The images that the networks of a real run classify."""
    return next((int(row.record["result"].get("held_out_images", 0)) for row in _finished(results, cell)), 0)


def _finished(results: Results, cell: Cell) -> list[Row]:
    return [row for row in results.rows(cell) if row.status == "ok"]


def logged(values: Array, unit: str) -> Quantity:
    """The geometric mean of positive values with its interval; none where none is positive."""
    positive = np.where(values > 0, values, np.nan)
    return Quantity.of(mean_interval(np.log(positive)), unit)


def stage_table(ledger: Ledger, levels: list[str]) -> Table:
    """Every method at every level: an iteration, the stages of a set, its memory, its bytes."""
    results, rows = ledger.results, list[dict[str, Entry]]()
    for level in levels:
        for arm in results.arms:
            cell = Cell(arm, (level,))
            if not _finished(results, cell):
                continue
            found = stages(results, arm, level)
            peak = "peak" if results.mean(cell, "peak").n else "training_peak"
            cpu = np.exp(results.sets(cell, "iteration_cpu") - results.sets(cell, "iteration"))
            rows.append(
                {
                    "problem": level,
                    "method": results.arms[arm].name,
                    "an iteration": Quantity.of(ledger.mean(cell, "iteration", "cost"), "log seconds"),
                    "CPU seconds a second": None if np.isnan(cpu).all() else Quantity.of(mean_interval(cpu), "share"),
                    "iterations": iterations_of(results, cell) or None,
                    "preparing": logged(found.preparing, "log seconds"),
                    "distilling": logged(found.distilling, "log seconds"),
                    "evaluating": logged(found.evaluating, "log seconds"),
                    "a set in all": total_of(ledger, arm, level)[0],
                    "peak memory": Quantity.of(ledger.mean(cell, peak, "cost"), "log bytes"),
                    "set stored": Quantity.of(results.mean(cell, "stored"), "log bytes"),
                    "prepared, stored": Quantity.of(results.mean(cell, "prepared"), "log bytes"),
                }
            )
    return Table.of(
        "stages",
        "What a synthetic set costs, stage by stage",
        rows,
        "Geometric means over repeats with 95% t intervals, methods in turns, each alone on its machine; 28x28 and "
        "32x32 are noise in the shape of MNIST and CIFAR-10. Preparing: the experts of MTT or the network of a "
        "coreset, one part of it measured and scaled by its images; they serve every set of a data set. Distilling: "
        "iterations of the protocol times an iteration, or the selection (of a part of the images, scaled). "
        "Evaluating: the protocol's networks, trained on as many random images, and their classification of the "
        "held-out ones. Peak memory: of one iteration (of random images: of an epoch of evaluating) in a fresh "
        "process, on a GPU of the device, above what it held before: the data set, and what is prepared, are not in "
        "it.",
    )


def total_of(ledger: Ledger, arm: str, level: str) -> tuple[Quantity, Claim]:
    """The seconds of a set of an arm at a level, all its stages together, and their claim."""
    total = stages(ledger.results, arm, level).total
    interval = mean_interval(np.log(np.where(total > 0, total, math.nan)))
    what = f"seconds of a set of {ledger.results.arms[arm].name}, {level}, all stages"
    numbers = (interval.mean, interval.low, interval.high, interval.n)
    claim = ledger.estimate(slug("total", arm, level), what, *numbers, "log seconds")
    return Quantity.of(interval, "log seconds"), claim


def stage_figure(ledger: Ledger, levels: list[str]) -> Figure | None:
    """A bar for each method, a panel for each problem: the seconds of a set, and which stages they are."""
    results = ledger.results
    arms = [arm for arm in results.arms if any(_finished(results, Cell(arm, (level,))) for level in levels)]
    if not arms:
        return None
    drawing, grid = panels(len(levels), 1, (PAGE, 0.24 * len(arms) + 0.75))
    taken = set[str]()
    for axes, level in zip(grid, levels, strict=True):
        shown = [arm for arm in arms if _finished(results, Cell(arm, (level,)))]
        for y, arm in enumerate(shown):
            found, left = stages(results, arm, level), 0.0
            for stage in STAGES:
                width = found.share(stage)
                if width > 0:
                    taken.add(stage)
                colour, hatch = LOOKS[stage]
                axes.barh(y, 100 * width, left=100 * left, color=colour, hatch=hatch, edgecolor="white", height=0.72)
                left += width
            whole = logged(found.total, "log seconds")
            text = " ".join(Quantity(whole.mean, unit=whole.unit).printed) if whole.n else ""
            axes.text(101, y, text, va="center", fontsize=8)
        axes.set_yticks(range(len(shown)), [results.arms[arm].name for arm in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.set_title(level, fontsize=9, loc="left")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    grid[-1].set_xlabel("share of a set's time, %; right: the time")
    _legend(drawing, [stage for stage in STAGES if stage in taken])
    return Figure(
        "stages",
        "Where the seconds of a synthetic set go",
        "Share of each stage in the time of one set under its protocol (means over repeats), and at the right that "
        "time (the geometric mean, as in the table). What is prepared (MTT's experts, a coreset's network) serves "
        "every set of a data set and is counted whole here.",
        drawing,
    )


def _legend(drawing: Drawing, taken: list[str]) -> None:
    handles = [Patch(facecolor=LOOKS[s][0], hatch=LOOKS[s][1], edgecolor="white", label=s) for s in taken]
    drawing.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8.5)
