"""What all figures share: the styles of arms, panels, axes in percent and points, bars and legends.

Figures must be readable in grey: arms differ in marker and line besides colour, and undecided cells are hatched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from studies.engine.arms import CEILING, FLOOR, Arm, Curve
from studies.engine.rows import Array
from studies.engine.statistics import Interval
from studies.engine.statistics.contrasts import MARGIN
from studies.engine.units import Sizes, Unit

# The width of a printed page in inches: a figure of this width keeps its font sizes on paper.
PAGE = 7.2
SMALLEST = 7.5
TITLE = 9
INCHES_A_LETTER = 0.064  # of 8 points, on average
INK, FAINT = "#1d2430", "#8a929c"
# Paul Tol's muted scheme, for every kind of colour blindness, without those that are too light on white.
COLOURS = ("#332288", "#CC6677", "#117733", "#999933", "#882255", "#AA4499")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Ticks of a cost's log axis: factors of a size, from the finest grid on; how many ticks; the least range of an axis.
DECIMAL = tuple(
    tuple(factor * 10.0**k for k in range(powers) for factor in factors)
    for powers, factors in ((4, (1, 1.5, 2, 3, 5, 7)), (4, (1, 2, 5)), (4, (1,)), (1, (1,)))
)
BINARY = tuple(
    tuple(factor * base**k for k in range(powers) for factor in factors)
    for base, powers, factors in (
        *((2.0, 10, (1, 1.25, 1.5, 1.75)), (2.0, 10, (1, 1.5)), (2.0, 10, (1,))),
        *((4.0, 5, (1,)), (32.0, 2, (1,)), (1.0, 1, (1,))),
    )
)
MOST_TICKS, SPAN = 6, 2.5
# Steps between ticks. A step of 2.5 is left out: its labels would be rounded unevenly.
ROUND = [1, 2, 5, 10]
Where = Literal["outside upper center", "outside lower center"]
Dashes = tuple[float, tuple[float, ...]]
LINES: tuple[Dashes | str, ...] = ("-", (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (2.5, 1.2)))


@dataclass(frozen=True)
class Style:
    """The style of an arm. filled: for arms with the MI term and anchors; markers of a base alone are hollow."""

    colour: str
    marker: str
    line: Dashes | str
    filled: bool = True

    @property
    def face(self) -> str:
        return self.colour if self.filled else "white"


# The anchors are grey and dotted, with markers of their own.
ANCHORS = {FLOOR: Style("#767676", "x", (0, (1, 1))), CEILING: Style("#4d4d4d", "+", (0, (1, 2.5)))}


def styles(arms: Mapping[str, Arm]) -> dict[str, Style]:
    """The style of each arm by key, the same in every figure; 84 arms can be told apart, 28 of them in grey."""
    others = [key for key, arm in arms.items() if not arm.anchor]
    own = {
        key: Style(COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)], LINES[k % len(LINES)], arms[key].has_term)
        for k, key in enumerate(others)
    }
    return {key: ANCHORS[arm.method] if arm.anchor else own[key] for key, arm in arms.items()}


def fonts() -> AbstractContextManager[None]:
    """A context that sets the font sizes, in points, of the axes and colour bars created in it."""
    return rc_context(
        {"font.size": 8.5, "axes.labelsize": 8.5, "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.fontsize": 8.5}
    )


def panels(
    count: int,
    columns: int,
    size: tuple[float, float],
    *,
    sharex: bool = False,
    sharey: bool = False,
    extra: tuple[float, float] = (0.0, 0.0),
) -> tuple[Drawing, list[Axes]]:
    """A drawing with `count` panels. size: of one panel; extra: added to the whole width and height; all in inches."""
    rows = -(-count // columns)
    width, height = (side * n + more for side, n, more in zip(size, (columns, rows), extra, strict=True))
    with fonts():
        drawing = Drawing(figsize=(width, height), layout="constrained")
        grid: list[Axes] = list(drawing.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False).flat)
    for axes in grid[count:]:
        axes.set_visible(False)
    return drawing, grid[:count]


def percents(axis: Axis, decimals: int = 0) -> FuncFormatter:
    """Fractions of 1 as percent, with so many decimals or as many as the axis' ticks need to be told as they are."""

    def percent(value: float, _: int | None) -> str:
        return f"{100 * value:.{_decimals(axis, decimals)}f}%"

    return FuncFormatter(percent)


