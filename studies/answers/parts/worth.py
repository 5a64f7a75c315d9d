"""What accuracy costs: arms at several budgets, accuracy at equal cost, and cost to equal accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from studies.answers.ledger import Ledger
from studies.answers.metrics import METRICS
from studies.answers.parts.drawing import INK, PAGE, Style, legend, panels, percent_axis, sized_axis, styles
from studies.answers.parts.overview import METRIC_NAMES
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.answer import Figure, Quantity
from studies.engine.rows import Array
from studies.engine.units import UNITS
from studies.engine.wording import plural

# The measured seconds of a whole distillation, preparations included, as logarithms.
COST = "spent"
ITERATIONS = "iterations"
COST_NAMES = {COST: "seconds", ITERATIONS: "time"}


# Contrasts


def equal_cost(
    results: Results,
    cell: Cell,
    control: Sequence[Cell],
    *,
    cost: str = COST,
    dearer: float = 1.0,
    metric: str = "test",
) -> Contrast:
    """The accuracy of a cell less that of its control at the same cost, seed by seed.

    A seed's control is interpolated, linearly in log seconds, between its own budgets that finished. It is never
    extrapolated: where the cell costs less than the cheapest of them or more than the dearest, the pair is lost.

    control: the cells of one arm at its budgets, in any order. dearer: what a unit of cost takes of the cell, over what
    it takes of the control, such as the time of an iteration where the cost is a number of iterations.
    """
    log_costs, scores = _budgets(results, control, cost), _budgets(results, control, metric)
    at = results.sets(cell, cost) + np.log(dearer)
    reached = np.array([_between(*pair) for pair in zip(log_costs.T, scores.T, at, strict=True)])
    arms, other = results.arms, control[0].arm
    what = (
        f"{arms[cell.arm].name}{results.at(cell.levels)} less {arms[other].name} at equal {COST_NAMES.get(cost, cost)}"
    )
    id = slug("equal-cost", cost, cell.arm, *cell.levels, other)
    terms = ((1.0, cell), *((-1.0, one) for one in control))
    return results.contrast(id, what, *terms, metric=metric, values=results.sets(cell, metric) - reached)


@dataclass(frozen=True)
class EqualAccuracy:
    """The cost at which an arm first has an accuracy, over that of its control.

    contrast: of logarithms; seeds where one of both has no such cost are lost pairs. never: (arm, control), the seeds
    that have the accuracy at no budget; at_once: those that have it at the cheapest one already, so that what it costs
    is not known either.
    """

    contrast: Contrast
    accuracy: float
    never: tuple[int, int]
    at_once: tuple[int, int]


def cost_to_equal_accuracy(
    results: Results,
    cells: Sequence[Cell],
    control: Sequence[Cell],
    accuracy: float | None = None,
    *,
    cost: str = COST,
    dearer: float = 1.0,
    metric: str = "test",
) -> EqualAccuracy:
    """The ratio of the costs at which an arm and its control first reach an accuracy, seed by seed.

    Between two budgets of a seed, accuracy is taken as linear in log seconds. accuracy: by default the control's best
    mean of a budget, below which about half of its seeds stay: in simulations 4 of 10 pairs of equal arms are left, and
    of an arm that takes twice as long nearly none, with a ratio of 1.7. With an accuracy that nearly every seed of both
    reaches, some points lower, all are left and the ratio is right; a ratio over few of the pairs is worth little.

    cells, control: those of one arm each, in any order. dearer: as in `equal_cost`. Raises: ValueError if no budget
    of the control has an accuracy.
    """
    if accuracy is None:
        means = [mean for one in control if (mean := results.mean(one, metric).mean) is not None]
        if not means:
            raise ValueError("no budget of the control has an accuracy; give one")
        accuracy = max(means)
    firsts, nevers, at_onces = [], [], []
    for side in (cells, control):
        log_costs, scores = _budgets(results, side, cost), _budgets(results, side, metric)
        found = [_first(x, y, accuracy) for x, y in zip(log_costs.T, scores.T, strict=True)]
        firsts.append(np.array([at if np.isfinite(at) else np.nan for at in found]))
        nevers.append(sum(at == np.inf for at in found))
        at_onces.append(sum(at == -np.inf for at in found))
    arms, (arm, other) = results.arms, (cells[0].arm, control[0].arm)
    what = f"{COST_NAMES.get(cost, cost)} to {accuracy:.1%} of {arms[arm].name} over {arms[other].name}"
    terms = (*((1.0, one) for one in cells), *((-1.0, one) for one in control))
    id, ratios = slug("equal-accuracy", metric, arm, other), firsts[0] - firsts[1] + np.log(dearer)
    contrast = results.contrast(id, what, *terms, metric=cost, values=ratios)
    return EqualAccuracy(contrast, accuracy, (nevers[0], nevers[1]), (at_onces[0], at_onces[1]))


def _budgets(results: Results, cells: Sequence[Cell], metric: str) -> Array:
    """A metric of an arm at its budgets, [budgets, seeds]."""
    return np.array([results.sets(cell, metric) for cell in cells])


def _finished(log_cost: Array, score: Array) -> tuple[Array, Array]:
    """The budgets of a seed that have both, by cost."""
    present = np.isfinite(log_cost) & np.isfinite(score)
    order = np.argsort(log_cost[present], kind="stable")
    return log_cost[present][order], score[present][order]


def _between(log_cost: Array, score: Array, at: float) -> float:
    """A seed's score at a log cost; NaN outside of its budgets."""
    x, y = _finished(log_cost, score)
    return float(np.interp(at, x, y, left=np.nan, right=np.nan)) if len(x) and np.isfinite(at) else np.nan


