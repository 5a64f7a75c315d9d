"""Every method of a suite beside the others: accuracy and the MI term's gain under each condition, at one glance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Drawing

from studies.answers.stress.findings import Findings
from studies.engine.answer import Cell, Figure, Table, percent, points
from studies.engine.statistics import Interval

INK = "#1d2430"


def method_tables(found: Findings) -> list[Table]:
    """Accuracy by method and condition, and gains by base and condition; none for a suite of one base."""
    if not found.others:
        return []
    columns = tuple(one.label for one in found.conditions)
    accuracies: list[tuple[Cell, ...]] = [
        (arm.name, *(percent(found.mean(i, j)) for i in range(len(columns)))) for j, arm in enumerate(found.arms)
    ]
    gains: list[tuple[Cell, ...]] = [
        (arm.name, *(_gain(found, i, j) for i in range(len(columns))))
        for j, arm in enumerate(found.arms)
        if arm.has_term
    ]
    return [
        Table(
            "methods",
            "Every method under every condition",
            ("method", *columns),
            tuple(accuracies),
            f"Balanced test accuracy, mean over {found.seeds} sets with 95% t intervals; the same corrupted data, "
            "initial images and evaluation networks for all methods of a seed. Nothing is chosen by it.",
        ),
        Table(
            "bases",
            "What the MI term adds to each base",
            ("method", *columns),
            tuple(gains),
            "Paired gain over the same base without the term, 95% t interval over seeds, not corrected; * where "
            f"p < 0.05 after Holm's correction over all {len(found.gain_p)} gains.",
        ),
    ]


def _gain(found: Findings, condition: int, arm: int) -> str:
    p = found.gain_p.get((condition, arm))
    return points(found.gain(condition, arm)) + ("*" if p is not None and p < 0.05 else "")


def draw_methods(found: Findings) -> Figure | None:
    """Accuracy of every method under every condition."""
    if not found.others:
        return None
    names = [arm.name for arm in found.arms]
    means = [[found.mean(i, j) for i in range(len(found.conditions))] for j in range(len(names))]
    return Figure(
        "methods",
        "Every method under every condition",
        f"Balanced test accuracy in %, mean over {found.seeds} sets; intervals stand in the table.",
        _map(found, names, means, gain=False),
    )


def draw_bases(found: Findings) -> Figure | None:
    """The MI term's gain on every base under every condition."""
    if not found.others:
        return None
    rows = [j for j, arm in enumerate(found.arms) if arm.has_term]
    gains = [[found.gain(i, j) for i in range(len(found.conditions))] for j in rows]
    return Figure(
        "bases",
        "What the MI term adds to each base",
        f"Paired gain in points over the same base without the term, with its 95% interval over {found.seeds} sets "
        "(not corrected for their number); bold where the interval excludes 0.",
        _map(found, [found.arms[j].name for j in rows], gains, gain=True),
    )


def _map(found: Findings, names: list[str], cells: Sequence[Sequence[Interval]], *, gain: bool) -> Drawing:
    """Rows of intervals by condition, coloured by their means."""
    shown = np.array([[np.nan if one.mean is None else 100 * one.mean for one in row] for row in cells])
    wide, high = (1.05, 0.44) if gain else (0.62, 0.3)
    size = (wide * len(found.conditions) + 2.9, high * len(names) + 1.5)
    drawing = Drawing(figsize=size, layout="constrained")
    axes = drawing.subplots()
    # Less than five points would dramatise noise, more than twenty would hide the others.
    span = float(np.clip(np.nanmax(np.abs(shown), initial=0.0), 5, 20))
    low, top, colours = (-span, span, "RdBu") if gain else (0.0, 100.0, "YlGn")
    axes.imshow(shown, vmin=low, vmax=top, cmap=colours, aspect="auto", alpha=0.8, interpolation="nearest")
    for row, intervals in enumerate(cells):
        for column, one in enumerate(intervals):
            text, weight = "–", "normal"
            if one.mean is not None:
                text = f"{100 * one.mean:+.1f}" if gain else f"{100 * one.mean:.1f}"
            if gain and one.low is not None and one.high is not None:
                text += f"\n[{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
                weight = "bold" if one.low > 0 or one.high < 0 else "normal"
            tint = "white" if abs(shown[row, column]) > 0.7 * top else INK
            axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color=tint, weight=weight)
    axes.set_xticks(
        range(len(found.conditions)),
        [one.label for one in found.conditions],
        rotation=35,
        ha="right",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=8.5)
    return drawing
