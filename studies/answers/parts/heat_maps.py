"""Heat maps: colours that keep their order in grey, legible numbers, hatched undecided cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.patches import Rectangle

from studies.answers.ledger import Ruling
from studies.answers.parts.drawing import INK, SMALLEST
from studies.engine.statistics import Interval
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import decimal

PALE = "#eceef1"
# Bounds of a scale of differences in points: a narrower one exaggerates noise, a wider one hides small cells.
NARROWEST, WIDEST = 5.0, 20.0
# Colour maps of accuracies, and of differences around 0 or a half.
ACCURACY, SIGNED = "cividis", "PuOr"


def shares_map() -> Colormap:
    """A map of shares: white for 0, then cividis from light to dark; grey for NaN."""
    colours = ["#ffffff", *(to_hex(colormaps["cividis"](share)) for share in (0.95, 0.7, 0.45, 0.2, 0.0))]
    return LinearSegmentedColormap.from_list("shares", colours).with_extremes(bad="#d9dde3")


def ink_on(colour: tuple[float, ...]) -> str:
    """The text colour that is legible on a colour: dark or white."""
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour[:3])
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return INK if luminance > 0.22 else "white"


def hatch(axes: Axes, x: float, y: float) -> None:
    """Mark a cell of a map as undecided."""
    with rc_context({"hatch.linewidth": 0.5}):
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, hatch="////", edgecolor="#b3bac4", lw=0))


@dataclass(frozen=True)
class HeatCell:
    """A cell of a heat map. value: None where the cell is empty; decided: bold; undecided: hatched."""

    value: float | None = None
    text: str = "–"
    decided: bool = False
    undecided: bool = False


@dataclass(frozen=True)
class Scale:
    """The colour scale from `low` to `high`. blank: undecided cells are grey instead of a paler shade of their colour.

    root: colours follow the signed square root of the value, so that small values can be told apart.
    """

    low: float
    high: float
    colours: str
    blank: bool = False
    root: bool = False

    def colour(self, cell: HeatCell) -> tuple[float, ...]:
        """A cell's colour as red, green and blue in [0, 1]."""
        if cell.value is None or (cell.undecided and self.blank):
            return to_rgb(PALE)
        low, high, value = (_root(number) if self.root else number for number in (self.low, self.high, cell.value))
        own = colormaps[self.colours](min(max((value - low) / (high - low), 0.0), 1.0))[:3]
        return tuple(1 - 0.4 * (1 - channel) for channel in own) if cell.undecided else own


def _root(value: float) -> float:
    return float(np.sign(value) * np.sqrt(abs(value)))


ACCURACIES = Scale(0.0, 100.0, ACCURACY)


def mean_cell(interval: Interval) -> HeatCell:
    """The cell of an accuracy, in percent."""
    return HeatCell() if interval.mean is None else HeatCell(100 * interval.mean, decimal(100 * interval.mean))


def difference_cell(ruling: Ruling) -> HeatCell:
    """The cell of a difference in points, above its interval; a negligible one is neither bold nor hatched."""
    interval = ruling.interval
    if interval.mean is None:
        return HeatCell()
    text = decimal(100 * interval.mean, "+.1f")
    if interval.low is not None and interval.high is not None:
        text += f"\n[{decimal(100 * interval.low, '+.1f')}, {decimal(100 * interval.high, '+.1f')}]"
    return HeatCell(100 * interval.mean, text, ruling.differs, ruling.decision is Decision.UNDECIDED)


def differences(cells: Sequence[Sequence[HeatCell]]) -> Scale:
    """The scale of differences, symmetric around 0; undecided cells, which have no colour, do not count."""
    values = [abs(cell.value) for row in cells for cell in row if cell.value is not None and not cell.undecided]
    span = float(np.clip(max(values, default=0.0), NARROWEST, WIDEST))
    return Scale(-span, span, SIGNED, blank=True, root=True)


def heat_map(
    axes: Axes, cells: Sequence[Sequence[HeatCell]], rows: Sequence[str], columns: Sequence[str], scale: Scale
) -> None:
    """Draw cells coloured by their values, with their texts; decided cells are bold, undecided ones hatched."""
    colours = [[scale.colour(cell) for cell in row] for row in cells]
    axes.imshow(np.array(colours), aspect="auto", interpolation="nearest")
    for y, row in enumerate(cells):
        for x, cell in enumerate(row):
            if cell.undecided:
                hatch(axes, x, y)
            tint = ink_on(colours[y][x])
            weight = "bold" if cell.decided else "normal"
            axes.text(x, y, cell.text, ha="center", va="center", fontsize=SMALLEST, color=tint, weight=weight)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
