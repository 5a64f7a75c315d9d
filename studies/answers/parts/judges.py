"""Every set under every judge: accuracies, and differences from random real images, as tables and heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure as Drawing

from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.drawing import INCHES_A_LETTER, panels
from studies.answers.parts.heat_maps import ACCURACIES, HeatCell, difference_cell, differences, heat_map, mean_cell
from studies.answers.parts.matrix import MARKED
from studies.answers.results import Cell
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Table


def judges_part(ledger: Ledger, arms: Sequence[str], over: Mapping[str, Sequence[Ruling]]) -> Part:
    """Accuracies of all arms at every level; of some, the rulings on their difference from random real images there.

    over: by arm, a ruling for each level.
    """
    results = ledger.results
    means = [[ledger.mean(Cell(arm, at)) for at in results.levels] for arm in arms]
    columns = [results.arms[arm].name for arm in arms]
    rows: list[dict[str, Entry]] = []
    for k, levels in enumerate(results.levels):
        row: dict[str, Entry] = {"judged by": levels[0]}
        row |= {name: Quantity.of(of_arm[k], "percent") for name, of_arm in zip(columns, means, strict=True)}
        row |= {f"{results.arms[arm].name} less random": rulings[k].starred for arm, rulings in over.items()}
        rows.append(row)
    table = Table.of(
        "judges",
        "Every set under every judge",
        rows,
        "Mean test accuracy with 95% t intervals over seeds. A star marks a gain or a loss against random real images "
        "that is decided, Holm-corrected over the judges of a set.",
    )
    accuracies = Figure(
        "judges",
        "Every set under every judge",
        "Mean test accuracy in %; the table gives the intervals.",
        _drawing([[mean_cell(mean) for mean in of_arm] for of_arm in means], columns, ledger, signed=False),
    )
    if not over:
        return Part(tables=[table], figures=[accuracies])
    cells = [[difference_cell(ruling) for ruling in rulings] for rulings in over.values()]
    names = [results.arms[arm].name for arm in over]
    gains = Figure(
        "over_random",
        "The sets less random real images",
        f"Difference in points with its pointwise 95% interval; {MARKED}.",
        _drawing(cells, names, ledger, signed=True),
    )
    return Part(tables=[table], figures=[accuracies, gains])


def _drawing(cells: list[list[HeatCell]], columns: Sequence[str], ledger: Ledger, *, signed: bool) -> Drawing:
    """A heat map with a row for each judge. cells: [arms, levels]; signed: of differences."""
    rows = [levels[0] for levels in ledger.results.levels]
    by_row = [list(row) for row in zip(*cells, strict=True)]
    wide, high = (1.1, 0.4) if signed else (0.7, 0.27)
    beside, below = (INCHES_A_LETTER * max(map(len, names), default=0) for names in (rows, columns))
    size = (max(4.0, wide * len(columns) + beside + 0.4), high * len(rows) + 0.6 * below + 0.4)
    drawing, (axes,) = panels(1, 1, size)
    heat_map(axes, by_row, rows, columns, differences(cells) if signed else ACCURACIES)
    return drawing
