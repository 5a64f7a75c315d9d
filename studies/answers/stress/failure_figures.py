"""The failure map, and what failure looks like."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.figure import Figure as Drawing

from studies.answers.stress.breaking import Occurrence
from studies.answers.stress.findings import Findings
from studies.answers.stress.pictures import picture
from studies.engine.answer import Figure
from studies.engine.failures import mode_of

INK, FAINT = "#1d2430", "#9aa5b1"
EXAMPLES = 8


def draw_map(found: Findings, seen: list[Occurrence]) -> Figure | None:
    """Mode x condition, a row for each method that can have the mode, with the counts of failed trials."""
    names = sorted({one.name for one in seen if one.count or one.undecided})
    if not names:
        return None
    rows = [
        (name, j)
        for name in names
        for j in range(len(found.arms))
        if any(one.arm == j and one.mode == mode_of(name) for one in seen)
    ]
    share = np.full((len(rows), len(found.conditions)), np.nan)
    drawing = Drawing(figsize=(0.5 * len(found.conditions) + 5.2, 0.21 * len(rows) + 1.9), layout="constrained")
    axes = drawing.subplots()
    for one in seen:
        for row, (name, j) in enumerate(rows):
            if one.arm != j or one.mode != mode_of(name):
                continue
            if one.name != name:
                # Its other side failed here, or none: this one was looked for and not found.
                share[row, one.condition] = np.nan_to_num(share[row, one.condition])
                continue
            share[row, one.condition] = one.count / one.of if one.of else np.nan
            text = "?" if one.undecided else ("yes" if one.group else f"{one.count}/{one.of}") if one.count else ""
            tint = "white" if share[row, one.condition] > 0.6 else INK
            axes.text(one.condition, row, text, ha="center", va="center", fontsize=7, color=tint)
    axes.set_facecolor("#e3e7ec")
    axes.imshow(share, vmin=0, vmax=1, cmap="Reds", aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(found.conditions)), [one.label for one in found.conditions], rotation=90, fontsize=8)
    axes.set_yticks(range(len(rows)), [found.arms[j].name for _, j in rows], fontsize=7.5)
    axes.tick_params(length=0)
    for row, (name, _) in enumerate(rows):
        if row == 0 or rows[row - 1][0] != name:
            axes.axhline(row - 0.5, color=INK, lw=0.8)
            axes.annotate(
                name, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=8.5, annotation_clip=False
            )
    return Figure(
        "failures",
        "Failure map",
        f"Failed trials of {found.seeds} seeds for every mode (right), method (left) and training data; `yes`: the "
        "paired trials show it, `?`: too few seeds to say. Pale: looked for and not found; grey: cannot occur "
        "there. Modes that occurred nowhere are left out.",
        drawing,
    )


def draw_examples(found: Findings, seen: list[Occurrence]) -> Figure | None:
    """For each mode the trial that shows it most clearly."""
    worst: dict[str, tuple[tuple[bool, bool, float, int], Occurrence]] = {}
    for one in seen:
        if one.count and picture(found, one.example) is not None and found.arms[one.arm].role != "full":
            # A method says more than random images, perturbed data more than clean ones.
            rank = (found.arms[one.arm].role != "random", one.condition > 0, one.count / one.of, one.condition)
            if one.name not in worst or rank > worst[one.name][0]:
                worst[one.name] = (rank, one)
    shown = [worst[name][1] for name in sorted(worst)][:EXAMPLES]
    if not shown:
        return None
    from PIL import Image

    pictures = [Image.open(path) for one in shown if (path := picture(found, one.example)) is not None]
    heights = [min(1.0, image.height / image.width) * 8 for image in pictures]
    drawing = Drawing(figsize=(9, sum(heights) + 0.55 * len(shown)), layout="constrained")
    grid = drawing.subplots(len(shown), 1, squeeze=False, height_ratios=heights)
    for axes, one, image in zip(grid.flat, shown, pictures, strict=True):
        axes.imshow(np.asarray(image), interpolation="nearest")
        axes.axis("off")
        where = f"{found.arms[one.arm].name}, {found.conditions[one.condition].label}"
        told = "\n".join([f"{one.name}: {where}", *textwrap.wrap(one.evidence, 110)])
        axes.set_title(told, loc="left", fontsize=8.5, color=INK)
    return Figure(
        "examples",
        "What failure looks like",
        f"For each mode that occurred (the first {EXAMPLES} of them), a synthetic set of the most severe condition "
        "where it did, and what its detector read there; of a group mode, the first seed's.",
        drawing,
    )
