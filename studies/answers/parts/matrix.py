"""Matrices of arms by levels: accuracies, and gains over controls; and grids of levels that combine two others."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure as Drawing

from studies.answers.ledger import Part
from studies.answers.parts.drawing import INCHES_A_LETTER, TITLE, panels
from studies.answers.parts.heat_maps import ACCURACIES, HeatCell, difference_cell, differences, heat_map, mean_cell
from studies.answers.parts.response import Levels, Response
from studies.answers.results import Cell
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Table
from studies.engine.wording import plural

# How a map of differences shows decisions.
MARKED = (
    "bold where a gain or a loss is decided, hatched on grey where nothing is, neither where no difference beyond half "
    "a point is"
)


def matrices(response: Response, arms: Sequence[str]) -> Part:
    """Every arm by every level: accuracies of all arms, and the gains of those with a control."""
    pairs = _accuracies(response, arms), _gains(response, [arm for arm in arms if arm in response.terms])
    return Part(tables=[table for table, _ in pairs], figures=[figure for _, figure in pairs])


def _accuracies(response: Response, arms: Sequence[str]) -> tuple[Table, Figure]:
    levels, sets = response.results.levels, plural(len(response.results.seeds), "set")
    means = [[response.ledger.mean(Cell(arm, at), response.metric) for at in levels] for arm in arms]
    table = Table.of(
        "methods",
        "Every method at every level",
        _rows(response, arms, [[Quantity.of(mean, "percent") for mean in row] for row in means]),
        f"Mean balanced test accuracy over {sets} with 95% t intervals; all methods of a seed share the corrupted "
        "data, initial images and evaluation networks. Nothing is chosen by test accuracy.",
    )
    figure = Figure(
        "methods",
        "Every method at every level",
        f"Mean balanced test accuracy in % over {sets}; the table gives the intervals.",
        _drawing(response, arms, [[mean_cell(mean) for mean in row] for row in means], signed=False),
    )
    return table, figure


def _gains(response: Response, arms: Sequence[str]) -> tuple[Table, Figure]:
    judged = plural(response.size("gains over the base"), "gain")
    gains = [[response.gain(arm, levels) for levels in response.results.levels] for arm in arms]
    table = Table.of(
        "bases",
        "What the MI term adds to each base",
        _rows(response, arms, [[gain.starred for gain in row] for row in gains]),
        "Gain over the same base without the term, paired by seed, with pointwise 95% t intervals; a star marks a "
        f"decided gain or loss (Holm-corrected over {judged}).",
    )
    figure = Figure(
        "bases",
        "What the MI term adds to each base",
        "Gain in points over the same base without the term, paired by seed, with its pointwise 95% interval over "
        f"{plural(len(response.results.seeds), 'set')}; {MARKED} (Holm-corrected over {judged}).",
        _drawing(response, arms, [[difference_cell(gain) for gain in row] for row in gains], signed=True),
    )
    return table, figure


def _columns(response: Response) -> list[str]:
    return [" · ".join(levels) for levels in response.results.levels]


def _rows(
    response: Response, arms: Sequence[str], quantities: Sequence[Sequence[Quantity | None]]
) -> list[dict[str, Entry]]:
    """The rows of a table with a column for each level. quantities: [arms, levels]."""
    columns = _columns(response)
    return [
        {"method": response.name(arm), **dict(zip(columns, row, strict=True))}
        for arm, row in zip(arms, quantities, strict=True)
    ]


def _drawing(response: Response, arms: Sequence[str], cells: list[list[HeatCell]], *, signed: bool) -> Drawing:
    """A heat map of cells, [arms, levels]. signed: of differences."""
    return grid_drawing([response.name(arm) for arm in arms], _columns(response), cells, signed=signed)


def grid_drawing(
    rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[HeatCell]], *, signed: bool
) -> Drawing:
    """A heat map of cells, [rows, columns]: of differences if signed, else of accuracies in percent."""
    wide, high = (0.98, 0.4) if signed else (0.6, 0.27)
    beside, below = (INCHES_A_LETTER * max(map(len, names), default=0) for names in (rows, columns))
    size = (max(6.0, wide * len(columns) + beside + 0.4), high * len(rows) + 0.6 * below + 0.4)
    drawing, (axes,) = panels(1, 1, size)
    heat_map(axes, cells, rows, columns, differences(cells) if signed else ACCURACIES)
    return drawing


def _cell(response: Response, arm: str, at: Levels | None) -> HeatCell:
    """The gain of an arm with a control, or else its accuracy; empty where the arm was not run."""
    if at is None:
        return HeatCell()
    if arm in response.terms:
        return difference_cell(response.gain(arm, at))
    return mean_cell(response.results.mean(Cell(arm, at), response.metric))


def crossed(response: Response, arms: Sequence[str]) -> Figure | None:
    """The levels that combine two others, as a grid for each arm of its gain, or its accuracy without a control."""
    (factor,) = response.results.factors
    joined = [level for level in factor.levels if len(level.parts) == 2]
    if not joined:
        return None
    across = [factor.reference.label, *dict.fromkeys(level.parts[0] for level in joined)]
    down = [factor.reference.label, *dict.fromkeys(level.parts[1] for level in joined)]
    level_of = {level.parts or (level.label,): (level.label,) for level in factor.levels}

    def levels(first: str, second: str) -> Levels | None:
        parts = tuple(label for label in (first, second) if label != factor.reference.label)
        return level_of.get(parts or (factor.reference.label,))

    names = INCHES_A_LETTER * max(map(len, [*down, *across]))
    size = (0.76 * len(across), 0.5 * len(down) + 0.6 * names + 0.3)
    drawing, grid = panels(len(arms), min(len(arms), 3), size, sharey=True, extra=(names, 0.0))
    level_grid = [[levels(first, second) for first in across] for second in down]
    shown = {arm: [[_cell(response, arm, at) for at in row] for row in level_grid] for arm in arms}
    gains = differences([row for arm in arms if arm in response.terms for row in shown[arm]])
    for axes, (arm, cells) in zip(grid, shown.items(), strict=True):
        has_control = arm in response.terms
        heat_map(axes, cells, down, across, gains if has_control else ACCURACIES)
        title = f"{response.name(arm)}: {'gain' if has_control else 'accuracy'}"
        axes.set_title(textwrap.fill(title, 30), fontsize=TITLE)
    return Figure(
        "grid",
        "Noise and imbalance together",
        "Mean balanced test accuracy of the base in %, and the paired gain of the MI term over it in points with its "
        f"pointwise 95% interval, over {plural(len(response.results.seeds), 'set')}; {MARKED}.",
        drawing,
    )
