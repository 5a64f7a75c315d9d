"""What is distilled from clean and from perturbed data, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Drawing

from studies.answers.stress.findings import Findings
from studies.engine.answer import Figure

# Conditions side by side, beyond which pictures become stamps.
SHOWN = 3


def picture(found: Findings, trial: str) -> Path | None:
    """A trial's picture, if it has one."""
    path = found.evidence.out / "trials" / trial / "synthetic.png"
    return path if path.exists() else None


def draw_images(found: Findings) -> Figure | None:
    """Clean data on the left, the strongest condition of each kind beside it; a row for each method."""
    strongest: dict[str, int] = {}
    for i, one in enumerate(found.conditions):
        held = strongest.get(one.family)
        if held is None or (found.place[i] or 0) >= (found.place[held] or 0):
            strongest[one.family] = i
    columns = [0, *(i for i in strongest.values() if i)][:SHOWN]
    arms = [j for j, arm in enumerate(found.arms) if arm.role != "full"]
    paths = [[picture(found, found.settings[i][j].trials[0]) for i in columns] for j in arms]
    sizes = [_size(path) for row in paths for path in row if path]
    if not sizes:
        return None
    ratio = max(height / width for width, height in sizes)
    wide = 13 / len(columns)
    drawing = Drawing(figsize=(13, (wide * ratio + 0.32) * len(arms)), layout="constrained")
    grid = drawing.subplots(len(arms), len(columns), squeeze=False)
    for row, j in enumerate(arms):
        for column, i in enumerate(columns):
            axes, path = grid[row][column], paths[row][column]
            axes.axis("off")
            axes.set_title(f"{found.conditions[i].label}: {found.arms[j].name}", loc="left", fontsize=8.5)
            if path is not None:
                axes.imshow(_read(path), interpolation="nearest")
    return Figure(
        "images",
        "What is distilled from clean and from perturbed data",
        f"Seed {found.evidence.identity['seeds'][0]}; beside the clean data, the strongest condition of the first "
        "kinds. Methods that start from real images start from the column's random ones, so a wrong label among "
        "them stands in all. Pixels outside the range of real ones are clipped.",
        drawing,
    )


def _read(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def _size(path: Path) -> tuple[int, int]:
    height, width = _read(path).shape[:2]
    return width, height
