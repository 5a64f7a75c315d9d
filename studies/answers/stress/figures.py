"""The figures of a stress answer: curves, recall by class, transitions, images, the failure map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import PercentFormatter

from studies.answers.stress.arms import Arm
from studies.answers.stress.breaking import Occurrence
from studies.answers.stress.failure_figures import draw_examples, draw_map
from studies.answers.stress.findings import Curve, Findings
from studies.answers.stress.grid import draw_grid
from studies.answers.stress.methods import draw_bases, draw_methods
from studies.answers.stress.pictures import draw_images
from studies.engine.answer import Figure
from studies.engine.evidence import Array
from studies.engine.failures.groups import thirds
from studies.engine.running import LARGEST_MATRIX
from studies.engine.statistics import Interval, mean_interval

COLOURS = {"random": "#7f8a99", "base": "#c0392b", "default": "#0b6e99", "full": "#d98200"}
VARIANTS = ("#2e8b57", "#7a4fa3", "#8c564b")


def draw_figures(found: Findings, seen: list[Occurrence]) -> tuple[Figure, ...]:
    """The figures that the rows allow, most telling first."""
    figures: list[Figure | None] = [
        _degradation(found),
        draw_methods(found),
        draw_bases(found),
        draw_grid(found),
        draw_map(found, seen),
        _groups(found),
        _recall(found),
        _transitions(found),
        draw_images(found),
        draw_examples(found, seen),
    ]
    return tuple(figure for figure in figures if figure is not None)


def colour(found: Findings, arm: Arm) -> str:
    """Each arm's own colour, the same in every figure."""
    variants = [one for one in found.arms if one.role == "variant"]
    return VARIANTS[variants.index(arm) % len(VARIANTS)] if arm.role == "variant" else COLOURS[arm.role]


AXES = {"label noise": "wrong labels (realised)", "imbalance": "imbalance factor", "pixel corruption": "severity"}


def _degradation(found: Findings) -> Figure | None:
    curves = found.curves
    if not curves:
        return None
    columns = len(curves)
    drawing = Drawing(figsize=(max(6.5, 3.3 * columns + 1), 6.6), layout="constrained")
    grid = drawing.subplots(2, columns, sharey="row", sharex="col", squeeze=False, height_ratios=[3, 2])
    for k, curve in enumerate(curves):
        top, bottom = grid[0][k], grid[1][k]
        x, dashed = found.places(curve), {"full"}
        for j in found.own:
            arm = found.arms[j]
            means = [found.mean(i, j) for i in curve.conditions]
            _band(top, x, means, colour(found, arm), arm.name, dashed=arm.role in dashed)
            if arm.has_term:
                _band(bottom, x, [found.gain(i, j) for i in curve.conditions], colour(found, arm), arm.name)
        bottom.axhline(0, color=COLOURS["base"], lw=1)
        top.set_title(curve.family, fontsize=11)
        bottom.set_xlabel(AXES[curve.stage])
        _severity_axis(bottom, curve.stage, x)
        top.set_ylim(0, 1.02)  # a t interval of few sets knows no bounds
        _percent_axis(top)
        _percent_axis(bottom, 1)
    grid[0][0].set_ylabel("balanced test accuracy")
    grid[1][0].set_ylabel("paired gain over the base")
    _legend(drawing, grid[0][0])
    return Figure(
        "degradation",
        "What it costs, and what is left of the gain",
        f"Mean over {found.seeds} synthetic sets (seeds) with 95% t bands over sets; the first point is the clean "
        "control. Below: the MI term's gain over the base under the same corruption, paired by seed. Full data: one "
        "network, at most 500 steps. x: the share of wrong labels that was realised, n_max / n_min that was asked "
        "for, or the severity.",
        drawing,
    )


def _severity_axis(axes: Axes, stage: str, x: Array) -> None:
    if stage == "label noise":
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return
    if stage == "imbalance":
        axes.set_xscale("log")
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.minorticks_off()


def _legend(drawing: Drawing, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    drawing.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=9)


def _band(axes: Axes, x: Array, intervals: Sequence[Interval], tint: str, name: str, *, dashed: bool = False) -> None:
    mean = np.array([np.nan if one.mean is None else one.mean for one in intervals])
    low, high = (
        np.array([np.nan if (end := getattr(one, side)) is None else end for one in intervals])
        for side in ("low", "high")
    )
    axes.fill_between(x, low, high, color=tint, alpha=0.13, lw=0)
    axes.plot(x, mean, "o--" if dashed else "o-", ms=4, lw=1.6, color=tint, label=name)


def _percent_axis(axes: Axes, decimals: int = 0) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=decimals))
    axes.spines[["top", "right"]].set_visible(False)


