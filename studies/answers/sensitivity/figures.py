"""The figures of the sensitivity answer."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import PercentFormatter

from studies.answers.sensitivity.findings import Findings
from studies.engine.answer import Figure
from studies.engine.evidence import Evidence
from studies.engine.space import Axis
from studies.engine.statistics import mean_interval, set_means

INK, OURS, BASE, DEFAULT, FAINT = "#1d2430", "#0b6e99", "#c0392b", "#d98200", "#9aa5b1"


def draw_figures(found: Findings, evidence: Evidence) -> tuple[Figure, ...]:
    """The figures that the rows allow, most telling first."""
    figures = []
    if found.curves:
        figures.append(_responses(found, evidence))
    figures.append(_noise(found, evidence))
    if found.importances is not None:
        figures.append(_importance(found))
    if found.maps:
        figures.append(_interactions(found, evidence))
    pictures = _pictures(found, evidence)
    return (*figures, *([pictures] if pictures else []))


def _percent_axis(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    axes.spines[["top", "right"]].set_visible(False)


def label_places(axes: Axes, axis: Axis, vertical: bool = False) -> None:
    """Ticks of a unit-scaled axis in the knob's own values."""
    if axis.values:
        places = np.linspace(0, 1, len(axis.values))
        labels = [str(value) for value in axis.values]
    elif axis.log:
        low, high = np.log10(axis.low), np.log10(axis.high)
        decades = [10.0**k for k in range(int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9)) + 1)]
        values = decades if len(decades) > 2 else list(np.geomspace(axis.low, axis.high, 5))
        places, labels = (
            np.array([axis.unit(v) for v in values]),
            [f"{v:g}" if v in decades else f"{v:.2g}" for v in values],
        )
    else:
        places = np.linspace(0, 1, 5)
        labels = [f"{axis.from_unit(p):.3g}" for p in places]
    (axes.set_yticks if vertical else axes.set_xticks)(places, labels, fontsize=8)