def _first(log_cost: Array, score: Array, level: float) -> float:
    """The log cost at which a seed first has a score; -inf at its cheapest budget, inf at none, NaN without budgets."""
    x, y = _finished(log_cost, score)
    if not len(x):
        return np.nan
    above = np.flatnonzero(y >= level)
    if not len(above):
        return np.inf
    k = int(above[0])
    if k == 0:
        return -np.inf
    return float(x[k - 1] + (x[k] - x[k - 1]) * (level - y[k - 1]) / (y[k] - y[k - 1]))


# The figure


@dataclass(frozen=True, eq=False)
class _Path:
    """An arm along its budgets. Shapes: cost and accuracy [3, budgets], as mean, low, high."""

    arm: str
    cost: Array
    accuracy: Array


def worth_figure(
    ledger: Ledger,
    budgets: Mapping[str, Sequence[Cell]],
    anchors: Sequence[Cell],
    name: str = "worth",
    *,
    cost: str = COST,
    metric: str = "test",
    what: str = "time of a distillation",
    along: str = "budgets",
) -> Figure | None:
    """Accuracy against cost, an arm's cells joined in their order; None without any that has both.

    budgets: by arm, without the anchors; what: the cost, such as `time of a distillation`; along: what an arm's cells
    differ in, such as `50, 100 and 200 iterations`. anchors: cells of floor and
    ceiling.
    """
    results, style = ledger.results, styles(ledger.results.arms)
    paths = [path for arm, cells in budgets.items() if (path := _path(ledger, arm, cells, cost, metric)) is not None]
    if not paths:
        return None
    drawing, (axes,) = panels(1, 1, (PAGE, 4.2))
    for path in paths:
        _draw_path(axes, path, style[path.arm], results.arms[path.arm].name)
    _draw_front(axes, paths)
    sized_axis(axes, UNITS[METRICS[cost].unit], "x", most=9)
    _draw_anchors(ledger, axes, style, metric, anchors)
    percent_axis(axes)
    axes.set_xlabel(what)
    axes.set_ylabel(METRIC_NAMES[metric])
    axes.grid(color="#e6e9ee", lw=0.8)
    axes.set_axisbelow(True)
    legend(drawing, axes, most=2)
    return Figure(
        name,
        f"{METRIC_NAMES[metric].capitalize()} against the {what}",
        f"Mean {METRIC_NAMES[metric]} over {plural(len(results.seeds), 'synthetic set')} (seeds) against the geometric "
        f"mean of the {what} on a log axis, both with pointwise 95% t intervals; each method is joined along its "
        f"{along}. Grey steps: the Pareto front, the highest mean that a cost or less has reached; it is one of means, "
        "and nothing is decided by it. Dotted: random real images, and full data under the same recipe. Filled: with "
        "the MI term; hollow: without it.",
        drawing,
    )


def _path(ledger: Ledger, arm: str, cells: Sequence[Cell], cost: str, metric: str) -> _Path | None:
    """The means of the cells that have both, recorded as claims."""
    kept = [cell for cell in cells if all(ledger.results.mean(cell, one).n for one in (cost, metric))]
    if not kept:
        return None
    costs = [Quantity.of(ledger.mean(cell, cost, "(geometric mean)"), METRICS[cost].unit).numbers for cell in kept]
    means = [ledger.mean(cell, metric) for cell in kept]
    accuracies = np.array([(one.mean, one.low, one.high) for one in means], dtype=float)
    return _Path(arm, np.array(costs, dtype=float).T, np.clip(accuracies, 0, 1).T)


def _draw_path(axes: Axes, path: _Path, own: Style, name: str) -> None:
    (x, x_low, x_high), (y, y_low, y_high) = path.cost, path.accuracy
    axes.errorbar(
        x,
        y,
        xerr=(x - x_low, x_high - x),
        yerr=(y - y_low, y_high - y),
        color=own.colour,
        marker=own.marker,
        markerfacecolor=own.face,
        markersize=5.5,
        linestyle=own.line,
        lw=1.3,
        elinewidth=0.9,
        capsize=2,
        label=name,
    )


def pareto(cost: Array, accuracy: Array) -> Array:
    """The indices of the points that no other beats at their cost or less, by cost. Shapes: cost, accuracy [points]."""
    order = np.lexsort((-accuracy, cost))
    best = np.maximum.accumulate(accuracy[order])
    return np.asarray(order[np.flatnonzero(np.diff(best, prepend=-np.inf) > 0)])


def _draw_front(axes: Axes, paths: Sequence[_Path]) -> None:
    """The front as a step line, up to the dearest point."""
    cost = np.concatenate([path.cost[0] for path in paths])
    accuracy = np.concatenate([path.accuracy[0] for path in paths])
    front = pareto(cost, accuracy)
    x, y = np.append(cost[front], cost.max()), np.append(accuracy[front], accuracy[front[-1]])
    shape: dict[str, Any] = {"drawstyle": "steps-post", "color": "#c3c9d1", "solid_capstyle": "round"}
    axes.plot(x, y, **shape, lw=5, zorder=0.5, label="Pareto front of the means")


def _draw_anchors(ledger: Ledger, axes: Axes, style: Mapping[str, Style], metric: str, anchors: Sequence[Cell]) -> None:
    """Floor and ceiling as dotted lines with their names: what the one costs is near 0, the other distils nothing."""
    results = ledger.results
    for cell in anchors:
        mean, own = ledger.mean(cell, metric).mean, style[cell.arm]
        if mean is None:
            continue
        axes.axhline(mean, color=own.colour, ls=own.line, lw=1.2, zorder=0)
        axes.annotate(
            results.arms[cell.arm].name,
            (0.005, mean),
            (0, 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=8,
            color=INK,
        )
