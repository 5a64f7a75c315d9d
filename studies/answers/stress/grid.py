"""Noise by imbalance: what the two cost together."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure as Drawing

from studies.answers.stress.findings import Findings
from studies.engine.answer import Figure

INK = "#1d2430"
STAGES = ("imbalance", "label noise")


def draw_grid(found: Findings) -> Figure | None:
    """Noise by imbalance: accuracy of the base and the method's gain over it."""
    crossed = [(one.label.split(" + "), i) for i, one in enumerate(found.conditions) if one.stages == STAGES]
    if not crossed:
        return None
    labels = {one.label: i for i, one in enumerate(found.conditions)}
    across = ["clean", *dict.fromkeys(parts[0] for parts, _ in crossed)]
    down = ["clean", *dict.fromkeys(parts[1] for parts, _ in crossed)]

    def place(first: str, second: str) -> int | None:
        named = [part for part in (first, second) if part != "clean"]
        return labels.get(" + ".join(named) if named else "clean")

    panels = [(found.base, "accuracy"), *((j, "gain") for j in found.own if found.arms[j].has_term)]
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
        f"interval, {found.seeds} sets.",
        drawing,
    )
