"""The probability that one method beats another: every pair, in a table and a heat map."""

from __future__ import annotations

from studies.answers.ledger import Ledger
from studies.answers.parts.contrasts import by_mean, wins, without
from studies.answers.parts.drawing import INCHES_A_LETTER, panels
from studies.answers.parts.heat_maps import SIGNED, HeatCell, Scale, heat_map
from studies.answers.parts.wording import chance
from studies.answers.results import Results
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Table
from studies.engine.statistics import Improvement
from studies.engine.wording import plural

# More methods than this leave no room for intervals in the cells of the map.
LEGIBLE = 7
# A wider scale than 0 to 1: few pairs give many zeros and ones, which must not look certain.
CHANCES = Scale(-0.35, 1.35, SIGNED)


def wins_table(results: Results) -> Table:
    """P(row beats column) for every pair."""
    order = by_mean(results, "test")
    chances = [[None if a == b else _wins(results, a, b) for b in order] for a in order]
    names = [results.arms[arm].name for arm in order]
    counts = {cell.n for row in chances for cell in row if cell is not None and cell.n}
    pairs = (
        f"{plural(min(counts), 'pair')} each"
        if len(counts) == 1
        else f"{min(counts, default=0)} to {max(counts, default=0)} pairs"
    )
    rows: list[dict[str, Entry]] = []
    for name, row in zip(names, chances, strict=True):
        texts = (None if cell is None else chance(cell) for cell in row)
        rows.append({"method": name, **dict(zip(names, texts, strict=True))})
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
    """P(row beats column) as a heat map: hatched if the interval contains 0.5, bold if the difference is decided."""
    results = ledger.results
    order = [arm for arm in by_mean(results, "test") if results.mean(results.cell(arm)).mean is not None]
    legible = len(order) <= LEGIBLE
    cells = [[HeatCell(text="") if a == b else _cell(ledger, a, b, legible) for b in order] for a in order]
    if len(order) < 2 or all(cell.value is None for row in cells for cell in row):
        return None
    names = [results.arms[arm].name for arm in order]
    margin, wide, high = (
        INCHES_A_LETTER * max(map(len, names)) + 0.35,
        0.74 if legible else 0.38,
        0.4 if legible else 0.27,
    )
    drawing, (axes,) = panels(1, 1, (max(5.0, wide * len(order) + margin), high * len(order) + margin))
    heat_map(axes, cells, names, names, CHANCES)
    axes.set_xticks(range(len(order)), names, rotation=90, ha="center", va="bottom", rotation_mode="default")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_ylabel("A (row)")
    axes.set_xlabel("B (column)")
    axes.xaxis.set_label_position("top")
    left_out = [arm for arm in results.arms if arm not in order]
    return Figure(
        "beats",
        "Who beats whom",
        "Share of pairs (sets of one seed) in which the row beats the column, ties counted as half"
        f"{', with the exact pointwise 95% interval below' if legible else ' (exact intervals in the table)'}; purple "
        "where the row wins more often, orange where the column does. Hatched: the interval contains one half, so the "
        "share itself is undecided (5 pairs or fewer never decide it). Bold: the difference of the two accuracies is "
        "decided; gains of the MI term within the family of gains, differences from random real images within theirs, "
        "all other pairs within a third. Methods are ordered by mean test accuracy."
        f"{without(results, left_out)}",
        drawing,
    )


def _cell(ledger: Ledger, a: str, b: str, legible: bool) -> HeatCell:
    """P(a beats b), with its interval if it would be legible."""
    won = _wins(ledger.results, a, b)
    if won.value is None:
        return HeatCell(text="")
    text = f"{won.value:.2f}"
    if legible and won.low is not None:
        text += f"\n{won.low:.2f} – {won.high:.2f}"
    undecided = won.low is None or won.high is None or won.low <= 0.5 <= won.high
    return HeatCell(won.value, text, ledger[ledger.results.against(a, b)].differs, undecided)
