"""Arms by levels at one glance: accuracies, and gains over controls; and two stages of a factor crossed."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure as Drawing

from studies.answers.ledger import Part, Ruling
from studies.answers.parts.drawing import HeatCell, difference_cell, heat_map, mean_cell
from studies.answers.parts.response import Levels, Response
from studies.answers.results import Cell
from studies.engine.answer import Figure, Quantity, Table


def matrices(found: Response, arms: Sequence[str]) -> Part:
    """Every arm by every level: accuracies of all, and the gains of those with a control."""
    ledger, metric = found.ledger, found.metric
    columns = [" · ".join(levels) for levels in found.results.levels]
    means = [[ledger.mean(Cell(arm, levels), metric) for levels in found.results.levels] for arm in arms]
    terms = [arm for arm in arms if arm in found.terms]
    gains = [[found.gain(arm, levels) for levels in found.results.levels] for arm in terms]
    names, with_term = [found.name(arm) for arm in arms], [found.name(arm) for arm in terms]
    sets, family = len(found.results.seeds), found.size("gains over the base")
    accuracies = [
        {"method": name} | dict(zip(columns, (Quantity.of(one, "percent") for one in row), strict=True))
        for name, row in zip(names, means, strict=True)
    ]
    added = [
        {"method": name} | dict(zip(columns, (one.starred for one in row), strict=True))
        for name, row in zip(with_term, gains, strict=True)
    ]
    tables = (
        Table.of(
            "methods",
            "Every method at every level",
            accuracies,
            f"Balanced test accuracy, mean over {sets} sets with 95% t intervals; the same corrupted data, initial "
            "images and evaluation networks for all methods of a seed. Nothing is chosen by it.",
        ),
        Table.of(
            "bases",
            "What the MI term adds to each base",
            added,
            "Paired gain over the same base without the term, pointwise 95% t interval over seeds; * where a gain or a "
            f"loss is decided (Holm over all {family} gains).",
        ),
    )
    figures = (
        Figure(
            "methods",
            "Every method at every level",
            f"Balanced test accuracy in %, mean over {sets} sets; intervals stand in the table.",
            _drawn(names, columns, [[mean_cell(one) for one in row] for row in means], signed=False),
        ),
        Figure(
            "bases",
            "What the MI term adds to each base",
            f"Paired gain in points over the same base without the term, with its pointwise 95% interval over {sets} "
            f"sets; bold where a gain or a loss is decided (Holm over {family}).",
            _drawn(with_term, columns, [[_gain_cell(one) for one in row] for row in gains], signed=True),
        ),
    )
    return Part(tables=tables, figures=figures)


def _gain_cell(one: Ruling) -> HeatCell:
    return difference_cell(one.interval, one.differs)


def _drawn(rows: Sequence[str], columns: Sequence[str], cells: list[list[HeatCell]], *, signed: bool) -> Drawing:
    wide, high = (1.05, 0.44) if signed else (0.62, 0.3)
    size = (wide * len(columns) + 2.9, high * len(rows) + 1.5)
    drawing = Drawing(figsize=size, layout="constrained")
    heat_map(drawing.subplots(), cells, rows, columns, signed=signed)
    return drawing


def crossed(found: Response, arms: Sequence[str]) -> Figure | None:
    """Levels that join two others, as a grid: accuracy of an arm without a control, the gain of one with it."""
    (factor,) = found.results.factors
    joined = [level for level in factor.levels if len(level.parts) == 2]
    if not joined:
        return None
    across = [factor.reference.label, *dict.fromkeys(level.parts[0] for level in joined)]
    down = [factor.reference.label, *dict.fromkeys(level.parts[1] for level in joined)]
    there = {level.parts or (level.label,): (level.label,) for level in factor.levels}

    def levels(first: str, second: str) -> Levels | None:
        parts = tuple(label for label in (first, second) if label != factor.reference.label)
        return there.get(parts or (factor.reference.label,))

    drawing = Drawing(figsize=(3.6 * len(arms) + 0.6, 1.1 * len(down) + 1.9), layout="constrained")
    grid = drawing.subplots(1, len(arms), squeeze=False, sharey=True)
    for axes, arm in zip(grid[0], arms, strict=True):
        has_control = arm in found.terms
        places = [[levels(first, second) for first in across] for second in down]
        cells = [
            [
                HeatCell()
                if at is None
                else _gain_cell(found.gain(arm, at))
                if has_control
                else mean_cell(found.results.mean(Cell(arm, at), found.metric))
                for at in row
            ]
            for row in places
        ]
        heat_map(axes, cells, down, across, signed=has_control)
        axes.set_title(f"{found.name(arm)}: {'gain' if has_control else 'accuracy'}", fontsize=9)
    return Figure(
        "grid",
        "Noise and imbalance together",
        "Balanced test accuracy of the base in %, and the MI term's paired gain over it in points with its pointwise "
        f"95% interval, {len(found.results.seeds)} sets; bold where a gain or a loss is decided.",
        drawing,
    )
