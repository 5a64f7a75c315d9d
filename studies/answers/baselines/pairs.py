"""Who beats whom: every pair of methods, in a table and a map."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure as Drawing

from studies.answers.ledger import Ledger
from studies.answers.parts.contrasts import by_mean, wins, without
from studies.answers.parts.wording import chance
from studies.answers.results import Results
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Table, plural
from studies.engine.statistics import Improvement

# More methods than this leave no room for intervals in the cells of the map.
LEGIBLE = 10
INCHES_A_LETTER = 0.085


def wins_table(results: Results) -> Table:
    """P(row beats column) for every pair."""
    order = by_mean(results, "test")
    found = [[None if a == b else _wins(results, a, b) for b in order] for a in order]
    names = [results.arms[arm].name for arm in order]
    counts = {one.n for row in found for one in row if one is not None and one.n}
    pairs = (
        f"{plural(min(counts), 'pair')} each"
        if len(counts) == 1
        else f"{min(counts, default=0)} to {max(counts, default=0)} pairs"
    )
    rows: list[dict[str, Entry]] = []
    for name, row in zip(names, found, strict=True):
        shown = (None if one is None else chance(one) for one in row)
        rows.append({"method": name, **dict(zip(names, shown, strict=True))})
    return Table.of(
        "beats",
        "P(row beats column)",
        rows,
        "Share of pairs (sets of one seed) that the row wins, ties counted as half, with an exact pointwise 95% "
        f"interval; {pairs}. Rows and columns are ordered by mean test accuracy.",
    )


def _wins(results: Results, a: str, b: str) -> Improvement:
    return wins(results, results.cell(a), results.cell(b), "test")


def wins_figure(ledger: Ledger) -> Figure | None:
    """The same as a map; bold where the rule decides the difference."""
    results = ledger.results
    order = [arm for arm in by_mean(results, "test") if results.mean(results.cell(arm)).mean is not None]
    found = [[None if a == b else _wins(results, a, b) for b in order] for a in order]
    values = np.array([[np.nan if one is None or one.value is None else one.value for one in row] for row in found])
    if len(order) < 2 or not np.isfinite(values).any():
        return None
    names, legible = [results.arms[arm].name for arm in order], len(order) <= LEGIBLE
    margin, cell = INCHES_A_LETTER * max(map(len, names)), 0.78 if legible else 0.46
    size = (max(4.5, cell * len(order) + margin + 1.8), max(3.0, 0.62 * cell * len(order) + margin + 0.9))
    drawing = Drawing(figsize=size, layout="constrained")
    axes = drawing.subplots()
    axes.set_facecolor("#eef0f3")
    # A wider scale than probabilities have: few pairs give many zeros and ones, which must not look like certainty.
    mesh = axes.imshow(values, vmin=-0.35, vmax=1.35, cmap="RdBu", aspect="auto", interpolation="nearest")
    for y, row in enumerate(found):
        for x, one in enumerate(row):
            if one is None or one.value is None:
                continue
            weight = "bold" if ledger[results.against(order[y], order[x])].differs else "normal"
            lift = -0.14 if legible and one.low is not None else 0.0
            axes.text(x, y + lift, f"{one.value:.2f}", ha="center", va="center", fontsize=9, weight=weight)
            if legible and one.low is not None:
                axes.text(x, y + 0.22, f"{one.low:.2f} – {one.high:.2f}", ha="center", va="center", fontsize=6.5)
    axes.set_xticks(range(len(order)), names, rotation=40, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(order)), names)
    axes.set_ylabel("A (row)")
    axes.set_xlabel("B (column)")
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = drawing.colorbar(mesh, ax=axes, shrink=0.8, pad=0.02, ticks=[0, 0.5, 1])
    bar.ax.set_ylim(0, 1)
    bar.set_label("P(A beats B)")
    bar.outline.set_visible(False)
    lost = [arm for arm in results.arms if arm not in order]
    return Figure(
        "beats",
        "Who beats whom",
        "Share of pairs (sets of one seed) in which the row beats the column, ties counted as half"
        f"{', with the exact pointwise 95% interval below' if legible else ' (exact intervals in the table)'}. Bold "
        "where the difference is decided: gains of the MI term within the family of gains, differences from random "
        "real images within theirs, all other pairs within a third. Methods are ordered by mean test accuracy."
        f"{without(results, lost)}",
        drawing,
    )
