"""The same design on clean and on perturbed data: which knobs matter otherwise, and does what helped still help?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import PercentFormatter

from studies.answers.sensitivity.figures import BASE, DEFAULT, FAINT, OURS, label_places
from studies.answers.sensitivity.findings import Findings
from studies.engine.answer import Cell, Figure, Table, points
from studies.engine.conditions import Condition
from studies.engine.evidence import Array, Evidence
from studies.engine.space import Axis, Space
from studies.engine.statistics import PairedInterval, paired_interval, set_means
from studies.engine.statistics.slopes import Agreement, Slope, knob_slopes, rank_agreement


@dataclass(frozen=True, eq=False)
class Comparison:
    """Clean and perturbed findings of one design, setting by setting.

    gains: each tried setting's paired gain over the base alone, clean and perturbed, [tried, R]; slopes: of the gain on
    each knob, clean, perturbed, and their difference.
    """

    space: Space
    condition: Condition
    clean: Findings
    stressed: Findings
    gains: tuple[Array, Array]
    slopes: tuple[tuple[Slope, ...], tuple[Slope, ...], tuple[Slope, ...]]
    agreement: Agreement | None

    def gain(self, which: int, setting: int) -> PairedInterval:
        """A setting's gain over the base: 0 on clean, 1 on perturbed data."""
        return paired_interval(self.gains[which][setting], np.zeros(self.gains[which].shape[1]))

    def change(self, setting: int) -> PairedInterval:
        """How much a setting's gain differs between perturbed and clean data, paired over seeds."""
        return paired_interval(self.gains[1][setting], self.gains[0][setting])


def compare(clean: Findings, stressed: Findings, space: Space, condition: Condition) -> Comparison:
    """Pair two findings of the same design."""
    gains = tuple(set_means(one.accuracy) - one.base_sets for one in (clean, stressed))
    designed = [i for i, setting in enumerate(clean.tried) if setting.role == "design"]
    means = [np.nanmean(one[designed], 1) if designed else np.empty(0) for one in gains]
    units = clean.units[designed]
    slopes = tuple(knob_slopes(units, values) for values in (means[0], means[1], means[1] - means[0]))
    return Comparison(
        space,
        condition,
        clean,
        stressed,
        (gains[0], gains[1]),
        (slopes[0], slopes[1], slopes[2]),
        rank_agreement(means[0], means[1]),
    )


def sentences(found: Comparison) -> list[str]:
    """Which knobs matter otherwise under the perturbation, and whether what helps on clean data still helps."""
    label = found.condition.label
    told = [
        f"Clean against {label}, the default's gain over the base alone is {points(found.gain(0, 0))} and "
        f"{points(found.gain(1, 0))} (change {points(found.change(0))})."
    ]
    if found.agreement:
        one = found.agreement
        told.append(
            f"Settings that are good on clean data are {'also' if one.low > 0 else 'not shown to be'} good under "
            f"{label}: rank correlation {one.value:.2f} [{one.low:.2f}, {one.high:.2f}] over {one.n} settings."
        )
    best = found.clean.best
    if best:
        knobs = ", ".join(f"{axis.symbol}={found.clean.tried[best].knobs[axis.key]}" for axis in found.space)
        after = found.gain(1, best)
        verdict = (
            "it still helps"
            if after.low is not None and after.low > 0
            else "it hurts"
            if after.high is not None and after.high < 0
            else "not decided at this n"
        )
        told.append(
            f"What is best on clean validation ({knobs}) gains {points(found.gain(0, best))} there and "
            f"{points(after)} under {label}: {verdict}. It was chosen on these seeds, which flatters both."
        )
    parts = []
    for axis, clean, stressed, difference in zip(found.space, *found.slopes, strict=False):
        if difference.low is None or difference.high is None:
            continue
        state = "more" if difference.low > 0 else "less" if difference.high < 0 else ""
        if state:
            parts.append(
                f"more {axis.symbol} helps {state} than on clean data ({_across(clean)} clean, {_across(stressed)} "
                f"perturbed, difference {_across(difference)})"
            )
    if parts:
        told.append(f"Under {label}, across each knob's range: {'; '.join(parts)}.")
    elif found.slopes[2]:
        told.append(f"No knob's linear effect is shown to differ between clean data and {label} at this n.")
    moved = [_moved(found, k, axis) for k, axis in enumerate(found.space) if _has_curves(found)]
    if moved:
        told.append(f"Best value on the response curves: {'; '.join(moved)}.")
    return told


def _has_curves(found: Comparison) -> bool:
    return bool(found.clean.curves and found.stressed.curves)


def _moved(found: Comparison, k: int, axis: Axis) -> str:
    """Whether the knob's best value moves: what is best on clean data must lie below the perturbed curve's best."""
    label = found.condition.label
    clean, stressed = found.clean.curves[k], found.stressed.curves[k]
    at = int(np.argmax(clean.mean))
    best = int(np.argmax(stressed.mean))
    # The wider of the two pointwise bands bounds what the difference of two places of one curve may be by chance.
    half = max(stressed.high[i] - stressed.mean[i] for i in (at, best))
    values = (
        f"{axis.symbol} {_best(found.clean, k, axis)} on clean data, {_best(found.stressed, k, axis)} under {label}"
    )
    if stressed.mean[best] - stressed.mean[at] > half > 0:
        return f"{values} (it moves)"
    return f"{values} (not shown to move)"


