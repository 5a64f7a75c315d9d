"""The tables and the figure of a response: every arm at every level, slopes, and curves of accuracy and gain."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from studies.answers.parts.drawing import (
    INK,
    PAGE,
    TITLE,
    bars,
    curve_axis,
    dodged,
    fonts,
    legend,
    percent_axis,
    points_axis,
    star,
    styles,
)
from studies.answers.parts.overview import METRIC_NAMES
from studies.answers.parts.response import Levels, Response
from studies.answers.parts.wording import chance
from studies.answers.results import Cell
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Table
from studies.engine.arms import Curve
from studies.engine.statistics import probability_of_improvement
from studies.engine.wording import plural

# Curves in one row of the figure.
COLUMNS = 3


def degradation_table(response: Response) -> Table:
    """Every arm at every level: accuracy, cost, gain, change of the gain, and lost trials."""
    results = response.results
    rows = [_row(response, arm, at) for at in results.levels for arm in results.arms if results.setting(Cell(arm, at))]
    gains, changes = (response.size(family) for family in ("gains over the base", "changes of gains"))
    return Table.of(
        "degradation",
        f"Accuracy at every level of {' and '.join(factor.name for factor in results.factors)}",
        rows,
        "Mean over the synthetic sets (seeds) that did not diverge, with pointwise 95% t intervals; differences are "
        "paired by seed. Balanced accuracy is the mean recall of the classes on the clean test split; nothing is "
        "chosen by it. Decision: three paired t tests with a margin of half a point, each Holm-corrected over the "
        f"{plural(gains, 'gain')}; a star marks what is decided in the same way over the costs and over the "
        f"{plural(changes, 'change')}. P(better): share of pairs won, ties counted as half, with an exact interval.",
    )


def _row(response: Response, arm: str, levels: Levels) -> dict[str, Entry]:
    results, cell, metric = response.results, Cell(arm, levels), response.metric
    mean = response.ledger.mean(cell, metric)
    diverged, beyond = results.ended(cell, "diverged"), levels != results.reference
    costed = beyond and arm in response.arms
    gain = response.gain(arm, levels) if arm in response.terms else None
    change = response.change(arm, levels) if gain and beyond else None
    return {
        **{factor.name: label for factor, label in zip(results.factors, levels, strict=True)},
        "method": response.name(arm),
        METRIC_NAMES[metric]: Quantity.of(mean, "percent"),
        f"against its own {response.at_reference} control": response.cost(arm, levels).starred if costed else None,
        "paired gain over its base": gain.quantity if gain else None,
        "decision": gain.word if gain else None,
        "p of the gain (Holm)": gain.judged.difference if gain else None,
        "P(better than its base)": _wins(response, arm, levels) if gain else None,
        "pairs": gain.interval.n if gain else None,
        f"change of the gain from {response.at_reference}": change.starred if change else None,
        "p of the change (Holm)": change.judged.difference if change else None,
        "sets × networks": f"{mean.n} × {results.judges(cell, metric)}",
        "diverged": diverged,
        "lost": len(results.seeds) - mean.n - diverged,
    }


def _wins(response: Response, arm: str, levels: Levels) -> Quantity | None:
    control = Cell(response.results.arms[arm].control, levels)
    ours, theirs = (response.results.sets(cell, response.metric) for cell in (Cell(arm, levels), control))
    return chance(probability_of_improvement(ours, theirs))


def slope_table(response: Response) -> Table:
    """Every slope, with its misfit."""
    sizes = sorted({slope.ruling.judged.family_size for slope in response.slopes})
    rows = [
        {
            "kind": slope.curve.name,
            "method": response.name(slope.arm),
            "accuracy per unit": slope.ruling.quantity,
            "unit": slope.curve.unit,
            f"from {response.at_reference} up to": slope.upto,
            "largest misfit, points": None if slope.misfit is None else round(100 * slope.misfit, 2),
            "seeds": slope.ruling.interval.n,
            "decision": slope.ruling.word,
        }
        for slope in response.slopes
    ]
    return Table.of(
        "slopes",
        "Slope of degradation",
        rows,
        "Least-squares slope of each seed over the clean control and the severities of one kind (wrong labels as "
        "realised, up to half of them; log10 of the factor). The interval is over seeds and does not include the "
        "misfit, which is the largest distance of a condition's mean from the mean line. Decision: Holm-corrected over "
        f"{' or '.join(map(str, sizes))} comparisons.",
    )


def degradation_figure(response: Response, note: str = "") -> Figure | None:
    """Accuracy above the gains, one column for each curve. note: the end of its caption."""
    if not response.curves:
        return None
    drawing, pairs = _grid(len(response.curves))
    for (top, bottom), (curve, points_) in zip(pairs, response.curves, strict=True):
        _draw(response, top, bottom, curve, points_)
    for top, bottom in pairs[::COLUMNS]:
        top.set_ylabel(METRIC_NAMES[response.metric])
        bottom.set_ylabel("gain over the base (points)")
    first = pairs[0][0]
    low, high = first.get_ylim()
    first.set_ylim(np.floor(10 * low) / 10, min(np.ceil(10 * high) / 10, 1.02))
    percent_axis(first)
    legend(drawing, first)
    return Figure(
        "degradation",
        "Accuracy along each curve, and the gain over the base",
        f"Mean over {plural(len(response.results.seeds), 'synthetic set')} (seeds) with pointwise 95% t intervals over "
        f"sets; the arms of a level stand side by side, and the first level is {response.at_reference}. Below: the "
        "gain of the MI term over the base at the same level, paired by seed; a star marks a decided gain or loss. "
        f"Hollow: a base alone; dotted: random real images and full data.{f' {note}' if note else ''}",
        drawing,
    )


def _grid(count: int) -> tuple[Drawing, list[tuple[Axes, Axes]]]:
    """A pair of panels for each curve, accuracy above gain, `COLUMNS` pairs in a row; accuracy has one scale."""
    columns, rows = min(count, COLUMNS), -(-count // COLUMNS)
    with fonts():
        drawing = Drawing(figsize=(PAGE if columns > 1 else 0.85 * PAGE, 4.7 * rows + 0.6), layout="constrained")
        grid = drawing.subplots(2 * rows, columns, squeeze=False, height_ratios=[3, 2] * rows)
    pairs = [(grid[2 * (k // columns)][k % columns], grid[2 * (k // columns) + 1][k % columns]) for k in range(count)]
    for axes in set(grid.flat) - {axes for pair in pairs for axes in pair}:
        axes.set_visible(False)
    for k, (top, bottom) in enumerate(pairs):
        bottom.sharex(top)
        if k:
            top.sharey(pairs[0][0])
        top.tick_params(labelbottom=False, labelleft=k % columns == 0)
        top.spines[["top", "right"]].set_visible(False)
    return drawing, pairs


def _draw(response: Response, top: Axes, bottom: Axes, curve: Curve, points_: list[tuple[float, Levels]]) -> None:
    """Draw one curve: the accuracy of every main arm, and the gains of those with a control."""
    style, terms = styles(response.results.arms), [arm for arm in response.main if arm in response.terms]
    x, log = np.array([position for position, _ in points_]), curve.scale == "log"
    for k, arm in enumerate(response.main):
        means = [response.results.mean(Cell(arm, levels), response.metric) for _, levels in points_]
        bars(top, dodged(x, k, len(response.main), log=log), means, style[arm], response.name(arm), fraction=True)
    for k, arm in enumerate(terms):
        gains, at = [response.gain(arm, levels) for _, levels in points_], dodged(x, k, len(terms), log=log)
        bars(bottom, at, [gain.interval for gain in gains], style[arm], response.name(arm))
        for gain, x_of_arm in zip(gains, at, strict=True):
            if gain.differs and gain.interval.high is not None:
                star(bottom, x_of_arm, gain.interval.high, style[arm].colour)
    bottom.axhline(0, color=INK, lw=0.8)
    points_axis(bottom)
    top.set_title(curve.name, fontsize=TITLE)
    curve_axis(bottom, curve, x)
