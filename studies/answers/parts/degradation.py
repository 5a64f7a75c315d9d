"""A response in tables and pictures: every arm at every level, the slopes, and the curves with the gains below."""

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
from studies.answers.parts.overview import WORDS
from studies.answers.parts.response import Levels, Response
from studies.answers.parts.wording import chance
from studies.answers.results import Cell
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Table
from studies.engine.arms import Curve
from studies.engine.statistics import probability_of_improvement
from studies.engine.wording import plural

# Curves side by side; more go below.
COLUMNS = 3


def degradation_table(found: Response) -> Table:
    """Every arm at every level: accuracy, cost, gain, change, and what was lost."""
    results = found.results
    rows = [_row(found, arm, at) for at in results.levels for arm in results.arms if results.setting(Cell(arm, at))]
    gains, changes = (found.size(family) for family in ("gains over the base", "changes of gains"))
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


def _row(found: Response, arm: str, levels: Levels) -> dict[str, Entry]:
    results, cell, metric = found.results, Cell(arm, levels), found.metric
    mean = found.ledger.mean(cell, metric)
    diverged, beyond = results.ended(cell, "diverged"), levels != results.reference
    gain = found.gain(arm, levels) if arm in found.terms else None
    change = found.change(arm, levels) if gain and beyond else None
    return {
        **{factor.name: label for factor, label in zip(results.factors, levels, strict=True)},
        "method": found.name(arm),
        WORDS[metric]: Quantity.of(mean, "percent"),
        f"against its own {found.at_reference} control": found.cost(arm, levels).starred if beyond else None,
        "paired gain over its base": gain.quantity if gain else None,
        "decision": gain.word if gain else None,
        "p of the gain (Holm)": gain.judged.difference if gain else None,
        "P(better than its base)": _wins(found, arm, levels) if gain else None,
        "pairs": gain.interval.n if gain else None,
        f"change of the gain from {found.at_reference}": change.starred if change else None,
        "p of the change (Holm)": change.judged.difference if change else None,
        "sets × networks": f"{mean.n} × {results.judges(cell, metric)}",
        "diverged": diverged,
        "lost": len(results.seeds) - mean.n - diverged,
    }


def _wins(found: Response, arm: str, levels: Levels) -> Quantity | None:
    control = Cell(found.results.arms[arm].control, levels)
    ours, theirs = (found.results.sets(cell, found.metric) for cell in (Cell(arm, levels), control))
    return chance(probability_of_improvement(ours, theirs))


def slope_table(found: Response) -> Table:
    """Every slope with its misfit."""
    sizes = sorted({one.ruling.judged.family_size for one in found.slopes})
    rows = [
        {
            "kind": one.curve.name,
            "method": found.name(one.arm),
            "accuracy per unit": one.ruling.quantity,
            "unit": one.curve.unit,
            f"from {found.at_reference} up to": one.upto,
            "largest misfit, points": None if one.misfit is None else round(100 * one.misfit, 2),
            "seeds": one.ruling.interval.n,
            "decision": one.ruling.word,
        }
        for one in found.slopes
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


def degradation_figure(found: Response, note: str = "") -> Figure | None:
    """Accuracy above, the gains below, a column a curve. note: what else its caption says."""
    if not found.curves:
        return None
    drawing, pairs = _grid(len(found.curves))
    for (top, bottom), (curve, points_) in zip(pairs, found.curves, strict=True):
        _draw(found, top, bottom, curve, points_)
    for top, bottom in pairs[::COLUMNS]:
        top.set_ylabel(WORDS[found.metric])
        bottom.set_ylabel("gain over the base (points)")
    first = pairs[0][0]
    low, high = first.get_ylim()
    first.set_ylim(np.floor(10 * low) / 10, min(np.ceil(10 * high) / 10, 1.02))
    percent_axis(first)
    legend(drawing, first)
    return Figure(
        "degradation",
        "Accuracy along each curve, and the gain over the base",
        f"Mean over {plural(len(found.results.seeds), 'synthetic set')} (seeds) with pointwise 95% t intervals over "
        f"sets; the arms of a level stand side by side, and the first level is {found.at_reference}. Below: the gain "
        "of the MI term over the base at the same level, paired by seed; a star marks a decided gain or loss. Hollow: "
        f"a base alone; dotted: random real images and full data.{f' {note}' if note else ''}",
        drawing,
    )


def _grid(count: int) -> tuple[Drawing, list[tuple[Axes, Axes]]]:
    """A pair of panels for each curve, accuracy above the gain, `COLUMNS` pairs side by side; one scale of accuracy."""
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


def _draw(found: Response, top: Axes, bottom: Axes, curve: Curve, points_: list[tuple[float, Levels]]) -> None:
    """One curve: every main arm's accuracy, and the gains of those with a control."""
    style, terms = styles(found.results.arms), [arm for arm in found.main if arm in found.terms]
    x, log = np.array([one for one, _ in points_]), curve.scale == "log"
    for k, arm in enumerate(found.main):
        means = [found.results.mean(Cell(arm, levels), found.metric) for _, levels in points_]
        bars(top, dodged(x, k, len(found.main), log=log), means, style[arm], found.name(arm), fraction=True)
    for k, arm in enumerate(terms):
        gains, at = [found.gain(arm, levels) for _, levels in points_], dodged(x, k, len(terms), log=log)
        bars(bottom, at, [one.interval for one in gains], style[arm], found.name(arm))
        for one, x_of_arm in zip(gains, at, strict=True):
            if one.differs and one.interval.high is not None:
                star(bottom, x_of_arm, one.interval.high, style[arm].colour)
    bottom.axhline(0, color=INK, lw=0.8)
    points_axis(bottom)
    top.set_title(curve.name, fontsize=TITLE)
    curve_axis(bottom, curve, x)
