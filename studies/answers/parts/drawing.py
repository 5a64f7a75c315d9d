"""What figures share: an arm's colour, axes in percent and points, bands, heat maps of cells with their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter

from studies.engine.answer import decimal
from studies.engine.arms import CEILING, FLOOR, Arm, Curve
from studies.engine.rows import Array
from studies.engine.statistics import Interval

INK, FAINT, ZERO = "#1d2430", "#9aa5b1", "#c0392b"
ANCHORS = {FLOOR: "#7f8a99", CEILING: "#d98200"}
TINTS = ("#c0392b", "#0b6e99", "#2e8b57", "#7a4fa3", "#8c564b", "#b5458a", "#3d6fd1", "#6b7a1e")
# Less than five points would dramatise noise, more than twenty would hide the other cells.
NARROWEST, WIDEST = 5.0, 20.0


def tints(arms: Mapping[str, Arm]) -> dict[str, str]:
    """A colour for each arm by its key, the same in every figure of an answer."""
    others = [key for key, arm in arms.items() if not arm.anchor]
    return {
        key: ANCHORS[arm.method] if arm.anchor else TINTS[others.index(key) % len(TINTS)] for key, arm in arms.items()
    }


def percent_axis(axes: Axes, decimals: int = 0) -> None:
    """Fractions of 1 as percent on the vertical axis."""
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=decimals))
    axes.spines[["top", "right"]].set_visible(False)


def curve_axis(axes: Axes, curve: Curve, x: Array) -> None:
    """A curve's horizontal axis: its name, and the places of its levels."""
    axes.set_xlabel(curve.axis)
    if curve.scale == "share":
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return
    if curve.scale == "log":
        axes.set_xscale("log")
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.minorticks_off()


def legend(drawing: Drawing, axes: Axes) -> None:
    """One legend above all panels."""
    handles, names = axes.get_legend_handles_labels()
    drawing.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=9)


def band(axes: Axes, x: Array, intervals: Sequence[Interval], tint: str, name: str, *, dashed: bool = False) -> None:
    """Means joined by a line, with their intervals as a band."""
    mean, low, high = (
        np.array([np.nan if (value := getattr(one, end)) is None else value for one in intervals])
        for end in ("mean", "low", "high")
    )
    axes.fill_between(x, low, high, color=tint, alpha=0.13, lw=0)
    axes.plot(x, mean, "o--" if dashed else "o-", ms=4, lw=1.6, color=tint, label=name)


@dataclass(frozen=True)
class HeatCell:
    """A cell of a heat map: value (None: nothing there), text, and whether its difference is decided."""

    value: float | None = None
    text: str = "–"
    decided: bool = False


def mean_cell(interval: Interval) -> HeatCell:
    """An accuracy in percent."""
    return HeatCell() if interval.mean is None else HeatCell(100 * interval.mean, decimal(100 * interval.mean))


def difference_cell(interval: Interval, decided: bool) -> HeatCell:
    """A difference in points, above its interval."""
    if interval.mean is None:
        return HeatCell()
    text = decimal(100 * interval.mean, "+.1f")
    if interval.low is not None and interval.high is not None:
        text += f"\n[{decimal(100 * interval.low, '+.1f')}, {decimal(100 * interval.high, '+.1f')}]"
    return HeatCell(100 * interval.mean, text, decided)


def heat_map(
    axes: Axes, cells: Sequence[Sequence[HeatCell]], rows: Sequence[str], columns: Sequence[str], *, signed: bool
) -> AxesImage:
    """Cells coloured by their values and labelled; decided ones are bold. signed: differences, around 0."""
    shown = np.array([[np.nan if one.value is None else one.value for one in row] for row in cells])
    span = float(np.clip(np.nanmax(np.abs(shown), initial=0.0), NARROWEST, WIDEST))
    low, high, colours = (-span, span, "RdBu") if signed else (0.0, 100.0, "YlGn")
    image = axes.imshow(shown, vmin=low, vmax=high, cmap=colours, aspect="auto", alpha=0.8, interpolation="nearest")
    for y, row in enumerate(cells):
        for x, one in enumerate(row):
            dark = one.value is not None and abs(one.value) > 0.7 * high
            weight, tint = ("bold" if one.decided else "normal"), ("white" if dark else INK)
            axes.text(x, y, one.text, ha="center", va="center", fontsize=7.5, color=tint, weight=weight)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labelsize=8.5)
    return image
