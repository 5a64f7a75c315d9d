"""The figures of a baselines answer: accuracies, who beats whom, and the critical-difference diagram."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from studies.answers.baselines.compared import Compared
from studies.answers.baselines.tables import by_mean
from studies.engine.answer import Figure

ANCHORS = {"random": "#7f8a99", "full": "#d98200"}
BASES = ("#0b6e99", "#c0392b", "#2e8b57", "#7a4fa3", "#8c564b", "#b5458a", "#3d6fd1", "#6b7a1e")
# More methods than this leave no room for intervals in the cells of the map.
LEGIBLE = 10
INCHES_A_LETTER = 0.085


def draw_figures(compared: Compared) -> tuple[Figure, ...]:
    """The figures that the rows allow."""
    made = [_accuracies(compared), _beats(compared), _critical_difference(compared)]
    return tuple(figure for figure in made if figure is not None)


def colour(compared: Compared, arm: int) -> str:
    """A base's own colour, with the term and without it; anchors have theirs."""
    base = compared.base(arm)
    if base in ANCHORS:
        return ANCHORS[base]
    bases = list(dict.fromkeys(compared.base(i) for i in range(len(compared.names))))
    return BASES[[name for name in bases if name not in ANCHORS].index(base) % len(BASES)]


def _accuracies(compared: Compared) -> Figure | None:
    found = compared.found
    order = [i for i in by_mean(compared) if found.mean(i).mean is not None]
    if not order:
        return None
    lost = [compared.names[i] for i in range(len(found.arms)) if i not in order]
    drawing = Drawing(figsize=(8, 0.42 * len(order) + 1.7), layout="constrained")
    axes = drawing.subplots()
    for y, i in enumerate(order):
        mean, tint = found.mean(i), colour(compared, i)
        assert mean.mean is not None
        sets = found.sets[i][np.isfinite(found.sets[i])]
        axes.plot(sets, np.full(len(sets), y + 0.24), "|", ms=6, color=tint, alpha=0.7)
        if mean.low is not None and mean.high is not None:
            axes.plot([max(0, mean.low), min(1, mean.high)], [y, y], "-", lw=2, color=tint, solid_capstyle="butt")
        axes.plot(mean.mean, y, "o", ms=8, mec=tint, mew=1.8, mfc=tint if _filled(compared, i) else "white", zorder=3)
    _anchors(compared, axes)
    axes.set_yticks(range(len(order)), [_counted(compared, i) for i in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlabel("test accuracy")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis="x", color="#e6e9ee", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    _key(axes, drawing)
    seeds = max(len(arm.trials) for arm in found.arms)
    return Figure(
        "accuracy",
        "Test accuracy under one recipe",
        f"Mean over {seeds} synthetic sets (seeds) with 95% t intervals over sets; a tick below each is one set, the "
        "mean of its networks. Filled: with the MI term; hollow: the base alone. Grey and orange, dashed: random real "
        "images, and full data under the same recipe, cut short. Ordered by the mean; nothing is chosen by it."
        f"{_without(lost)}",
        drawing,
    )


def _anchors(compared: Compared, axes: Axes) -> None:
    """Floor and ceiling as dashed lines; their names stand between them, or beside them where there is no room."""
    low, high = axes.get_xlim()
    known = {arm: compared.found.mean(arm).mean for arm in (compared.random, compared.full) if arm is not None}
    places = {arm: mean for arm, mean in known.items() if mean is not None}
    near = len(places) == 2 and np.ptp(list(places.values())) < 0.4 * (high - low)
    for arm, place in places.items():
        name, inward = ("floor", "left") if arm == compared.random else ("ceiling", "right")
        outward = {"left": "right", "right": "left"}[inward]
        axes.axvline(place, color=colour(compared, arm), ls="--", lw=1, zorder=0)
        axes.annotate(
            f"{name}: {compared.names[arm]}",
            (place, 1.0),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha=outward if near else inward,
            fontsize=8.5,
            color=colour(compared, arm),
        )
    axes.set_xlim(low, high)


def _without(lost: Sequence[str]) -> str:
    """The end of a caption: who is not in the figure."""
    return f" Without an accuracy, and not drawn: {', '.join(lost)}." if lost else ""


def _filled(compared: Compared, arm: int) -> bool:
    return compared.has_term(arm) or compared.base(arm) in ANCHORS


def _counted(compared: Compared, arm: int) -> str:
    """A method's name, and how many of its sets have an accuracy where some have not."""
    there, planned = compared.found.mean(arm).n, len(compared.found.arms[arm].trials)
    return compared.names[arm] + (f" ({there} of {planned} sets)" if there < planned else "")


def _key(axes: Axes, drawing: Drawing) -> None:
    dark = "#444b57"
    shapes = [
        Line2D([], [], marker="o", ls="-", lw=2, color=dark, mfc="white", mew=1.8, ms=7, label="base alone"),
        Line2D([], [], marker="o", ls="-", lw=2, color=dark, ms=7, label="with the MI term"),
        Line2D([], [], marker="|", ls="", color=dark, ms=6, label="one synthetic set"),
    ]
    drawing.legend(handles=shapes, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def _beats(compared: Compared) -> Figure | None:
    order = [i for i in by_mean(compared) if compared.found.mean(i).mean is not None]
    if len(order) < 2:
        return None
    found = [[None if a == b else compared.wins(a, b) for b in order] for a in order]
    values = np.array([[np.nan if one is None or one.value is None else one.value for one in row] for row in found])
    if not np.isfinite(values).any():
        return None
    lost = [name for i, name in enumerate(compared.names) if i not in order]
    names = [compared.names[i] for i in order]
    k, legible = len(order), len(order) <= LEGIBLE
    margin = INCHES_A_LETTER * max(map(len, names))
    cell = 0.78 if legible else 0.46
    drawing = Drawing(figsize=(max(4.5, cell * k + margin + 1.8), max(3.0, 0.62 * cell * k + margin + 0.9)))
    drawing.set_layout_engine("constrained")
    axes = drawing.subplots()
    axes.set_facecolor("#eef0f3")
    # A wider scale than probabilities have: few pairs give many zeros and ones, which must not look like certainty.
    mesh = axes.imshow(values, vmin=-0.35, vmax=1.35, cmap="RdBu", aspect="auto", interpolation="nearest")
    for y, row in enumerate(found):
        for x, one in enumerate(row):
            if one is None or one.value is None:
                continue
            sure = one.low is not None and one.high is not None and not one.low <= 0.5 <= one.high
            weight = "bold" if sure else "normal"
            lift = -0.14 if legible and one.low is not None else 0.0
            axes.text(x, y + lift, f"{one.value:.2f}", ha="center", va="center", fontsize=9, weight=weight)
            if legible and one.low is not None:
                told = f"{one.low:.2f} – {one.high:.2f}"
                axes.text(x, y + 0.22, told, ha="center", va="center", fontsize=6.5)
    axes.set_xticks(range(k), names, rotation=40, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.set_yticks(range(k), names)
    axes.set_ylabel("A (row)")
    axes.set_xlabel("B (column)")
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = drawing.colorbar(mesh, ax=axes, shrink=0.8, pad=0.02, ticks=[0, 0.5, 1])
    bar.ax.set_ylim(0, 1)
    bar.set_label("P(A beats B)")
    bar.outline.set_visible(False)
    return Figure(
        "beats",
        "Who beats whom",
        "Share of the pairs of one seed in which the row's set beats the column's, ties half"
        f"{'; below it the exact 95% interval' if legible else ' (exact intervals in the table)'}. Bold where the "
        "interval excludes 0.5. Methods in the order of their mean test accuracy; cells are not corrected for their "
        f"number.{_without(lost)}",
        drawing,
    )


def _critical_difference(compared: Compared) -> Figure | None:
    """Demsar's diagram: ranks on a line, bars over methods that are not told apart."""
    ranks = compared.ranks
    if ranks.average is None or ranks.critical_difference is None:
        return None
    names = [compared.names[i] for i in compared.entrants]
    order = sorted(range(ranks.methods), key=lambda i: ranks.average[i] if ranks.average else 0.0)
    k, half = ranks.methods, math.ceil(ranks.methods / 2)
    first = 0.35 + 0.22 * len(ranks.groups)
    depth = first + 0.42 * (half - 1) + 0.25
    letters = INCHES_A_LETTER * (max(map(len, names)) + 7)
    above, inner = 1.1, max(3.2, 0.8 * (k - 1))
    width, height = inner + 2 * (letters + 0.35), above + depth
    drawing = Drawing(figsize=(width, height))
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(-depth, above)
    axes.axis("off")

    def place(rank: float) -> float:
        return letters + 0.35 + inner * (rank - 1) / (k - 1)

    axes.plot([place(1), place(k)], [0, 0], "k-", lw=1.2)
    for rank in range(1, k + 1):
        axes.plot([place(rank)] * 2, [0, 0.1], "k-", lw=1.2)
        axes.text(place(rank), 0.15, str(rank), ha="center", va="bottom", fontsize=9)
    told = f"critical difference {ranks.critical_difference:.2f}"
    apart = ranks.critical_difference <= k - 1
    if apart:
        end = place(1 + ranks.critical_difference)
        axes.plot([place(1), end], [0.62, 0.62], "k-", lw=1.2)
        for x in (place(1), end):
            axes.plot([x, x], [0.56, 0.68], "k-", lw=1.2)
    else:
        told += f", more than ranks of {k} methods can differ"
    axes.text(place(1), 0.74, told, ha="left", va="bottom", fontsize=9)
    axes.text(place(1) - 0.18, 0, "best", ha="right", va="center", fontsize=9, color="#5b6575")
    axes.text(place(k) + 0.18, 0, "worst", ha="left", va="center", fontsize=9, color="#5b6575")
    for position, i in enumerate(order):
        left = position < half
        row = position if left else k - 1 - position
        x, y = place(ranks.average[i]), -(first + 0.42 * row)
        edge = place(1) - 0.2 if left else place(k) + 0.2
        tint = colour(compared, compared.entrants[i])
        axes.plot([x, x, edge], [0, y, y], color=tint, lw=1.2)
        label = f"{names[i]}  {ranks.average[i]:.2f}" if left else f"{ranks.average[i]:.2f}  {names[i]}"
        axes.text(edge + (-0.06 if left else 0.06), y, label, ha="right" if left else "left", va="center", fontsize=9.5)
    for level, group in enumerate(ranks.groups):
        low, high = ranks.average[group[0]], ranks.average[group[-1]]
        y = -(0.2 + 0.22 * level)
        ends = [place(low) - 0.06, place(high) + 0.06]
        axes.plot(ends, [y, y], color="#1d2430", lw=4, solid_capstyle="butt", zorder=3)
    blocks = "; ".join(block.label for block in compared.blocks if np.isfinite(block.scores).all())
    return Figure(
        "ranks",
        "Average ranks and critical difference",
        f"Average rank over {ranks.blocks} blocks ({textwrap.shorten(blocks, 400, placeholder=' …')}), 1 the best; a "
        "bar joins methods whose ranks differ by less than Nemenyi's critical difference at level 0.05, which are not "
        "told apart. Full data is no entrant.",
        drawing,
    )
