"""The perturbed training data: realised counts, rates and transition matrices."""

from __future__ import annotations

import textwrap

import numpy as np

from studies.answers.ledger import Ledger
from studies.answers.parts.drawing import PAGE, SMALLEST, TITLE, colour_bar, panels
from studies.answers.parts.heat_maps import shares_map
from studies.answers.parts.response import Levels
from studies.answers.results import Cell, Results
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Table
from studies.engine.measuring import LARGEST_MATRIX


def training_part(ledger: Ledger) -> tuple[Figure | None, Table]:
    """A figure of the requested and the realised transition matrices, and a table of what was realised."""
    return _transitions(ledger), _realised(ledger)


def _realised(ledger: Ledger) -> Table:
    rows: list[dict[str, Entry]] = []
    for levels in ledger.results.levels:
        data = ledger.results.any_data(levels)
        if data is None:
            continue
        rates, factors, counts, tail = data.realised("rate"), data.realised("factor"), data.counts, data.tail
        wrong = data.wrong_labels if data.wrong_labels is not None else rates[0] if rates else 0.0
        short = f"{tail['policy']}: {', '.join(tail['short_of_ipc'])}" if tail["short_of_ipc"] else "none"
        rows.append(
            {
                "training data": " · ".join(levels),
                "wrong labels": Quantity(wrong, unit="percent", digits=2),
                "realised factor": round(factors[0], 1) if factors else None,
                "images a label": f"{max(counts)} to {min(counts)}",
                "by label": " ".join(map(str, counts)) if len(counts) <= LARGEST_MATRIX else None,
                "images in all": sum(counts),
                "classes short of ipc": short,
                "short of a real batch": len(_short_of_batch(ledger.results, levels)),
                "classes without images": ", ".join(tail["absent"]) or "none",
            }
        )
    return Table.of(
        "realised",
        "The perturbations as realised",
        rows,
        "For the first seed with a finished trial; rows.jsonl has those of the other seeds. A class with fewer images "
        "than a method's real batch repeats them unless the policy is cap.",
    )


def _short_of_batch(results: Results, levels: Levels) -> set[str]:
    """The classes of the first seed with fewer images than the real batch of one of the methods draws of them.

    Random real images draw none, and have a row of their own.
    """
    for seed in range(len(results.seeds)):
        rows = [results.row(Cell(arm, levels), seed) for arm in results.arms]
        tails = [row.data.tail for row in rows if row is not None and row.data is not None]
        if tails:
            return {name for tail in tails for name in tail["short_of_batch"]}
    return set()


def _transitions(ledger: Ledger) -> Figure | None:
    """The requested and the realised transition matrix of the most severe condition of each kind."""
    chosen = []
    for _, points in ledger.results.curves():
        data = ledger.results.any_data(points[-1][1])
        steps = data.perturbed.values() if data else ()
        if step := next((record for record in steps if "transition" in record), None):
            chosen.append((" · ".join(points[-1][1]), step))
    if not chosen:
        return None
    columns = min(4, 2 * len(chosen))
    drawing, grid = panels(2 * len(chosen), columns, ((PAGE - 0.8) / 4, 1.9), extra=(0.8, 0.0))
    mesh = None
    for k, axes in enumerate(grid):
        (label, step), name = chosen[k // 2], ("requested", "realised")[k % 2]
        matrix = step.get(("asked", "transition")[k % 2])
        axes.set(xticks=[], yticks=[], xlabel="label" if k + columns >= len(grid) else "")
        axes.set_title("\n".join([*textwrap.wrap(label, 24), name]), fontsize=TITLE)
        if matrix is None:
            axes.text(
                0.5, 0.5, "depends on\nthe image", ha="center", va="center", transform=axes.transAxes, size=SMALLEST
            )
            axes.set_box_aspect(1)
        else:
            mesh = axes.imshow(np.array(matrix), vmin=0, vmax=1, cmap=shares_map(), interpolation="nearest")
        if k % columns == 0:
            axes.set_ylabel("true class")
    if mesh is not None:
        colour_bar(drawing, mesh, grid, "share of the true class")
    return Figure(
        "transitions",
        "Transition matrices, requested and realised",
        "Rows: true class; columns: label. Most severe condition of each kind, first seed with a finished trial.",
        drawing,
    )
