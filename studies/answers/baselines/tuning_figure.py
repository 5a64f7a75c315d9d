"""Each method's test accuracy with its defaults and tuned."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.lines import Line2D

from studies.answers.baselines.tuned import Method, Tuning, chosen_how
from studies.answers.comparing.plan import SETTING
from studies.answers.parts.contrasts import accuracies_across
from studies.answers.parts.drawing import INK, PAGE, bars, panels, star, styles
from studies.engine.answer import Figure
from studies.engine.statistics import mean_interval

GREY = "#9aa1ab"
OFFSET = 0.17


def tuning_figure(tuning: Tuning, chosen: Sequence[Method], decided: Container[str]) -> Figure:
    """Methods, each with its defaults and tuned, the highest tuned mean first.

    decided: the keys of those whose gain of tuning is decided.
    """
    style = styles({key: arm for key, arm in tuning.results.arms.items() if arm.role != SETTING})
    means = [
        (one.arm, mean_interval(tuning.judged(one.arm.key)), mean_interval(tuning.judged(one.best))) for one in chosen
    ]
    order = sorted(means, key=lambda one: -(one[2].mean or 0.0))
    starred: list[tuple[float, float, str]] = []
    drawing, (axes,) = panels(1, 1, (PAGE, 0.5 * len(order) + 1.4))
    for y, (arm, default, best) in enumerate(order):
        own = style[arm.key]
        bars(axes, np.array([y - OFFSET]), [default], replace(own, colour=GREY), "", fraction=True, across=True)
        bars(axes, np.array([y + OFFSET]), [best], own, "", fraction=True, across=True)
        if arm.key in decided and best.high is not None:
            starred.append((best.high, y + OFFSET + 0.12, own.colour))
    beside = 0.015 * float(np.ptp(axes.get_xlim()))
    for end, y_star, colour in starred:
        star(axes, end + beside, y_star, colour)
    accuracies_across(axes, [arm.name for arm, *_ in order])
    shapes = [
        Line2D([], [], marker="o", ls="-", lw=1.5, color=GREY, ms=6, label="its defaults"),
        Line2D([], [], marker="o", ls="-", lw=1.5, color=INK, ms=6, label="tuned"),
        Line2D([], [], marker="o", ls="", color=INK, mfc="white", mew=1.5, ms=6, label="hollow: without the MI term"),
    ]
    drawing.legend(handles=shapes, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
    return Figure(
        "tuned",
        "Each method with its defaults and tuned",
        f"Mean over the seeds to judge on, with 95% t intervals over sets; tuned: {chosen_how(tuning)}. A star: tuning "
        "is decided to change the accuracy, by paired tests. The highest tuned mean first, by which nothing is chosen.",
        drawing,
    )
