"""The table of a family of contrasts, and the forest plot of every arm's accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.drawing import INK, PAGE, Style, bars, panels, percents, styles
from studies.answers.parts.wording import chance
from studies.answers.results import Cell, Results
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Table
from studies.engine.arms import CEILING, FLOOR
from studies.engine.statistics import Improvement, probability_of_improvement
from studies.engine.wording import plural


def wins(results: Results, a: Cell, b: Cell, metric: str) -> Improvement:
    """The probability over seeds that a has the higher value."""
    return probability_of_improvement(results.sets(a, metric), results.sets(b, metric))


def contrast_table(
    ledger: Ledger, name: str, title: str, columns: tuple[str, str, str], rulings: Sequence[Ruling]
) -> Table:
    """A table of contrasts of two cells, with the decisions of their family. columns: heads of a, b and a less b."""
    results = ledger.results
    rows: list[dict[str, Entry]] = []
    for ruling in rulings:
        (_, a), (_, b) = ruling.contrast.terms
        rows.append(
            {
                columns[0]: results.arms[a.arm].name,
                columns[1]: results.arms[b.arm].name,
                columns[2]: ruling.quantity,
                "decision": ruling.word,
                "p": ruling.judged.tested.difference,
                "p (Holm)": ruling.judged.difference,
                "P(better)": chance(wins(results, a, b, ruling.contrast.metric)),
                "pairs": ruling.interval.n,
                "pairs lost": ruling.lost,
                "pairs that would decide": ruling.needed or None,
            }
        )
    return Table.of(
        name,
        title,
        rows,
        "Differences in test accuracy, paired by seed, with pointwise 95% t intervals. Decision: three paired t tests "
        "(that there is a difference; none beyond half a point; more than half a point), each Holm-corrected over this "
        "table; p is that of the first. P(better): share of pairs won, ties counted as half, with an exact 95% "
        "interval. Pairs that would decide: at power 0.8, from the two ends of the interval; not stated where |t| < 1.",
    )


def by_mean(results: Results, metric: str) -> list[str]:
    """The arms in descending order of their mean at the references; those without a mean come last."""
    means = {arm: results.mean(results.cell(arm), metric).mean for arm in results.arms}
    return sorted(means, key=lambda arm: -np.inf if (mean := means[arm]) is None else mean, reverse=True)


def counted(results: Results, arm: str, metric: str) -> str:
    """An arm's name, with the number of sets that have an accuracy if some have none."""
    cell = results.cell(arm)
    scored, planned = results.mean(cell, metric).n, len(results.trials(cell))
    return results.arms[arm].name + (f" ({scored} of {plural(planned, 'set')})" if scored < planned else "")


def without(results: Results, arms: Sequence[str]) -> str:
    """The end of a caption: the arms that are not in the figure."""
    names = ", ".join(results.arms[arm].name for arm in arms)
    return f" Without an accuracy, and therefore not drawn: {names}." if arms else ""


def forest(ledger: Ledger, metric: str) -> Figure | None:
    """The accuracy of every arm at the references; ticks mark its sets, dotted lines the anchors."""
    results, style = ledger.results, styles(ledger.results.arms)
    order = [arm for arm in by_mean(results, metric) if results.mean(results.cell(arm), metric).mean is not None]
    if not order:
        return None
    lost = [arm for arm in results.arms if arm not in order]
    drawing, (axes,) = panels(1, 1, (PAGE, 0.38 * len(order) + 1.5))
    for y, key in enumerate(order):
        cell, own = results.cell(key), style[key]
        mean, sets = results.mean(cell, metric), results.sets(cell, metric)
        sets = sets[np.isfinite(sets)]
        axes.plot(sets, np.full(len(sets), y + 0.28), "|", ms=6, color=own.colour)
        bars(axes, np.array([y]), [mean], own, "", fraction=True, across=True)
    _anchor_lines(results, axes, metric, style)
    accuracies_across(axes, [counted(results, arm, metric) for arm in order])
    _key(drawing)
    return Figure(
        "accuracy",
        "Test accuracy under one recipe",
        f"Mean over {plural(len(results.seeds), 'synthetic set')} (seeds) with 95% t intervals over sets; each tick "
        "below is one set, the mean of its networks. Filled: with the MI term; hollow: without it. Dotted: random real "
        "images, and full data under the same recipe with shortened training. Ordered by the mean, by which nothing is "
        f"chosen.{without(results, lost)}",
        drawing,
    )


def accuracies_across(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a plot of test accuracies, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("test accuracy")
    axes.xaxis.set_major_formatter(percents(axes.xaxis))
    axes.grid(axis="x", color="#e6e9ee", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _anchor_lines(results: Results, axes: Axes, metric: str, style: dict[str, Style]) -> None:
    """Draw floor and ceiling as dotted lines; their names stand between them, or outside where there is no room."""
    low, high = axes.get_xlim()
    known = {arm: results.mean(results.cell(arm), metric).mean for arm in (FLOOR, CEILING) if arm in results.arms}
    positions = {arm: mean for arm, mean in known.items() if mean is not None}
    near = len(positions) == 2 and np.ptp(list(positions.values())) < 0.6 * (high - low)
    for arm, x in positions.items():
        name, inward = ("floor", "left") if arm == FLOOR else ("ceiling", "right")
        outward = {"left": "right", "right": "left"}[inward]
        axes.axvline(x, color=style[arm].colour, ls=style[arm].line, lw=1.2, zorder=0)
        axes.annotate(
            f"{name}: {results.arms[arm].name}",
            (x, 1.0),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha=outward if near else inward,
            fontsize=8.5,
            color=INK,
        )
    axes.set_xlim(low, high)


def _key(drawing: Drawing) -> None:
    """Add the legend of the markers."""
    shapes = [
        Line2D([], [], marker="o", ls="-", lw=1.5, color=INK, mfc="white", mew=1.5, ms=6, label="without the MI term"),
        Line2D([], [], marker="o", ls="-", lw=1.5, color=INK, ms=6, label="with the MI term"),
        Line2D([], [], marker="|", ls="", color=INK, ms=6, label="one synthetic set"),
    ]
    drawing.legend(handles=shapes, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
