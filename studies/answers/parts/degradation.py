"""A response in tables and pictures: every arm at every level, the slopes, and the curves with the gains below."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure as Drawing

from studies.answers.parts.drawing import ZERO, band, curve_axis, legend, percent_axis, tints
from studies.answers.parts.overview import WORDS
from studies.answers.parts.response import Levels, Response
from studies.answers.parts.wording import chance
from studies.answers.results import Cell
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Table
from studies.engine.arms import CEILING
from studies.engine.statistics import probability_of_improvement


def degradation_table(found: Response) -> Table:
    """Every arm at every level: accuracy, cost, gain, change, and what was lost."""
    results = found.results
    rows = [_row(found, arm, at) for at in results.levels for arm in results.arms if results.setting(Cell(arm, at))]
    gains, changes = (found.size(family) for family in ("gains over the base", "changes of gains"))
    return Table.of(
        "degradation",
        f"Accuracy at every level of {' and '.join(factor.name for factor in results.factors)}",
        rows,
        "Mean over the synthetic sets (seeds) that did not diverge, pointwise 95% t intervals; differences pair "
        "sets of one seed. Balanced accuracy is the mean recall of the classes on the clean test split; nothing is "
        f"chosen by it. Decision: three paired t tests, each with Holm's correction over the {gains} gains, margin "
        f"half a point; * likewise over the costs and the {changes} changes. P(better): share of pairs won, ties "
        "half, exact interval.",
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
        "Each seed's least-squares slope over the clean control and the severities of one kind (wrong labels as "
        "realised, up to half of them; log10 of the factor); the interval is over seeds and says nothing of the "
        "misfit, the largest distance of a condition's mean from the mean line. Decision: Holm over "
        f"{' or '.join(map(str, sizes))}.",
    )


def degradation_figure(found: Response, note: str = "") -> Figure | None:
    """Accuracy above, the gains below, a column a curve. note: what else its caption says."""
    if not found.curves:
        return None
    columns, tint = len(found.curves), tints(found.results.arms)
    drawing = Drawing(figsize=(max(6.5, 3.3 * columns + 1), 6.6), layout="constrained")
    grid = drawing.subplots(2, columns, sharey="row", sharex="col", squeeze=False, height_ratios=[3, 2])
    for k, (curve, points_) in enumerate(found.curves):
        top, bottom = grid[0][k], grid[1][k]
        x, levels = np.array([place for place, _ in points_]), [one for _, one in points_]
        for arm in found.main:
            dashed = found.results.arms[arm].method == CEILING
            means = [found.results.mean(Cell(arm, one), found.metric) for one in levels]
            band(top, x, means, tint[arm], found.name(arm), dashed=dashed)
            if arm in found.terms:
                gains = [found.gain(arm, one) for one in levels]
                band(bottom, x, [one.interval for one in gains], tint[arm], found.name(arm))
                marked = [(place, one.interval.mean) for place, one in zip(x, gains, strict=True) if one.differs]
                if marked:
                    bottom.plot(*zip(*marked, strict=True), "*", ms=11, color=tint[arm], mec="white", zorder=4)
        bottom.axhline(0, color=ZERO, lw=1)
        top.set_title(curve.name, fontsize=11)
        curve_axis(bottom, curve, x)
        top.set_ylim(0, 1.02)  # a t interval of few sets knows no bounds
        percent_axis(top)
        percent_axis(bottom, 1)
    grid[0][0].set_ylabel(WORDS[found.metric])
    grid[1][0].set_ylabel("paired gain over the base")
    legend(drawing, grid[0][0])
    return Figure(
        "degradation",
        "What it costs, and what is left of the gain",
        f"Mean over {len(found.results.seeds)} synthetic sets (seeds) with pointwise 95% t bands over sets; the first "
        f"point is {found.at_reference}. Below: the MI term's gain over the base at the same level, paired by seed; a "
        f"star where a gain or a loss is decided.{f' {note}' if note else ''}",
        drawing,
    )
