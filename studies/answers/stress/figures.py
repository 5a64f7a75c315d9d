"""The figures of a stress answer: curves, recall by class, transitions, images, the failure map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import PercentFormatter

from studies.answers.stress.breaking import Occurrence
from studies.answers.stress.failure_figures import draw_examples, draw_map
from studies.answers.stress.findings import Arm, Findings
from studies.answers.stress.pictures import draw_images
from studies.engine.answer import Figure
from studies.engine.statistics import Interval, mean_interval

INK = "#1d2430"
COLOURS = {"random": "#7f8a99", "base": "#c0392b", "default": "#0b6e99", "full": "#d98200"}
VARIANTS = ("#2e8b57", "#7a4fa3", "#8c564b")
LARGEST_MATRIX = 20


def draw_figures(found: Findings, seen: list[Occurrence], stage: str) -> tuple[Figure, ...]:
    """The figures that the rows allow, most telling first."""
    figures: list[Figure | None] = [
        _degradation(found, stage),
        _grid(found),
        draw_map(found, seen),
        _groups(found) if stage == "imbalance" else None,
        _recall(found),
        _transitions(found) if stage == "label noise" else None,
        draw_images(found),
        draw_examples(found, seen),
    ]
    return tuple(figure for figure in figures if figure is not None)


def colour(found: Findings, arm: Arm) -> str:
    """Each arm's own colour, the same in every figure."""
    variants = [one for one in found.arms if one.role == "variant"]
    return VARIANTS[variants.index(arm) % len(VARIANTS)] if arm.role == "variant" else COLOURS[arm.role]


