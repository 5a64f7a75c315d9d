"""The figures of a design with enough settings for importances and a response surface."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from studies.answers.parts.drawing import FAINT, INK, PAGE, TITLE, colour_bar, legend, panels
from studies.answers.parts.heat_maps import ACCURACY
from studies.answers.sensitivity.analysis import Analysis, default_name
from studies.engine.answer import Figure
from studies.engine.space import Axis
from studies.engine.statistics.surface import OF_NOISE, SurfaceFit
from studies.engine.wording import plural

# Okabe and Ito's blue, vermillion and orange, which differ in lightness; what they mark differs in shape too.
OURS, BASE, DEFAULT = "#0072B2", "#D55E00", "#E69F00"


def label_ticks(axes: Axes, axis: Axis, vertical: bool = False) -> None:
    """Label the ticks of a unit-scaled axis with the knob's values."""
    if axis.values:
        ticks = np.linspace(0, 1, len(axis.values))
        labels = [str(value) for value in axis.values]
    elif axis.log:
        low, high = np.log10(axis.low), np.log10(axis.high)
        decades = [10.0**k for k in range(int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9)) + 1)]
        decades = decades[:: 2 if len(decades) > 5 else 1]
        values = decades if len(decades) > 2 else list(np.geomspace(axis.low, axis.high, 5))
        ticks = np.array([axis.unit(v) for v in values])
        labels = [f"{v:g}" if v in decades else f"{v:.2g}" for v in values]
    else:
        ticks = np.linspace(0, 1, 5)
        labels = [f"{axis.from_unit(p):.3g}" for p in ticks]
    (axes.set_yticks if vertical else axes.set_xticks)(ticks, labels)


def trust(fit: SurfaceFit) -> str:
    """The goodness of fit of the curves, for legends and captions."""
    text = f"cross-validated R² {fit.r_squared:.2f}"
    if not fit.explains:
        return f"{text}: the curve explains nothing"
    return f"{text}, which pure noise can reach" if fit.r_squared < OF_NOISE else text


def importance(analysis: Analysis) -> Figure | None:
    if analysis.importances is None:
        return None
    drawing, grid = panels(2, 2, (PAGE / 2, 2.6), extra=(0.0, 0.2))
    for axes, evaluator in zip(grid, ("fANOVA", "PED-ANOVA"), strict=True):
        findings = [f for f in analysis.importances.findings if f.evaluator == evaluator][::-1]
        for row, f in enumerate(findings):
            axes.barh(row, f.value or 0, color=FAINT if f.knob == "dummy" else OURS, height=0.6)
            if f.low is not None and f.high is not None:
                axes.plot([f.low, f.high], [row, row], "|-", color=INK, lw=1.2, ms=6)
            if f.null95 is not None:
                name = None if row else "95% of permuted targets"
                axes.plot([f.null95] * 2, [row - 0.38, row + 0.38], color=BASE, lw=2.5, label=name)
        axes.set_yticks(range(len(findings)), [f.knob for f in findings])
        axes.set_xlabel("share of the variance" if evaluator == "fANOVA" else "importance for the best settings")
        axes.set_title(evaluator, fontsize=TITLE, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0)
    legend(drawing, grid[0])
    return Figure(
        "importance",
        "Which knob matters",
        f"Bars with 95% intervals over {plural(analysis.importances.n_settings, 'setting')}. A knob stands above the "
        "noise if its whole interval lies to the right of the upright mark (the value under a permuted target) and of "
        "the dummy knob, which no trial reads.",
        drawing,
    )


def interactions(analysis: Analysis) -> Figure | None:
    if not analysis.maps or analysis.surface is None or not analysis.surface.fit.explains:
        return None
    columns = min(3, len(analysis.maps))
    drawing, grid = panels(len(analysis.maps), columns, ((PAGE - 0.7) / 3, 2.2), extra=(0.7, 0.0))
    values = np.array([pair.mean for pair in analysis.maps])
    # A colour scale narrower than half a point exaggerates noise.
    half = max(float(np.ptp(values)) / 2, 0.0025)
    middle = float(values.max() + values.min()) / 2
    scale = Normalize(middle - half, middle + half)
    for axes, pair, shown in zip(grid, analysis.maps, values, strict=True):
        mesh = axes.pcolormesh(pair.grid, pair.grid, shown.T, cmap=ACCURACY, shading="nearest", norm=scale)
        _mark_settings(axes, analysis, pair.first, pair.second)
        for share in analysis.shares:
            if share.knobs == (pair.first, pair.second):
                title = f"interaction {share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"
                axes.set_title(title, fontsize=8)
    colour_bar(drawing, mesh, grid, f"gain over {analysis.base.name} (points)", points=True)
    return Figure(
        "interactions",
        "Do the knobs interact?",
        f"Gain over {analysis.base.name} over each pair of knobs, averaged over the others (Gaussian process, "
        f"{trust(analysis.surface.fit)}). Panel titles: the share of the surface's variance that is due to the pair "
        "and to neither knob alone, with a 95% interval. White dots: the settings tried; diamond: "
        f"{default_name(analysis.folder)}.",
        drawing,
    )


def _mark_settings(axes: Axes, analysis: Analysis, first: str, second: str) -> None:
    """Draw the tried settings in the plane of two knobs."""
    space = analysis.space
    i, j = ([axis.symbol for axis in space].index(name) for name in (first, second))
    label_ticks(axes, space[i])
    label_ticks(axes, space[j], vertical=True)
    axes.set(xlabel=first, ylabel=second)
    axes.plot(analysis.units[1:, i], analysis.units[1:, j], "o", ms=3, color="white", mec=INK, mew=0.5)
    x, y = analysis.units[0, i], analysis.units[0, j]
    if 0 <= x <= 1 and 0 <= y <= 1:
        axes.plot(x, y, "D", ms=6, color=DEFAULT, mec=INK)