def _across(slope: Slope) -> str:
    if slope.low is None or slope.high is None:
        return f"{100 * slope.value:+.1f} points"
    return f"{100 * slope.value:+.1f} points [{100 * slope.low:+.1f}, {100 * slope.high:+.1f}]"


def _best(found: Findings, k: int, axis: Axis) -> str:
    curve = found.curves[k]
    if max(curve.mean) - min(curve.mean) < 1e-6:
        return "flat"
    place = curve.grid[int(np.argmax(curve.mean))]
    value = axis.from_unit(place)
    return str(axis.values[round(value)]) if axis.values else f"{value:.2g}"


def tables(found: Comparison) -> tuple[Table, ...]:
    """Effects of the knobs and gains of the settings, clean beside perturbed."""
    effects: list[tuple[Cell, ...]] = []
    for k, (axis, clean, stressed, difference) in enumerate(zip(found.space, *found.slopes, strict=False)):
        best = [_best(one, k, axis) if one.curves else None for one in (found.clean, found.stressed)]
        effects.append((axis.symbol, _across(clean), _across(stressed), _across(difference), *best))
    rows: list[tuple[Cell, ...]] = []
    order = np.argsort(-np.nan_to_num(np.nanmean(found.gains[1], 1), nan=-1))
    for i in order:
        setting = found.clean.tried[int(i)]
        rows.append(
            (
                "default" if setting.role == "default" else str(setting.setting),
                *(setting.knobs[axis.key] for axis in found.space),
                points(found.gain(0, int(i))),
                points(found.gain(1, int(i))),
                points(found.change(int(i))),
            )
        )
    symbols = [axis.symbol for axis in found.space]
    made = [
        Table(
            "stress_effects",
            "What each knob does, clean and perturbed",
            ("knob", "effect on clean data", f"under {found.condition.label}", "difference", *_BEST),
            tuple(effects),
            "Linear effect on the gain over the base alone from the lower to the upper end of the knob's range, the "
            "other knobs held; 95% bootstrap over settings. The last two columns: where the response curve is "
            "highest.",
        ),
        Table(
            "stress_settings",
            "Every setting on clean and on perturbed data",
            ("setting", *symbols, "gain on clean data", f"gain under {found.condition.label}", "change"),
            tuple(rows),
            "Paired gain over the base alone under the same data, validation accuracy, 95% t interval over seeds.",
        ),
    ]
    return tuple(table for table in made if table.rows)


_BEST = ("best on clean data", "best on perturbed data")


def figure(found: Comparison, evidence: Evidence) -> Figure:
    """Gain over the base against each knob, clean and perturbed, and settings against each other."""
    space = found.space
    columns = min(3, len(space) + 1)
    rows = -(-(len(space) + 1) // columns)
    drawing = Drawing(figsize=(3.9 * columns, 3.3 * rows), layout="constrained")
    grid = drawing.subplots(rows, columns, squeeze=False)
    tints = ((found.clean, FAINT, "clean data"), (found.stressed, OURS, found.condition.label))
    for k, axis in enumerate(space):
        axes = grid.flat[k]
        axes.axhline(0, color=BASE, lw=1)
        for one, tint, name in tints:
            level = float(np.nanmean(one.base_sets))
            if one.curves:
                curve = one.curves[k]
                axes.fill_between(
                    curve.grid, np.array(curve.low) - level, np.array(curve.high) - level, color=tint, alpha=0.2, lw=0
                )
                axes.plot(curve.grid, np.array(curve.mean) - level, color=tint, lw=2, label=name)
            axes.plot(one.units[1:, k], one.means[1:] - level, "o", ms=3.5, color=tint, alpha=0.7)
        if 0 <= found.clean.units[0, k] <= 1:
            axes.axvline(found.clean.units[0, k], color=DEFAULT, lw=1, ls="--", label=evidence.default_name)
        label_places(axes, axis)
        axes.set_xlabel(axis.symbol)
        axes.set_ylabel("gain over the base")
        _percent(axes)
    axes = grid.flat[len(space)]
    clean, stressed = (np.nanmean(one, 1) for one in found.gains)
    axes.axhline(0, color=BASE, lw=1)
    axes.axvline(0, color=BASE, lw=1)
    axes.plot(clean[1:], stressed[1:], "o", ms=4, color=OURS)
    axes.plot(clean[0], stressed[0], "D", ms=7, color=DEFAULT)
    axes.set_xlabel("gain on clean data")
    axes.set_ylabel(f"gain under {found.condition.label}")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    _percent(axes)
    for extra in list(grid.flat)[len(space) + 1 :]:
        extra.set_visible(False)
    drawing.legend(
        *grid.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, fontsize=9
    )
    return Figure(
        "stress",
        "The same settings on clean and on perturbed data",
        "Gain over the base alone under the same data and seeds (validation). Curves: Gaussian process averaged "
        "over the other knobs, with its 95% band; dots: settings, mean over seeds. Last panel: each setting's two "
        f"gains; diamond: {evidence.default_name}.",
        drawing,
    )


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    axes.spines[["top", "right"]].set_visible(False)