def percent_axis(axes: Axes, decimals: int = 0) -> None:
    """Fractions of 1 as percent on the vertical axis."""
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=ROUND))
    axes.yaxis.set_major_formatter(percents(axes.yaxis, decimals))
    axes.spines[["top", "right"]].set_visible(False)


def points_axis(axes: Axes, which: Literal["x", "y"] = "y") -> None:
    """Differences of fractions as points. Both sides show the margin: a narrower axis exaggerates noise."""
    axis, limit = (axes.xaxis, axes.set_xlim) if which == "x" else (axes.yaxis, axes.set_ylim)
    axis.set_major_locator(MaxNLocator(6, steps=ROUND))
    axis.set_major_formatter(_signs(axis))
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    limit(min(low, -1.2 * MARGIN), max(high, 1.2 * MARGIN))
    axes.spines[["top", "right"]].set_visible(False)


def _signs(axis: Axis) -> FuncFormatter:
    """Fractions of 1 as points, `+1.0`, `-0.5`, `0`, with as many decimals as the axis' ticks need to be told apart."""

    def signed(value: float, _: int | None) -> str:
        return f"{100 * value:+.{_decimals(axis)}f}" if round(100 * value, 6) else "0"

    return FuncFormatter(signed)


def _decimals(axis: Axis, fewest: int = 0) -> int:
    """How many decimals tell the ticks of an axis of fractions as they are, in percent; at most 3."""
    ticks = 100 * np.asarray(axis.get_majorticklocs())
    return next((k for k in range(fewest, 3) if np.allclose(ticks, ticks.round(k), atol=1e-6)), 3)


def curve_axis(axes: Axes, curve: Curve, x: Array) -> None:
    """Label the horizontal axis of a curve, with a tick at each level. x: [levels]."""
    axes.set_xlabel(curve.axis)
    if curve.scale == "share":
        axes.xaxis.set_major_formatter(percents(axes.xaxis))
        return
    if curve.scale == "log":
        axes.set_xscale("log")
    # From right to left, a label that would touch the one to its right is left out.
    at, width = np.log10(x) if curve.scale == "log" else x, axes.bbox.width / axes.figure.dpi
    labels, taken = [""] * len(x), np.inf
    for k in range(len(x) - 1, -1, -1):
        if (taken - at[k]) * width > 0.3 * np.ptp(at):
            labels[k], taken = f"{x[k]:g}", at[k]
    axes.set_xticks(x, labels)
    axes.minorticks_off()


def sized_axis(axes: Axes, unit: Unit, which: Literal["x", "y"] = "y", most: int = MOST_TICKS) -> None:
    """A log axis of a cost in seconds, bytes or FLOPs, ticked in the sizes of its unit: `10 ms`, `1 s`, `2 min`.

    It spans a factor of SPAN at least: a narrower axis exaggerates noise.
    """
    axis, limit = (axes.xaxis, axes.set_xlim) if which == "x" else (axes.yaxis, axes.set_ylim)
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    wider = max(1.0, SPAN / (high / low)) ** 0.5
    low, high = limit(low / wider, high * wider)
    ticks = sized_ticks(low, high, unit.sizes, most)
    axis.set_major_locator(FixedLocator([at for at, _ in ticks]))
    axis.set_major_formatter(FixedFormatter([name for _, name in ticks]))
    axis.set_minor_locator(NullLocator())
    axes.spines[["top", "right"]].set_visible(False)


