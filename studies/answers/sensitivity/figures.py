"""The figures of the sensitivity answer."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import PercentFormatter

from studies.answers.parts.drawing import FAINT, INK, legend, percent_axis
from studies.answers.parts.pictures import picture_figure
from studies.answers.results import Cell
from studies.answers.sensitivity.analysis import Analysis, default_name, having
from studies.engine.answer import Figure, plural
from studies.engine.space import Axis

OURS, BASE, DEFAULT = "#0b6e99", "#c0392b", "#d98200"


def draw_figures(found: Analysis) -> list[Figure | None]:
    """The figures that the rows allow, most telling first."""
    return [_responses(found), _noise(found), _importance(found), _interactions(found), _pictures(found)]


def panels(count: int, columns: int, size: tuple[float, float], *, share: bool = False) -> tuple[Drawing, list[Axes]]:
    """A drawing with a grid of `count` panels, each of a size in inches."""
    rows = -(-count // columns)
    drawing = Drawing(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    grid: list[Axes] = list(drawing.subplots(rows, columns, sharey=share, squeeze=False).flat)
    for axes in grid[count:]:
        axes.set_visible(False)
    return drawing, grid[:count]


def label_places(axes: Axes, axis: Axis, vertical: bool = False) -> None:
    """Ticks of a unit-scaled axis in the knob's own values."""
    if axis.values:
        places = np.linspace(0, 1, len(axis.values))
        labels = [str(value) for value in axis.values]
    elif axis.log:
        low, high = np.log10(axis.low), np.log10(axis.high)
        decades = [10.0**k for k in range(int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9)) + 1)]
        values = decades if len(decades) > 2 else list(np.geomspace(axis.low, axis.high, 5))
        places = np.array([axis.unit(v) for v in values])
        labels = [f"{v:g}" if v in decades else f"{v:.2g}" for v in values]
    else:
        places = np.linspace(0, 1, 5)
        labels = [f"{axis.from_unit(p):.3g}" for p in places]
    (axes.set_yticks if vertical else axes.set_xticks)(places, labels, fontsize=8)


def draw_knob(axes: Axes, found: Analysis, k: int, tint: str, name: str, level: float = 0.0) -> None:
    """The response curve of a knob less a level, with its band, the settings as dots, and the default's value."""
    axis, units = found.space[k], found.units[:, k]
    if found.curves:
        curve = found.curves[k]
        low, mean, high = (np.array(values) - level for values in (curve.low, curve.mean, curve.high))
        axes.fill_between(curve.grid, low, high, color=tint, alpha=0.2, lw=0)
        axes.plot(curve.grid, mean, color=tint, lw=2, label=name)
    axes.plot(units[1:], found.means[1:] - level, "o", ms=4, color=tint, alpha=0.6)
    if 0 <= units[0] <= 1:
        axes.axvline(units[0], color=DEFAULT, lw=1, ls="--")
        axes.plot(units[0], found.means[0] - level, "D", ms=6, color=DEFAULT, mec=tint)
    label_places(axes, axis)
    axes.set_xlabel(f"{axis.short.replace('_', ' ')} {axis.symbol}" if axis.symbol != axis.short else axis.short)
    percent_axis(axes, 1)


def _base_line(axes: Axes, found: Analysis) -> None:
    """The base's mean over seeds."""
    axes.axhline(float(np.nanmean(found.base_sets)), color=BASE, lw=1.2, label=f"{found.base.name}, mean over seeds")


def _responses(found: Analysis) -> Figure | None:
    if not found.curves:
        return None
    count, columns = len(found.space), min(len(found.space), 2)
    drawing, grid = panels(count, columns, (5, 3.4), share=True)
    for k, axes in enumerate(grid):
        _base_line(axes, found)
        draw_knob(axes, found, k, OURS, "mean over the other knobs, 95% band")
        if k % columns == 0:
            axes.set_ylabel("validation accuracy")
    legend(drawing, grid[0])
    return Figure(
        "response",
        "Accuracy against each knob",
        f"Curve: a Gaussian process through {plural(len(found.tried), 'setting')} (dots, each the mean over "
        f"{plural(len(found.base_sets), 'seed')}), averaged over the other knobs, with its 95% band. Red: "
        f"{found.base.name} on the same seeds; diamond: {default_name(found.folder)}. The band is that of the curve's "
        "shape; it does not include the error of the height, which all settings share through their seeds.",
        drawing,
    )


def _noise(found: Analysis) -> Figure:
    sets, means = found.sets, found.means
    order = [int(i) for i in np.argsort(np.nan_to_num(means, nan=-1))]
    drawing = Drawing(figsize=(10, 4.2), layout="constrained")
    axes = drawing.subplots()
    _base_line(axes, found)
    if found.region.threshold is not None:
        axes.axhspan(found.region.threshold, axes.get_ylim()[1], color=OURS, alpha=0.08, lw=0)
        axes.axhline(found.region.threshold, color=OURS, lw=1, ls=":", label="one standard error below the best")
    marks, places = "osv^Dph*X<>", range(len(order))
    for k, seed in enumerate(found.results.seeds):
        axes.plot(places, sets[order, k], marks[k % len(marks)], ms=4, color=FAINT, label=f"seed {seed}")
    axes.plot(places, means[order], "_", ms=14, mew=2.5, color=OURS, label="mean over seeds")
    axes.plot(order.index(0), means[0], "D", ms=8, color=DEFAULT, label="the default", zorder=4)
    finite = np.concatenate([sets[np.isfinite(sets)], found.base_sets[np.isfinite(found.base_sets)]])
    margin = max(0.005, 0.08 * float(np.ptp(finite)))
    axes.set_ylim(finite.min() - margin, finite.max() + margin)
    dense = len(order) > 30
    names = [found.label(i) for i in order]
    axes.set_xticks(places, names, fontsize=6 if dense else 8, rotation=90 if dense else 0)
    axes.set(xlabel="setting, worst to best on validation", ylabel="validation accuracy")
    percent_axis(axes, 1)
    legend(drawing, axes)
    return Figure(
        "noise",
        "Effect of the knobs and noise of the seeds",
        "Each grey mark is one synthetic set (mean over its evaluation networks); the spread within a column is seed "
        "noise, the rise of the bars from left to right is the effect of the knobs. Settings above the dotted line lie "
        f"within one standard error of the best. Diamond: {default_name(found.folder)}.",
        drawing,
    )


