"""Arms by levels at one glance: accuracies, and gains over controls; and two stages of a factor crossed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure as Drawing

from studies.answers.ledger import Part
from studies.answers.parts.drawing import INCHES_A_LETTER, TITLE, panels
from studies.answers.parts.heat_maps import ACCURACIES, HeatCell, difference_cell, differences, heat_map, mean_cell
from studies.answers.parts.response import Levels, Response
from studies.answers.results import Cell
from studies.engine.answer import Figure, Quantity, Table
from studies.engine.wording import plural

# How a map of differences shows what the rule says.
MARKED = (
    "bold where a gain or a loss is decided, hatched on grey where nothing is, neither where no difference beyond half "
    "a point is"
)


def matrices(found: Response, arms: Sequence[str]) -> Part:
    """Every arm by every level: accuracies of all, and the gains of those with a control."""
    ledger, metric = found.ledger, found.metric
    columns = [" · ".join(levels) for levels in found.results.levels]
    means = [[ledger.mean(Cell(arm, levels), metric) for levels in found.results.levels] for arm in arms]
    terms = [arm for arm in arms if arm in found.terms]
    gains = [[found.gain(arm, levels) for levels in found.results.levels] for arm in terms]
    names, with_term = [found.name(arm) for arm in arms], [found.name(arm) for arm in terms]
    sets, gains_judged = plural(len(found.results.seeds), "set"), plural(found.size("gains over the base"), "gain")
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
            f"Mean balanced test accuracy over {sets} with 95% t intervals; all methods of a seed share the corrupted "
            "data, initial images and evaluation networks. Nothing is chosen by test accuracy.",
        ),
        Table.of(
            "bases",
            "What the MI term adds to each base",
            added,
            "Gain over the same base without the term, paired by seed, with pointwise 95% t intervals; a star marks a "
            f"decided gain or loss (Holm-corrected over {gains_judged}).",
        ),
    )
    figures = (
        Figure(
            "methods",
            "Every method at every level",
            f"Mean balanced test accuracy in % over {sets}; the table gives the intervals.",
            _drawn(names, columns, [[mean_cell(one) for one in row] for row in means], signed=False),
        ),
        Figure(
            "bases",
            "What the MI term adds to each base",
            "Gain in points over the same base without the term, paired by seed, with its pointwise 95% interval over "
            f"{sets}; {MARKED} (Holm-corrected over {gains_judged}).",
            _drawn(with_term, columns, [[difference_cell(one) for one in row] for row in gains], signed=True),
        ),
    )
    return Part(tables=tables, figures=figures)


def _drawn(rows: Sequence[str], columns: Sequence[str], cells: list[list[HeatCell]], *, signed: bool) -> Drawing:
    wide, high = (0.98, 0.4) if signed else (0.6, 0.27)
    beside, below = (INCHES_A_LETTER * max(map(len, names), default=0) for names in (rows, columns))
    size = (max(6.0, wide * len(columns) + beside + 0.4), high * len(rows) + 0.6 * below + 0.4)
    drawing, (axes,) = panels(1, 1, size)
    heat_map(axes, cells, rows, columns, differences(cells) if signed else ACCURACIES)
    return drawing


def _cell(found: Response, arm: str, at: Levels | None) -> HeatCell:
    """The gain of an arm with a control, the accuracy of one without; nothing where it was not run."""
    if at is None:
        return HeatCell()
    if arm in found.terms:
        return difference_cell(found.gain(arm, at))
    return mean_cell(found.results.mean(Cell(arm, at), found.metric))


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

    names = INCHES_A_LETTER * max(map(len, [*down, *across]))
    size = (0.76 * len(across), 0.5 * len(down) + 0.6 * names + 0.3)
    drawing, grid = panels(len(arms), min(len(arms), 3), size, sharey=True, extra=(names, 0.0))
    places = [[levels(first, second) for first in across] for second in down]
    shown = {arm: [[_cell(found, arm, at) for at in row] for row in places] for arm in arms}
    gains = differences([row for arm in arms if arm in found.terms for row in shown[arm]])
    for axes, (arm, cells) in zip(grid, shown.items(), strict=True):
        has_control = arm in found.terms
        heat_map(axes, cells, down, across, gains if has_control else ACCURACIES)
        axes.set_title(textwrap.fill(f"{found.name(arm)}: {'gain' if has_control else 'accuracy'}", 30), fontsize=TITLE)
    return Figure(
        "grid",
        "Noise and imbalance together",
        "Mean balanced test accuracy of the base in %, and the paired gain of the MI term over it in points with its "
        f"pointwise 95% interval, over {plural(len(found.results.seeds), 'set')}; {MARKED}.",
        drawing,
    )
