"""What the perturbations made of the training data: counts, rates, transition matrices."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import PercentFormatter

from studies.answers.ledger import Ledger
from studies.engine.answer import Cell, Figure, Quantity, Table
from studies.engine.running import LARGEST_MATRIX


def training_part(ledger: Ledger) -> tuple[Figure | None, Table]:
    """The matrices that were asked for and realised, and a table of all that was."""
    return _transitions(ledger), _realised(ledger)


def _realised(ledger: Ledger) -> Table:
    rows: list[dict[str, Cell]] = []
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
                "short of the real batch": len(tail["short_of_batch"]),
                "classes without images": ", ".join(tail["absent"]) or "none",
            }
        )
    return Table.of(
        "realised",
        "What the perturbations realised",
        rows,
        "Of the first seed that has a row; the others' are in rows.jsonl. A class short of the real batch repeats "
        "its images unless the policy is cap.",
    )


def _transitions(ledger: Ledger) -> Figure | None:
    """The strongest condition of each kind: the matrix that was asked for and the one that was realised."""
    chosen = []
    for _, points in ledger.results.curves():
        data = ledger.results.any_data(points[-1][1])
        steps = data.perturbed.values() if data else ()
        if step := next((one for one in steps if "transition" in one), None):
            chosen.append((" · ".join(points[-1][1]), step))
    if not chosen:
        return None
    drawing = Drawing(figsize=(2.6 * len(chosen) + 1.2, 5.4), layout="constrained")
    grid = drawing.subplots(2, len(chosen), squeeze=False)
    mesh = None
    for k, (label, step) in enumerate(chosen):
        for row, key in enumerate(("asked", "transition")):
            axes, matrix = grid[row][k], step.get(key)
            axes.set_xticks([])
            axes.set_yticks([])
            if matrix is None:
                axes.text(0.5, 0.5, "depends on\nthe image", ha="center", va="center", transform=axes.transAxes)
            else:
                mesh = axes.imshow(np.array(matrix), vmin=0, vmax=1, cmap="magma_r", interpolation="nearest")
        grid[0][k].set_title(label, fontsize=10)
    grid[0][0].set_ylabel("asked\ntrue class")
    grid[1][0].set_ylabel("realised\ntrue class")
    for axes in grid[1]:
        axes.set_xlabel("label")
    if mesh is not None:
        bar = drawing.colorbar(mesh, ax=grid, shrink=0.6, format=PercentFormatter(1.0, decimals=0))
        bar.set_label("share of the true class")
    return Figure(
        "transitions",
        "Transition matrices, asked and realised",
        "Rows: true class; columns: label; the strongest condition of each kind, first seed that has a row.",
        drawing,
    )