def _degradation(found: Findings, stage: str) -> Figure | None:
    families = found.families(stage)
    if not families:
        return None
    columns = len(families)
    drawing = Drawing(figsize=(max(6.5, 3.3 * columns + 1), 6.6), layout="constrained")
    grid = drawing.subplots(2, columns, sharey="row", sharex="col", squeeze=False, height_ratios=[3, 2])
    for k, (family, conditions) in enumerate(families.items()):
        top, bottom = grid[0][k], grid[1][k]
        x = _places(found, stage, conditions)
        for j, arm in enumerate(found.arms):
            _band(
                top, x, [found.mean(i, j) for i in conditions], colour(found, arm), arm.name, dashed=arm.role == "full"
            )
            if arm.has_term:
                _band(bottom, x, [found.gain(i, j) for i in conditions], colour(found, arm), arm.name)
        bottom.axhline(0, color=COLOURS["base"], lw=1)
        top.set_title(family, fontsize=11)
        bottom.set_xlabel("wrong labels (realised)" if stage == "label noise" else "imbalance factor")
        if stage == "label noise":
            bottom.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        else:
            bottom.set_xscale("log")
            bottom.set_xticks(x, [f"{value:g}" for value in x])
            bottom.minorticks_off()
        top.set_ylim(0, 1.02)  # a t interval of few sets knows no bounds
        for axes in (top, bottom):
            _percent_axis(axes)
    grid[0][0].set_ylabel("balanced test accuracy")
    grid[1][0].set_ylabel("paired gain over the base")
    drawing.legend(
        *grid[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, fontsize=9
    )
    return Figure(
        "degradation",
        "What it costs, and what is left of the gain",
        f"Mean over {found.seeds} synthetic sets (seeds) with 95% t bands over sets; the first point is the clean "
        "control. "
        "Below: the MI term's gain over the base under the same corruption, paired by seed. Full data: one network, at "
        "most 500 steps. "
        + (
            "x: the share of wrong labels that was realised."
            if stage == "label noise"
            else "x: n_max / n_min asked for."
        ),
        drawing,
    )


def _places(found: Findings, stage: str, conditions: Sequence[int]) -> list[float]:
    clean = 0.0 if stage == "label noise" else 1.0
    return [clean if i == 0 else float(found.place[i] or 0) for i in conditions]


def _band(
    axes: Axes, x: Sequence[float], intervals: Sequence[Interval], tint: str, name: str, *, dashed: bool = False
) -> None:
    mean = np.array([np.nan if one.mean is None else one.mean for one in intervals])
    low, high = (
        np.array([np.nan if (end := getattr(one, side)) is None else end for one in intervals])
        for side in ("low", "high")
    )
    axes.fill_between(x, low, high, color=tint, alpha=0.13, lw=0)
    axes.plot(x, mean, "o--" if dashed else "o-", ms=4, lw=1.6, color=tint, label=name)


def _percent_axis(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.spines[["top", "right"]].set_visible(False)


def _recall(found: Findings) -> Figure | None:
    arms = [j for j, arm in enumerate(found.arms) if arm.role != "full"]
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
        "label "
        "(rare classes last, unless the order is random).",
        drawing,
    )


def _groups(found: Findings) -> Figure | None:
    from studies.engine.failures.groups import thirds

    families = found.families("imbalance")
    if not families:
        return None
    names = ("head third", "medium third", "tail third")
    rows = len(families)
    drawing = Drawing(figsize=(10, 2.9 * rows + 0.6), layout="constrained")
    grid = drawing.subplots(rows, 3, sharey=True, squeeze=False)
    for row, (family, conditions) in enumerate(families.items()):
        x = _places(found, "imbalance", conditions)
        order = thirds(found.any_result(conditions[-1]).get("train_counts", [1] * 3))
        for k, (name, group) in enumerate(zip(names, order, strict=True)):
            axes = grid[row][k]
            for j, arm in enumerate(found.arms):
                intervals = [
                    mean_interval([float(np.nanmean(one[:, group])) for one in found.recall[i][j] if one is not None])
                    for i in conditions
                ]
                _band(axes, x, intervals, colour(found, arm), arm.name, dashed=arm.role == "full")
            axes.set_xscale("log")
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.minorticks_off()
            axes.set_title(f"{family}, {name}", fontsize=10)
            axes.set_ylim(-0.02, 1.02)
            _percent_axis(axes)
            axes.set_xlabel("imbalance factor")
        grid[row][0].set_ylabel("test recall")
    drawing.legend(
        *grid[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, fontsize=9
    )
    return Figure(
        "groups",
        "Who pays: recall of head, medium and tail classes",
        "The same classes along each curve: thirds by their number of training images at the largest factor. "
        "Mean over "
        f"{found.seeds} sets, 95% t bands.",
        drawing,
    )


def _transitions(found: Findings) -> Figure | None:
    """The strongest condition of each kind: the matrix that was asked for and the one that was realised."""
    chosen = []
    for conditions in found.families("label noise").values():
        steps = found.any_result(conditions[-1]).get("perturbed", {})
        step = next((one for one in steps.values() if "transition" in one), None)
        if step:
            chosen.append((found.conditions[conditions[-1]].label, step))
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
        f"Rows: true class; columns: label; the strongest condition of each kind, seed "
        f"{found.evidence.identity['seeds'][0]}.",
        drawing,
    )


def _grid(found: Findings) -> Figure | None:
    """Noise by imbalance: accuracy of the base and the method's gain over it."""
    crossed = [(one.label.split(" + "), i) for i, one in enumerate(found.conditions) if len(one.stages) == 2]
    if not crossed:
        return None
    labels = {one.label: i for i, one in enumerate(found.conditions)}
    across = ["clean", *dict.fromkeys(parts[0] for parts, _ in crossed)]
    down = ["clean", *dict.fromkeys(parts[1] for parts, _ in crossed)]

    def place(first: str, second: str) -> int | None:
        named = [part for part in (first, second) if part != "clean"]
        return labels.get(" + ".join(named) if named else "clean")

    panels = [(j, "accuracy") for j, arm in enumerate(found.arms) if arm.role == "base"]
    panels += [(j, "gain") for j, arm in enumerate(found.arms) if arm.has_term]
    # A colour scale of less than five points would dramatise noise.
    gains = [
        abs(found.gain(i, j).mean or 0.0) for i in range(len(found.conditions)) for j, what in panels if what == "gain"
    ]
    widest = max([0.05, *gains])
    drawing = Drawing(figsize=(3.6 * len(panels) + 0.6, 1.1 * len(down) + 1.6), layout="constrained")
    grid = drawing.subplots(1, len(panels), squeeze=False, sharey=True)
    for axes, (j, what) in zip(grid[0], panels, strict=True):
        shown = np.full((len(down), len(across)), np.nan)
        for row, second in enumerate(down):
            for column, first in enumerate(across):
                i = place(first, second)
                if i is None:
                    continue
                interval = found.mean(i, j) if what == "accuracy" else found.gain(i, j)
                shown[row, column] = np.nan if interval.mean is None else interval.mean
                text = (
                    "–"
                    if interval.mean is None
                    else f"{100 * interval.mean:.1f}"
                    if what == "accuracy"
                    else (f"{100 * interval.mean:+.1f}")
                )
                if what == "gain" and interval.low is not None and interval.high is not None:
                    text += f"\n[{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=INK)
        span = widest if what == "gain" else 1
        low, cmap = (-span, "RdBu") if what == "gain" else (0, "YlGn")
        axes.imshow(shown, vmin=low, vmax=span, cmap=cmap, aspect="auto", alpha=0.65)
        axes.set_xticks(range(len(across)), across, fontsize=8)
        axes.set_yticks(range(len(down)), down, fontsize=8)
        title = f"{found.arms[j].name}: accuracy" if what == "accuracy" else f"{found.arms[j].name}: gain"
        axes.set_title(title, fontsize=9)
    return Figure(
        "grid",
        "Noise and imbalance together",
        "Balanced test accuracy of the base in %, and the MI term's paired gain over it in points with its 95% "
        "interval, "
        f"{found.seeds} sets.",
        drawing,
    )