def _responses(found: Findings, evidence: Evidence) -> Figure:
    space, count = evidence.space, len(evidence.space)
    columns = min(count, 2)
    rows = -(-count // columns)
    drawing = Drawing(figsize=(5 * columns, 3.4 * rows), layout="constrained")
    grid = drawing.subplots(rows, columns, sharey=True, squeeze=False)
    base, means = mean_interval(found.base_sets), found.means
    for k, (axis, curve) in enumerate(zip(space, found.curves, strict=True)):
        axes = grid.flat[k]
        if base.mean is not None:
            axes.axhline(base.mean, color=BASE, lw=1.2, label="base alone")
        axes.fill_between(curve.grid, curve.low, curve.high, color=OURS, alpha=0.2, lw=0)
        axes.plot(curve.grid, curve.mean, color=OURS, lw=2, label="mean over the other knobs, 95% band")
        tried = [i for i, s in enumerate(found.tried) if s.role != "default"]
        axes.plot(
            found.units[tried, k], means[tried], "o", ms=4, color=INK, alpha=0.55, label="a setting (mean over seeds)"
        )
        if 0 <= found.units[0, k] <= 1:
            axes.axvline(found.units[0, k], color=DEFAULT, lw=1, ls="--")
            axes.plot(found.units[0, k], means[0], "D", ms=7, color=DEFAULT, label=evidence.default_name)
        label_places(axes, axis)
        axes.set_xlabel(f"{axis.short.replace('_', ' ')} {axis.symbol}" if axis.symbol != axis.short else axis.short)
        _percent_axis(axes)
        if k % columns == 0:
            axes.set_ylabel("validation accuracy")
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    drawing.legend(
        *grid.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=9
    )
    seeds = found.accuracy.shape[1]
    return Figure(
        "response",
        "Accuracy against each knob",
        f"Curve: a Gaussian process through {len(found.tried)} settings (each the mean over {seeds} seeds), averaged "
        "over the other knobs, with its 95% band. Red: the base method alone on the same seeds. The band is for the "
        "shape; the height that all settings share with their seeds has an error of its own.",
        drawing,
    )


def _noise(found: Findings, evidence: Evidence) -> Figure:
    sets, means = set_means(found.accuracy), found.means
    order = [int(i) for i in np.argsort(np.nan_to_num(means, nan=-1))]
    drawing = Drawing(figsize=(10, 4.2), layout="constrained")
    axes = drawing.subplots()
    base = mean_interval(found.base_sets)
    if base.mean is not None:
        axes.axhline(base.mean, color=BASE, lw=1.2, label="base alone, mean over seeds")
    if found.region.threshold is not None:
        axes.axhspan(found.region.threshold, axes.get_ylim()[1], color=OURS, alpha=0.08, lw=0)
        axes.axhline(found.region.threshold, color=OURS, lw=1, ls=":", label="one standard error below the best")
    marks = "osv^Dph*X<>"
    for seed in range(sets.shape[1]):
        mark = marks[seed % len(marks)]
        axes.plot(
            range(len(order)),
            sets[order, seed],
            mark,
            ms=4,
            color=FAINT,
            label=f"seed {evidence.identity['seeds'][seed]}",
        )
    axes.plot(range(len(order)), means[order], "_", ms=14, mew=2.5, color=OURS, label="mean over seeds")
    place = order.index(0)
    axes.plot(place, means[0], "D", ms=8, color=DEFAULT, label=evidence.default_name, zorder=4)
    finite = np.concatenate([sets[np.isfinite(sets)], found.base_sets[np.isfinite(found.base_sets)]])
    margin = max(0.005, 0.08 * float(np.ptp(finite)))
    axes.set_ylim(finite.min() - margin, finite.max() + margin)
    names = ["default" if found.tried[i].role == "default" else str(found.tried[i].setting) for i in order]
    dense = len(order) > 30
    axes.set_xticks(range(len(order)), names, fontsize=6 if dense else 8, rotation=90 if dense else 0)
    axes.set_xlabel("setting, worst to best on validation")
    axes.set_ylabel("validation accuracy")
    _percent_axis(axes)
    drawing.legend(loc="outside upper center", frameon=False, fontsize=8, ncols=5)
    return Figure(
        "noise",
        "What the knobs change, against what the seed changes",
        "Each grey mark is one synthetic set (mean over its evaluation networks); the spread of a column is seed "
        "noise, the climb of the bars is the knobs. Settings above the dotted line cannot be told from the best.",
        drawing,
    )


def _importance(found: Findings) -> Figure:
    assert found.importances is not None
    drawing = Drawing(figsize=(10, 3.4), layout="constrained")
    for axes, evaluator in zip(drawing.subplots(1, 2), ("fANOVA", "PED-ANOVA"), strict=True):
        findings = [f for f in found.importances.findings if f.evaluator == evaluator][::-1]
        for row, f in enumerate(findings):
            colour = FAINT if f.knob == "dummy" else OURS
            axes.barh(row, f.value or 0, color=colour, height=0.6)
            if f.low is not None and f.high is not None:
                axes.plot([f.low, f.high], [row, row], color=INK, lw=1.5)
            if f.null95 is not None:
                axes.plot(
                    [f.null95] * 2,
                    [row - 0.38, row + 0.38],
                    color=BASE,
                    lw=2,
                    label="95% of permuted targets" if not row else None,
                )
        axes.set_yticks(range(len(findings)), [f.knob for f in findings])
        axes.set_xlabel("share of the variance" if evaluator == "fANOVA" else "importance for the best settings")
        axes.set_title(evaluator, fontsize=11, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0)
    drawing.legend(*drawing.axes[0].get_legend_handles_labels(), loc="outside upper right", frameon=False, fontsize=9)
    return Figure(
        "importance",
        "Which knob matters",
        f"Bars with 95% intervals over {found.importances.n_settings} settings. A knob stands above the noise when "
        "its whole interval lies right of the red mark (what a shuffled target gives) and of the dummy knob, which "
        "nothing reads.",
        drawing,
    )


def _interactions(found: Findings, evidence: Evidence) -> Figure:
    axes_of = {axis.symbol: axis for axis in evidence.space}
    pairs = len(found.maps)
    columns = min(3, pairs)
    rows = -(-pairs // columns)
    drawing = Drawing(figsize=(3.6 * columns + 0.6, 3.3 * rows), layout="constrained")
    grid = drawing.subplots(rows, columns, squeeze=False)
    values = np.array([m.mean for m in found.maps])
    # A colour scale of less than half a point would dramatise noise.
    half = max(float(np.ptp(values)) / 2, 0.0025)
    middle = float(values.max() + values.min()) / 2
    shares = {share.knobs: share for share in found.shares.pairs} if found.shares else {}
    mesh = None
    for axes, pair in zip(grid.flat, found.maps, strict=False):
        mesh = axes.pcolormesh(
            pair.grid,
            pair.grid,
            np.array(pair.mean).T,
            vmin=middle - half,
            vmax=middle + half,
            cmap="viridis",
            shading="nearest",
        )
        label_places(axes, axes_of[pair.first])
        label_places(axes, axes_of[pair.second], vertical=True)
        axes.set_xlabel(pair.first)
        axes.set_ylabel(pair.second)
        i, j = (list(axes_of).index(name) for name in (pair.first, pair.second))
        axes.plot(found.units[1:, i], found.units[1:, j], ".", ms=3, color="white", alpha=0.8)
        if (0 <= found.units[0, [i, j]]).all() and (found.units[0, [i, j]] <= 1).all():
            axes.plot(found.units[0, i], found.units[0, j], "D", ms=6, color=DEFAULT, mec="white")
        share = shares.get((pair.first, pair.second))
        if share:
            axes.set_title(f"interaction {share.value:.0%} [{share.low:.0%}, {share.high:.0%}]", fontsize=9)
    for axes in grid.flat[pairs:]:
        axes.set_visible(False)
    if mesh is not None:
        bar = drawing.colorbar(mesh, ax=grid, shrink=0.8, format=PercentFormatter(1.0, decimals=1))
        bar.set_label("validation accuracy")
    return Figure(
        "interactions",
        "Do the knobs interact?",
        "Accuracy over each pair of knobs, averaged over the others (Gaussian process). Title: the share of the "
        "surface's variance that belongs to the pair and to neither knob alone, with a 95% interval. White: settings "
        "tried; diamond: the paper's default.",
        drawing,
    )


def _pictures(found: Findings, evidence: Evidence) -> Figure | None:
    """The synthetic images of the first seed: random, base, default, best."""
    from PIL import Image

    wanted = [("random real images", evidence.having("random")), ("base alone", evidence.having("base"))]
    wanted.append((evidence.default_name, [found.tried[0]]))
    if found.best:
        wanted.append(("best on validation", [found.tried[found.best]]))
    shown: list[tuple[str, Image.Image]] = []
    for name, settings in wanted:
        for setting in settings[:1]:
            path = evidence.out / "trials" / setting.trials[0] / "synthetic.png"
            if path.exists():
                shown.append((name, Image.open(io.BytesIO(path.read_bytes()))))
    if not shown:
        return None
    return Figure(
        "images",
        "What is distilled",
        f"The synthetic images of seed {evidence.identity['seeds'][0]}; methods that start from real "
        "images start from the random ones of that seed. Pixels outside the range of real ones are clipped.",
        _stack(shown),
    )


def _stack(shown: Sequence[tuple[str, object]]) -> Drawing:
    sizes = [picture.size for _, picture in shown]  # type: ignore[attr-defined]
    width, heights = max(w for w, _ in sizes), [h for _, h in sizes]
    scale = 9 / width
    drawing = Drawing(figsize=(9, sum(heights) * scale + 0.35 * len(shown)), layout="constrained")
    grid = drawing.subplots(len(shown), 1, squeeze=False, height_ratios=heights)
    for axes, (name, picture) in zip(grid.flat, shown, strict=True):
        axes.imshow(np.asarray(picture), interpolation="nearest")
        axes.set_title(name, loc="left", fontsize=10)
        axes.axis("off")
    return drawing
