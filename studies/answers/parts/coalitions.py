"""Every combination of components that was run: its accuracy above a grid of the components that it has."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from studies.answers.ledger import Part
from studies.answers.parts.drawing import FAINT, INCHES_A_LETTER, INK, PAGE, Style, bars, panels, percents
from studies.answers.parts.factorial import Factorial, claimed
from studies.answers.results import slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Table
from studies.engine.statistics import Interval, mean_interval
from studies.engine.wording import plural

# More columns cannot be told apart on a page.
MOST = 72
WITH, WITHOUT = Style("#332288", "o", ""), Style("#117733", "o", "", filled=False)


def coalitions_part(design: Factorial) -> Part:
    """The combinations in descending order of their accuracy, as a table and as a grid."""
    results, rows = design.results, list[tuple[tuple[bool, ...], Interval, dict[str, Entry]]]()
    for run, cells in design.distinct():
        test, usable = (mean_interval(design.sets(cells, metric)) for metric in ("test", "usable"))
        present = [name for name, there in zip(design.names, run, strict=True) if there]
        id = slug("combination", *(name.replace(" ", "-") for name in present or ["none"]))
        what = f"test accuracy with {', '.join(present) or 'no component'}"
        claimed(design.ledger, id, what, test, "percent")
        first = results.arms[cells[0].arm].name
        row: dict[str, Entry] = {
            "method": first,
            **{
                factor.name: level
                for factor, level in zip(results.factors, cells[0].levels, strict=True)
                if factor.name in design.names
            },
            "test accuracy": Quantity.of(test, "percent"),
            "usable information, nats": Quantity.of(usable, "nats") if usable.n else None,
            "sets": test.n,
        }
        rows.append((run, test, row))
    rows.sort(key=lambda one: -np.inf if one[1].mean is None else one[1].mean, reverse=True)
    table = Table.of(
        "combinations",
        "Every combination of components",
        [row for *_, row in rows],
        "Mean over synthetic sets, and over draws of the distillation where there are two, with 95% t intervals over "
        "sets. Ordered by the mean, by which nothing is chosen. Levels that do nothing in a row are the references.",
    )
    return Part(tables=[table], figures=[_figure(design, [(run, test) for run, test, _ in rows])])


def _figure(design: Factorial, rows: list[tuple[tuple[bool, ...], Interval]]) -> Figure | None:
    """Accuracies above, components below; columns in the order of the rows."""
    rows = [(run, test) for run, test in rows if test.mean is not None]
    if not rows or len(rows) > MOST:
        return None
    below = 0.24 * len(design.names) + 0.1
    beside = INCHES_A_LETTER * max(map(len, design.names))
    width = max(PAGE, beside + 0.14 * len(rows))
    drawing, (above, grid) = panels(2, 1, (width, (2.6 + below) / 2), sharex=True, extra=(0.0, 0.3))
    if (spec := above.get_gridspec()) is not None:
        spec.set_height_ratios([2.6, below])
    for style, with_first in ((WITH, True), (WITHOUT, False)):
        at = [x for x, (run, _) in enumerate(rows) if run[0] == with_first]
        name = f"with the {design.names[0]}" if with_first else f"without the {design.names[0]}"
        bars(above, np.array(at), [rows[x][1] for x in at], style, name, fraction=True)
    above.yaxis.set_major_formatter(percents(above.yaxis))
    above.set_ylabel("test accuracy")
    above.grid(axis="y", color="#e6e9ee", lw=0.8)
    above.set_axisbelow(True)
    above.spines[["top", "right", "bottom"]].set_visible(False)
    above.tick_params(axis="x", length=0)
    above.legend(frameon=False, loc="lower left")
    _dots(grid, design, [run for run, _ in rows])
    return Figure(
        "combinations",
        "Every combination of components",
        f"Mean test accuracy of each distinct combination over {plural(len(design.results.seeds), 'set')}, with 95% t "
        "intervals over sets; below, a filled dot for each component that it has. Without the first, components that "
        "only the term has do nothing and are drawn as absent. Intervals are between sets; differences are paired and "
        "far more certain.",
        drawing,
    )


def _dots(axes: Axes, design: Factorial, runs: list[tuple[bool, ...]]) -> None:
    """A dot for each component of each run."""
    for y in range(len(design.names)):
        there = [x for x, run in enumerate(runs) if run[y]]
        absent = [x for x, run in enumerate(runs) if not run[y]]
        axes.plot(absent, [y] * len(absent), "o", ms=3.2, color="#d9dde3")
        axes.plot(there, [y] * len(there), "o", ms=4.6, color=INK)
    for x, run in enumerate(runs):
        ends = [y for y, there in enumerate(run) if there]
        if ends:
            axes.plot([x, x], [min(ends), max(ends)], color=FAINT, lw=0.8, zorder=0)
    axes.set_yticks(range(len(design.names)), design.names)
    axes.set_ylim(len(design.names) - 0.4, -0.6)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