def _recall(found: Findings) -> Figure | None:
    arms = [j for j in found.own if found.arms[j].role != "full"]
    classes = found.evidence.rows and len(found.any_result(0).get("train_counts", ()))
    if not classes or classes > LARGEST_MATRIX:
        return None
    tables = [[found.class_recall(i, j) for i in range(len(found.conditions))] for j in arms]
    blank = np.full(classes, np.nan)
    height = 0.24 * len(found.conditions) + 0.8
    columns = min(2, len(arms))
    rows = -(-len(arms) // columns)
    drawing = Drawing(figsize=(10, rows * height + 0.5), layout="constrained")
    grid = drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    mesh = None
    for axes, j, values in zip(grid.flat, arms, tables, strict=False):
        shown = np.array([blank if one is None else one for one in values])
        mesh = axes.imshow(shown, vmin=0, vmax=1, cmap="viridis", aspect="auto", interpolation="nearest")
        axes.set_title(found.arms[j].name, fontsize=10, loc="left")
        axes.set_yticks(range(len(found.conditions)), [one.label for one in found.conditions], fontsize=7.5)
        axes.set_xticks(range(classes), range(classes), fontsize=8)
        axes.tick_params(length=0)
    for axes in grid[-1]:
        axes.set_xlabel("class")
    for axes in list(grid.flat)[len(arms) :]:
        axes.set_visible(False)
    assert mesh is not None
    drawing.colorbar(mesh, ax=grid, shrink=0.7, format=PercentFormatter(1.0, decimals=0)).set_label("test recall")
    return Figure(
        "recall",
        "Recall of each class",
        f"Mean test recall over {found.seeds} sets and their networks; rows are training data, columns classes by "
        "label (rare classes last, unless the order is random).",
        drawing,
    )


def _groups(found: Findings) -> Figure | None:
    curves = [curve for curve in found.curves if curve.stage == "imbalance"]
    if not curves:
        return None
    names = ("head third", "medium third", "tail third")
    drawing = Drawing(figsize=(10, 2.9 * len(curves) + 0.6), layout="constrained")
    grid = drawing.subplots(len(curves), 3, sharey=True, squeeze=False)
    for row, curve in enumerate(curves):
        x = found.places(curve)
        for j in found.own:
            arm = found.arms[j]
            by_condition = [_worst_thirds(found, curve, i, j) for i in curve.conditions]
            for k, name in enumerate(names):
                intervals = [mean_interval(groups[k]) for groups in by_condition]
                _band(grid[row][k], x, intervals, colour(found, arm), arm.name, dashed=arm.role == "full")
                grid[row][k].set_title(f"{curve.family}, {name}", fontsize=10)
        for axes in grid[row]:
            _severity_axis(axes, curve.stage, x)
            axes.set_ylim(-0.02, 1.02)
            _percent_axis(axes)
            axes.set_xlabel(AXES[curve.stage])
        grid[row][0].set_ylabel("test recall")
    _legend(drawing, grid[0][0])
    return Figure(
        "groups",
        "Who pays: recall of head, medium and tail classes",
        "The same classes along each curve: each seed's thirds by their number of training images at the largest "
        f"factor. Mean over {found.seeds} sets, 95% t bands.",
        drawing,
    )


def _worst_thirds(found: Findings, curve: Curve, condition: int, arm: int) -> np.ndarray:
    """Recall of the classes that are head, medium and tail at the curve's largest factor, [3, seeds]."""
    groups = np.full((3, found.seeds), np.nan)
    for k, one in enumerate(found.recall[condition][arm]):
        counts = found.class_counts(curve.worst, k)
        if one is not None and counts:
            groups[:, k] = [np.nanmean(one[:, part]) if len(part) else np.nan for part in thirds(counts)]
    return groups


def _transitions(found: Findings) -> Figure | None:
    """The strongest condition of each kind: the matrix that was asked for and the one that was realised."""
    chosen = []
    for curve in found.curves:
        steps = found.any_result(curve.worst).get("perturbed", {})
        step = next((one for one in steps.values() if "transition" in one), None)
        if step:
            chosen.append((found.conditions[curve.worst].label, step))
    if not chosen:
        return None
    drawing = Drawing(figsize=(2.6 * len(chosen) + 1.2, 5.4), layout="constrained")
    grid = drawing.subplots(2, len(chosen), squeeze=False)
    mesh = None
    for k, (label, step) in enumerate(chosen):
        for row, key in enumerate(("asked", "transition")):
            axes = grid[row][k]
            matrix = step.get(key)
            axes.set_xticks([])
            axes.set_yticks([])
            if matrix is None:
                axes.text(0.5, 0.5, "depends on\nthe image", ha="center", va="center", transform=axes.transAxes)
                continue
            mesh = axes.imshow(matrix, vmin=0, vmax=1, cmap="magma_r", interpolation="nearest")
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
