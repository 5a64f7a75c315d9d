"""Pictures of synthetic sets from the trials' folders; without these, an earlier figure is kept."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from studies.answers.parts.drawing import INCHES_A_LETTER
from studies.engine.answer import Figure
from studies.engine.folder import StudyFolder
from studies.engine.rows import Array

UNREADABLE = " The pictures of {} cannot be read."
KEPT = " Drawn earlier, when the pictures of the trials were available."


def picture_figure(
    folder: StudyFolder, name: str, title: str, caption: str, grid: Sequence[Sequence[tuple[str, str]]], width: float
) -> Figure | None:
    """Pictures in a grid of (title, trial), `width` inches wide; without any picture, the earlier figure or None."""
    letters = int(width / max(1, len(grid[0])) / INCHES_A_LETTER)
    pictures = {trial: _read(folder.picture(trial)) for row in grid for _, trial in row}
    shown = [[(_wrapped(panel_title, letters), pictures[trial]) for panel_title, trial in row] for row in grid]
    damaged = [trial for trial, pixels in pictures.items() if pixels is None and folder.picture(trial)]
    caption += UNREADABLE.format(", ".join(damaged)) if damaged else ""
    sizes = [pixels.shape for row in shown for _, pixels in row if pixels is not None]
    if not sizes:
        return kept(folder, name, title, caption)
    columns = len(grid[0])
    heights = [max((_ratio(p) for _, p in row if p is not None), default=0.1) * width / columns for row in shown]
    lines = max(panel_title.count("\n") + 1 for row in shown for panel_title, _ in row)
    drawing = Drawing(figsize=(width, sum(heights) + (0.16 * lines + 0.12) * len(grid)), layout="constrained")
    axes = drawing.subplots(len(grid), columns, squeeze=False, height_ratios=heights)
    for row, line in zip(axes, shown, strict=True):
        for panel, (panel_title, pixels) in zip(row, line, strict=True):
            _show(panel, panel_title, pixels)
    return Figure(name, title, caption, drawing)


def kept(folder: StudyFolder, name: str, title: str, caption: str) -> Figure | None:
    """The figure of an earlier run, which cannot be drawn again; None if there is no such figure."""
    if not (folder.path / "figures" / f"{name}.png").exists():
        return None
    return Figure(name, title, caption + KEPT, None)


def _wrapped(title: str, letters: int) -> str:
    """A title with its lines broken at a number of letters."""
    return "\n".join(line for wrapped in title.split("\n") for line in textwrap.wrap(wrapped, letters) or [""])


def _show(axes: Axes, title: str, pixels: Array | None) -> None:
    axes.axis("off")
    axes.set_title(title, loc="left", fontsize=8)
    if pixels is not None:
        axes.imshow(pixels, interpolation="nearest")


def _ratio(pixels: Array) -> float:
    return min(1.0, pixels.shape[0] / pixels.shape[1])


def _read(path: Path | None) -> Array | None:
    """The pixels of a picture; None if there is none, or it is damaged."""
    if path is None:
        return None
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            return np.asarray(image)
    except (OSError, SyntaxError):  # as Pillow raises them for what is no PNG, or half of one
        return None