def sized_ticks(low: float, high: float, sizes: Sizes, most: int) -> list[tuple[float, str]]:
    """At most so many round numbers between two, as (base units, name), on the finest grid that has no more of them."""
    ends = [*(size for size, _ in sizes[1:]), np.inf]
    binary = len(sizes) > 1 and sizes[1][0] / sizes[0][0] == 1024
    ticks: list[tuple[float, str]] = []
    for grid in BINARY if binary else DECIMAL:
        ticks = [
            (factor * size, f"{factor:g} {name}")
            for (size, name), end in zip(sizes, ends, strict=True)
            for factor in grid
            if low <= factor * size <= high and factor * size < end
        ]
        if len(ticks) <= most:
            break
    return ticks


def legend(drawing: Drawing, axes: Axes, title: str = "", most: int = 3) -> None:
    """Add one legend above all panels, of at most so many columns."""
    _legend(drawing, *axes.get_legend_handles_labels(), "outside upper center", title, most)


def legend_below(drawing: Drawing, handles: Sequence[Artist]) -> None:
    """Add one legend of these, by their labels, below all panels."""
    _legend(drawing, handles, [str(handle.get_label()) for handle in handles], "outside lower center")


def _legend(
    drawing: Drawing,
    handles: Sequence[Artist],
    names: Sequence[str],
    where: Where,
    title: str = "",
    most: int = 3,
) -> None:
    room = int(PAGE / (INCHES_A_LETTER * (max(map(len, names), default=1) + 8)))
    columns = max(1, min(most, room, len(names)))
    drawing.legend(
        handles,
        names,
        loc=where,
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        handlelength=3.2,
        title=title or None,
        title_fontsize=8.5,
    )


def dodged(x: Array, k: int, count: int, *, log: bool = False) -> Array:
    """The x positions of arm k of `count`, shifted so that the bars of one level do not overlap."""
    at = np.log10(x) if log else np.asarray(x, dtype=float)
    gaps = np.diff(np.unique(at))
    if count < 2 or not len(gaps):
        return np.asarray(x, dtype=float)
    step = min(0.018 * float(np.ptp(at)), 0.6 * float(gaps.min()) / count)
    shifted = at + step * (k - (count - 1) / 2)
    return np.asarray(10**shifted if log else shifted)


def bars(
    axes: Axes,
    at: Array,
    intervals: Sequence[Interval],
    style: Style,
    name: str,
    *,
    fraction: bool = False,
    across: bool = False,
) -> None:
    """Draw means at the positions `at`, joined by a line, with capped interval bars.

    across: `at` are y positions and the bars are horizontal; fraction: the bars are clipped to [0, 1].
    """
    mean, low, high = (
        np.array([np.nan if (value := getattr(interval, end)) is None else value for interval in intervals])
        for end in ("mean", "low", "high")
    )
    if fraction:
        low, high = np.maximum(low, 0), np.minimum(high, 1)
    ends = (mean - low, high - mean)
    shape: dict[str, Any] = {"xerr" if across else "yerr": ends, "color": style.colour, "marker": style.marker}
    shape |= {"linestyle": style.line, "markerfacecolor": style.face, "markersize": 5.5}
    x, y = (mean, at) if across else (at, mean)
    axes.errorbar(x, y, **shape, lw=1.3, elinewidth=1.2, capsize=3, label=name)


def star(axes: Axes, x: float, top: float, colour: str) -> None:
    """Draw a star above the bar of a decided difference."""
    axes.annotate("★", (x, top), (0, 1), textcoords="offset points", ha="center", va="bottom", fontsize=8, color=colour)


def colour_bar(drawing: Drawing, mesh: ScalarMappable, axes: Sequence[Axes], label: str, points: bool = False) -> None:
    """Add a colour bar beside these panels, in percent, or for differences in points."""
    with fonts():
        bar = drawing.colorbar(mesh, ax=axes, shrink=0.7, pad=0.02)
        bar.ax.yaxis.set_major_formatter(_signs(bar.ax.yaxis) if points else percents(bar.ax.yaxis))
        bar.set_label(label)
    bar.outline.set_visible(False)
