"""The figures of the sensitivity answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from studies.answers.parts.drawing import (
    FAINT,
    INK,
    PAGE,
    SMALLEST,
    Dashes,
    legend,
    panels,
    points_axis,
)
from studies.answers.parts.pictures import picture_figure
from studies.answers.results import Cell
from studies.answers.sensitivity.analysis import Analysis, default_name, having
from studies.answers.sensitivity.asked import seeds_in_words
from studies.answers.sensitivity.surface_figures import (
    BASE,
    DEFAULT,
    OURS,
    importance,
    interactions,
    label_ticks,
    trust,
)
from studies.engine import statistics
from studies.engine.answer import Figure
from studies.engine.statistics.surface import LEAST_R_SQUARED
from studies.engine.wording import plural

BASE_LINE: Dashes = (0, (6, 2))
# From this many arms on, intervals of single settings hide the rest; a default is drawn at most this far outside.
CROWDED = 20
BESIDE = 0.12


def draw_figures(analysis: Analysis) -> list[Figure | None]:
    """The figures that the rows allow, the most informative first."""
    return [_responses(analysis), _noise(analysis), importance(analysis), interactions(analysis), _pictures(analysis)]


@dataclass(frozen=True)
class Look:
    """The style of the settings of one kind of training data, with the label of their curve."""

    colour: str
    marker: str
    filled: bool
    name: str


def draw_knob(axes: Axes, analysis: Analysis, k: int, look: Look) -> None:
    """Draw the gains over the base against a knob: the settings with their intervals, the default, and the curve.

    A curve that explains nothing is pale, dashed and without a band. A default outside the range is drawn beside it.
    """
    axis, units, gains = analysis.space[k], analysis.units[:, k], [gain.interval for gain in analysis.gains]
    if analysis.curves and analysis.surface is not None:
        curve, explains = analysis.curves[k], analysis.surface.fit.explains
        if explains:
            axes.fill_between(curve.grid, curve.low, curve.high, color=look.colour, alpha=0.2, lw=0)
        width, dashes, alpha = (2.0, "-", 1.0) if explains else (1.2, "--", 0.5)
        axes.plot(curve.grid, curve.mean, dashes, lw=width, alpha=alpha, color=look.colour, label=look.name)
    face = look.colour if look.filled else "none"
    crowded = len(gains) > CROWDED
    for i, gain in enumerate(gains[1:], 1):
        if gain.mean is None or not np.isfinite(units[i]):
            continue
        if gain.low is not None and gain.high is not None and not crowded:
            axes.plot([units[i]] * 2, [gain.low, gain.high], color=look.colour, lw=1, alpha=0.5)
        axes.plot(units[i], gain.mean, look.marker, ms=4, color=look.colour, mfc=face, alpha=0.8)
    if gains[0].mean is not None and np.isfinite(units[0]):
        beside = float(np.clip(units[0], -BESIDE, 1 + BESIDE))
        axes.axvline(beside, color=DEFAULT, lw=1, ls=":")
        name = "the default" if look.filled else None
        axes.plot(beside, gains[0].mean, "D", ms=6, color=DEFAULT, mec=INK if look.filled else FAINT, label=name)
    label_ticks(axes, axis)
    axes.set_xlabel(f"{axis.short.replace('_', ' ')} {axis.symbol}" if axis.symbol != axis.short else axis.short)


def _base_line(axes: Axes, analysis: Analysis) -> None:
    """Draw the base as the line of no gain."""
    axes.axhline(0, color=BASE, lw=1.2, ls=BASE_LINE, label=f"{analysis.base.name} (no gain)")


def _responses(analysis: Analysis) -> Figure:
    count, columns = len(analysis.space), min(len(analysis.space), 2)
    surface = analysis.surface
    drawing, grid = panels(count, columns, (PAGE / 2, 2.5), sharey=True, extra=(0.0, 0.6))
    band = ", 95% band" if surface is not None and surface.fit.explains else ""
    for k, axes in enumerate(grid):
        _base_line(axes, analysis)
        draw_knob(axes, analysis, k, Look(OURS, "o", True, f"mean over the other knobs{band}"))
        _draw_steps(axes, analysis, k)
        points_axis(axes)
        if k % columns == 0:
            axes.set_ylabel(f"gain over {analysis.base.name} (points)")
    legend(drawing, grid[0], f"Gaussian process, {trust(surface.fit)}" if surface is not None else "")
    seeds = plural(analysis.shared, "seed")
    if analysis.shared < len(analysis.results.seeds):
        seeds += f" ({len(analysis.results.seeds)} of what is compared on all: equal strength and the best)"
    caption = (
        f"Gain in test accuracy over {analysis.base.name} on the same seeds: dots are the {len(analysis.tried) - 1} "
        f"settings, each the mean over {seeds}"
        f"{'' if len(analysis.tried) > CROWDED else ' with its 95% t interval'}; diamond: "
        f"{default_name(analysis.folder)}{_default_place(analysis)}. Horizontal bars: means of the settings in a third "
        "of the range; the numbers above are the declared contrasts between them (a star: decided as a gain or a loss)."
    )
    return Figure("response", "Gain against each knob", caption + _reading(analysis), drawing)


def _default_place(analysis: Analysis) -> str:
    """Where a default without balance stands on the axis of strength."""
    if not any(axis.given for axis in analysis.space) or not np.isfinite(analysis.rho[0]):
        return ""
    return f", whose measured strength is ρ {analysis.rho[0]:.2g}"


def _draw_steps(axes: Axes, analysis: Analysis, k: int) -> None:
    """Draw the mean of each third of a knob, and the declared contrasts between them."""
    questions, means = analysis.questions, analysis.gain_means()
    for step, ruling in questions.knobs:
        if step.thirds.axis != analysis.space[k]:
            continue
        for third, members in zip((step.of, step.to), step.members, strict=True):
            level = float(np.nanmean(means[list(members)]))
            name = None if third or step.of else "mean of a third of the range"
            axes.plot(step.thirds.ends(third), [level, level], color=INK, lw=2.2, alpha=0.75, label=name)
        middle = float(np.mean([step.thirds.ends(step.of), step.thirds.ends(step.to)]))
        text = ruling.quantity.written[0] + ("*" if ruling.differs else "")
        axes.text(middle, 1.01, text, transform=axes.get_xaxis_transform(), ha="center", fontsize=SMALLEST)


def _reading(analysis: Analysis) -> str:
    """The end of a caption: how to read the curve, if there is one."""
    if analysis.surface is None:
        return ""
    curve = (
        f" Curve: a Gaussian process through the {analysis.surface.fit.n_settings} settings of the design, averaged "
        "over the other knobs. R²: the share of the settings' variance that is predicted from the other settings, each "
        "left out in turn."
    )
    if analysis.surface.fit.explains:
        return f"{curve} Its band includes the error of the level, so that it can be compared with the base."
    return (
        f"{curve} Below {LEAST_R_SQUARED:g} the surface says no more than the mean of the settings: its curves are "
        "pale, dashed and without a band, and no maps of interactions are drawn."
    )


def _noise(analysis: Analysis) -> Figure:
    gains, means, chosen = statistics.set_means(analysis.differences), analysis.gain_means(), analysis.questions.chosen
    order = [int(i) for i in np.argsort(np.nan_to_num(means, nan=-1))]
    drawing, (axes,) = panels(1, 1, (PAGE, 4.0))
    _base_line(axes, analysis)
    marks, x = "osv^Dph*X<>", range(len(order))
    for place, i in enumerate(order):
        if i == chosen:
            axes.axvspan(place - 0.5, place + 0.5, color=OURS, alpha=0.1, lw=0, label="the best setting")
    seeds = analysis.results.seeds
    for k, seed in enumerate(seeds):
        if len(seeds) <= len(marks):
            mark, name = marks[k], f"seed {seed}"
        else:
            mark, name = "o", "" if k else "one seed"
        axes.plot(x, gains[order, k], mark, ms=4, color=FAINT, label=name or None)
    axes.plot(x, means[order], "_", ms=14, mew=2.5, color=OURS, label="mean over seeds")
    axes.plot(order.index(0), means[0], "D", ms=8, color=DEFAULT, mec=INK, label="the default", zorder=4)
    _name_settings(axes, [analysis.label(i) for i in order], order.index(0))
    axes.set(xlabel="setting, by its mean gain", ylabel=f"gain over {analysis.base.name} (points)")
    points_axis(axes)
    legend(drawing, axes)
    read = seeds_in_words(analysis.questions.choosing)
    best = "" if chosen is None else f" Blue column: the best, chosen on the validation accuracies of {read}."
    return Figure(
        "noise",
        "Effect of the knobs and noise of the seeds",
        f"Each grey mark is the gain in test accuracy of one synthetic set over {analysis.base.name} on the same seed "
        "(mean over the evaluation networks, which are the same for both); the spread within a column is paired noise, "
        f"the rise of the bars from left to right is the effect of the knobs.{best} Diamond: "
        f"{default_name(analysis.folder)}.",
        drawing,
    )


def _name_settings(axes: Axes, names: list[str], default: int) -> None:
    """Label the settings; with more than 40 only every second or third, and the default."""
    every = 1 + len(names) // 40
    shown = [k for k in range(len(names)) if k == default or (k % every == 0 and (every == 1 or abs(k - default) > 1))]
    crowded = len(names) > 20
    axes.set_xticks(shown, [names[k] for k in shown], fontsize=SMALLEST, rotation=90 if crowded else 0)


def _pictures(analysis: Analysis) -> Figure | None:
    """The synthetic images of the first seed: of random, the base, the default and the best setting."""
    results, grid = analysis.results, []
    best = [analysis.tried[analysis.best]] if analysis.best else []
    for arm in [*having(results, "random", "base"), analysis.tried[0], *best]:
        name = f"{arm.name}, best on validation" if arm in best else arm.name
        grid += [[(name, trial)] for trial in results.trials(Cell(arm.key, analysis.levels))[:1]]
    caption = (
        f"Synthetic images of seed {results.seeds[0]}. Methods that start from real images start from the random ones "
        "of that seed. Pixels outside the range of real images are clipped."
    )
    return picture_figure(analysis.folder, "images", "Distilled images", caption, grid, PAGE)