def _importance(found: Analysis) -> Figure | None:
    if found.importances is None:
        return None
    drawing = Drawing(figsize=(10, 3.4), layout="constrained")
    for axes, evaluator in zip(drawing.subplots(1, 2), ("fANOVA", "PED-ANOVA"), strict=True):
        findings = [f for f in found.importances.findings if f.evaluator == evaluator][::-1]
        for row, f in enumerate(findings):
            axes.barh(row, f.value or 0, color=FAINT if f.knob == "dummy" else OURS, height=0.6)
            if f.low is not None and f.high is not None:
                axes.plot([f.low, f.high], [row, row], color=INK, lw=1.5)
            if f.null95 is not None:
                name = None if row else "95% of permuted targets"
                axes.plot([f.null95] * 2, [row - 0.38, row + 0.38], color=BASE, lw=2, label=name)
        axes.set_yticks(range(len(findings)), [f.knob for f in findings])
        axes.set_xlabel("share of the variance" if evaluator == "fANOVA" else "importance for the best settings")
        axes.set_title(evaluator, fontsize=11, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0)
    drawing.legend(*drawing.axes[0].get_legend_handles_labels(), loc="outside upper right", frameon=False, fontsize=9)
    return Figure(
        "importance",
        "Which knob matters",
        f"Bars with 95% intervals over {plural(found.importances.n_settings, 'setting')}. A knob stands above the "
        "noise if its whole interval lies to the right of the red mark (the value under a permuted target) and of the "
        "dummy knob, which no trial reads.",
        drawing,
    )


def _interactions(found: Analysis) -> Figure | None:
    if not found.maps:
        return None
    columns = min(3, len(found.maps))
    drawing, grid = panels(len(found.maps), columns, (3.6 + 0.6 / columns, 3.3))
    values = np.array([pair.mean for pair in found.maps])
    # A colour scale of less than half a point would dramatise noise.
    half = max(float(np.ptp(values)) / 2, 0.0025)
    middle = float(values.max() + values.min()) / 2
    scale = Normalize(middle - half, middle + half)
    for axes, pair, shown in zip(grid, found.maps, values, strict=True):
        mesh = axes.pcolormesh(pair.grid, pair.grid, shown.T, cmap="viridis", shading="nearest", norm=scale)
        _mark_settings(axes, found, pair.first, pair.second)
        for share in found.shares:
            if share.knobs == (pair.first, pair.second):
                told = f"interaction {share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"
                axes.set_title(told, fontsize=9)
    bar = drawing.colorbar(mesh, ax=drawing.axes, shrink=0.8, format=PercentFormatter(1.0, decimals=1))
    bar.set_label("validation accuracy")
    return Figure(
        "interactions",
        "Do the knobs interact?",
        "Accuracy over each pair of knobs, averaged over the others (Gaussian process). Panel titles: the share of the "
        "surface's variance that is due to the pair and to neither knob alone, with a 95% interval. White dots: the "
        f"settings tried; diamond: {default_name(found.folder)}.",
        drawing,
    )


def _mark_settings(axes: Axes, found: Analysis, first: str, second: str) -> None:
    """The settings tried on the plane of two knobs."""
    space = found.space
    i, j = ([axis.symbol for axis in space].index(name) for name in (first, second))
    label_places(axes, space[i])
    label_places(axes, space[j], vertical=True)
    axes.set(xlabel=first, ylabel=second)
    axes.plot(found.units[1:, i], found.units[1:, j], ".", ms=3, color="white", alpha=0.8)
    x, y = found.units[0, i], found.units[0, j]
    if 0 <= x <= 1 and 0 <= y <= 1:
        axes.plot(x, y, "D", ms=6, color=DEFAULT, mec="white")


def _pictures(found: Analysis) -> Figure | None:
    """The synthetic images of the first seed: random, base, default, best."""
    results, grid = found.results, []
    best = [found.tried[found.best]] if found.best else []
    for arm in [*having(results, "random", "base"), found.tried[0], *best]:
        name = f"{arm.name}, best on validation" if arm in best else arm.name
        grid += [[(name, trial)] for trial in results.trials(Cell(arm.key, found.levels))[:1]]
    caption = (
        f"Synthetic images of seed {results.seeds[0]}. Methods that start from real images start from the random ones "
        "of that seed. Pixels outside the range of real images are clipped."
    )
    return picture_figure(found.folder, "images", "Distilled images", caption, grid, 9)
