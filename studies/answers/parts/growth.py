"""How the cost of arms grows along curves: exponents beside predicted ones, and whether it grows at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from studies.answers.ledger import Ledger, Ruling, margin
from studies.answers.metrics import METRICS
from studies.answers.parts.drawing import (
    FAINT,
    PAGE,
    Style,
    bars,
    curve_axis,
    dodged,
    legend_below,
    panels,
    sized_axis,
    styles,
)
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Claim, Figure, Quantity, Table
from studies.engine.arms import Curve
from studies.engine.rows import Array
from studies.engine.statistics import Interval
from studies.engine.statistics.growth import HIGHEST, LOWEST, Growth, GrowthEstimate, growth, power_fit
from studies.engine.units import UNITS
from studies.engine.wording import plural

Levels = tuple[str, ...]
# A curve with its (x, levels), x ascending and above 0: those of `Results.curves`, or some of them.
Along = tuple[Curve, Sequence[tuple[float, Levels]]]
COLUMNS = 3
PREDICTED = (0, (4, 2))


@dataclass(frozen=True, eq=False)
class Grown:
    """The growth of an arm's cost along a curve.

    means: geometric, as logarithms, by x; predicted: by x, NaN where nothing is predicted; predicted_fit: their fit,
    None with too few. ruling: on the cost at the largest x over that at the smallest.
    Shapes: x, means, predicted [X]. Units: predicted in those of the cost, such as seconds, or in any others that are
    proportional to it, such as FLOPs.
    """

    metric: str
    curve: Curve
    arm: str
    x: Array
    means: tuple[Interval, ...]
    estimate: GrowthEstimate
    predicted: Array
    predicted_fit: Growth | None
    ruling: Ruling
    claims: tuple[Claim, ...]

    @property
    def exponent(self) -> Quantity | None:
        """The fitted exponent; None where most repeats have none."""
        known = _known(self.estimate)
        return None if known.mean is None else replace(Quantity.of(known, ""), digits=2)

    @property
    def scaled(self) -> Array:
        """The prediction times what makes it equal to the mean at the largest x that has both, [X]."""
        means = np.exp([np.nan if one.mean is None else one.mean for one in self.means])
        both = np.flatnonzero(np.isfinite(means) & np.isfinite(self.predicted))
        return self.predicted * (means[both[-1]] / self.predicted[both[-1]] if len(both) else np.nan)


def grown(
    ledger: Ledger,
    metric: str,
    arms: Iterable[str],
    along: Sequence[Along],
    family: str,
    predicted: Mapping[Cell, float] | None = None,
    among: Sequence[int] | None = None,
) -> list[Grown]:
    """The growth of each arm along each curve on which it runs at two x or more, judged in a family for each curve.

    metric: one of a cost, on a log scale; predicted: above 0, by cell; among: the seeds that have it, by default all.
    Raises: ValueError for an x that is not above 0, such as a factor's reference where it is none of the curve.
    """
    results = ledger.results
    cases = [
        (curve, arm, [(x, Cell(arm, levels)) for x, levels in points if results.setting(Cell(arm, levels))])
        for curve, points in along
        for arm in arms
    ]
    cases = [case for case in cases if len(case[2]) > 1]
    found = []
    for curve in dict.fromkeys(curve for curve, *_ in cases):
        own = [(arm, points) for other, arm, points in cases if other == curve]
        contrasts = [_contrast(results, metric, curve, arm, points, among) for arm, points in own]
        rulings = ledger.family(f"{family} with {curve.name}", contrasts)
        for (arm, points), ruling in zip(own, rulings, strict=True):
            found.append(_grown(ledger, metric, curve, arm, points, ruling, predicted or {}, among))
    return found


def _known(estimate: GrowthEstimate) -> Interval:
    """The exponent; without numbers where most repeats have none, for the others do not stand for all."""
    found = estimate.exponent
    return found if found.n > estimate.lost else Interval(None, None, None, found.n)


def _contrast(
    results: Results,
    metric: str,
    curve: Curve,
    arm: str,
    points: Sequence[tuple[float, Cell]],
    among: Sequence[int] | None,
) -> Contrast:
    (_, first), (_, last) = points[0], points[-1]
    name = results.arms[arm].name
    what = f"{metric} of {name}{results.at(last.levels)} over that{results.at(first.levels)}"
    return results.contrast(
        slug("growth", metric, arm, curve.name), what, (1.0, last), (-1.0, first), metric=metric, among=among
    )


def _grown(
    ledger: Ledger,
    metric: str,
    curve: Curve,
    arm: str,
    points: Sequence[tuple[float, Cell]],
    ruling: Ruling,
    predictions: Mapping[Cell, float],
    among: Sequence[int] | None,
) -> Grown:
    """Fit measured and predicted costs; the means at both ends and the exponents become claims."""
    results, x = ledger.results, np.array([at for at, _ in points])
    planned = max(len(results.trials(cell)) for _, cell in points)
    repeats = [k for k, seed in enumerate(results.seeds[:planned]) if among is None or seed in among]
    runs = np.exp([results.sets(cell, metric)[repeats] for _, cell in points]).T
    predicted = np.array([predictions.get(cell, np.nan) for _, cell in points])
    estimate, predicted_fit = growth(x, runs), power_fit(x, predicted)
    of = f"{metric} of {results.arms[arm].name} along {curve.name}"
    known, expected = _known(estimate), predicted_exponent(predicted, predicted_fit)
    claims = [
        ledger.estimate(
            slug("exponent", metric, arm, curve.name),
            f"exponent p of a + b x^p, {of}",
            *(known.mean, known.low, known.high, known.n),
        )
    ]
    if expected is not None:
        id = slug("predicted-exponent", metric, arm, curve.name)
        claims.append(ledger.estimate(id, f"predicted exponent, {of}", expected, None, None, 0))
    ends = [ledger.claimed_mean(cell, metric, "(geometric mean)")[1] for _, cell in (points[0], points[-1])]
    means = tuple(results.mean(cell, metric) for _, cell in points)
    return Grown(
        metric, curve, arm, x, means, estimate, predicted, predicted_fit, ruling, (ruling.claim, *claims, *ends)
    )


def predicted_exponent(predicted: Array, fit: Growth | None) -> float | None:
    """The exponent of predicted costs: 0 where they are all the same; None where none is predicted."""
    if np.isfinite(predicted).all() and np.ptp(predicted) == 0:
        return 0.0
    return None if fit is None else fit.exponent


def growth_table(ledger: Ledger, cases: Sequence[Grown], name: str, title: str, what: str) -> Table:
    """A row for each arm and curve, of one cost. what: its name, such as `time of an iteration`."""
    sizes = sorted({case.ruling.judged.family_size for case in cases})
    return Table.of(
        name,
        title,
        [_row(ledger, case) for case in cases],
        f"{what[:1].upper()}{what[1:]}: geometric means over repeats (seeds), with pointwise 95% t intervals. Ratio: "
        "the cost at the last x over that at the first, paired by seed; decision: three paired t tests on its "
        f"logarithm, with a margin of {margin(cases[0].ruling.contrast) if cases else ''}, Holm-corrected over "
        f"{' or '.join(map(str, sizes))} comparisons. Exponent: p of a + b xᵖ with a, b ≥ 0, fitted to each repeat by "
        "least squares of relative errors, so that a constant does not hide growth; its interval is over the repeats "
        f"that have one. A repeat has none where it is flat, or where no p inside {LOWEST:g} to {HIGHEST:g} fits best; "
        "where most have none, the table gives none. Predicted: the same fit of the predicted costs. Misfit: the "
        "largest share by which the fit of the means misses one of them.",
    )


def _row(ledger: Ledger, case: Grown) -> dict[str, Entry]:
    unit, fit = METRICS[case.metric].unit, case.estimate.of_means
    expected = predicted_exponent(case.predicted, case.predicted_fit)
    repeats = len(case.estimate.fits)
    return {
        "along": case.curve.name,
        "method": ledger.results.arms[case.arm].name,
        "from x": _number(case.x[0]),
        "to x": _number(case.x[-1]),
        "at the first": Quantity.of(case.means[0], unit),
        "at the last": Quantity.of(case.means[-1], unit),
        "ratio": case.ruling.quantity,
        "predicted ratio": _predicted_ratio(case),
        "decision": case.ruling.word,
        "p (Holm)": case.ruling.judged.difference,
        "exponent": case.exponent,
        "repeats with one": f"{case.estimate.exponent.n} of {repeats}",
        "predicted exponent": None if expected is None else Quantity(expected, digits=2),
        "misfit": None if fit is None else Quantity(fit.misfit, unit="percent"),
        "pairs lost": case.ruling.lost,
    }


def _number(x: float) -> int | float:
    return int(x) if x == int(x) else float(x)


def _predicted_ratio(case: Grown) -> Quantity | None:
    first, last = case.predicted[0], case.predicted[-1]
    return Quantity(float(np.log(last / first)), unit="times") if np.isfinite(first * last) else None


def growth_figure(ledger: Ledger, cases: Sequence[Grown], name: str, title: str, what: str) -> Figure | None:
    """A log-log panel for each curve. what: the cost, such as `time of an iteration`."""
    shown = [case for case in cases if any(one.mean is not None for one in case.means)]
    if not shown:
        return None
    results, curves = ledger.results, list(dict.fromkeys(case.curve for case in shown))
    style = styles(results.arms)
    columns = min(len(curves), COLUMNS)
    width = PAGE / columns if columns > 1 else 0.7 * PAGE
    drawing, grid = panels(len(curves), columns, (width, 2.5), sharey=True, extra=(0.0, 0.5))
    for axes, curve in zip(grid, curves, strict=True):
        _draw(axes, [case for case in shown if case.curve == curve], style)
    for axes in grid:
        sized_axis(axes, UNITS[METRICS[shown[0].metric].unit])
    for axes in grid[::columns]:
        axes.set_ylabel(what)
    legend_below(drawing, _key(results, shown, style))
    foretold = any(np.isfinite(case.scaled).any() for case in shown)
    return Figure(
        name,
        title,
        f"Geometric mean of the {what} over {plural(len(results.seeds), 'repeat')} with pointwise 95% t intervals, on "
        "log axes; arms of one x stand side by side. Lines: a + b xᵖ fitted to the means, a constant for what is flat. "
        + ("Dashed: the predicted cost, scaled to the mean at the largest x. " if foretold else "")
        + "Filled: with the MI term; hollow: without it.",
        drawing,
    )


def _draw(axes: Axes, cases: Sequence[Grown], style: Mapping[str, Style]) -> None:
    """Draw the means, fits and predictions of one curve."""
    for k, case in enumerate(cases):
        own = style[case.arm]
        bars(axes, dodged(case.x, k, len(cases), log=True), _linear(case), replace(own, line="none"), "")
        if case.estimate.of_means is not None:
            x = np.geomspace(case.x[0], case.x[-1], 100)
            axes.plot(x, case.estimate.of_means.at(x), color=own.colour, lw=1.2, zorder=1.5)
        axes.plot(case.x, case.scaled, color=FAINT, lw=1.1, ls=PREDICTED, zorder=1.6)
    curve = cases[0].curve
    curve_axis(axes, replace(curve, scale="log"), np.unique(np.concatenate([case.x for case in cases])))
    axes.grid(axis="y", color="#e6e9ee", lw=0.8)
    axes.set_axisbelow(True)


def _linear(case: Grown) -> list[Interval]:
    """The means of the logarithms as geometric means."""
    unit = METRICS[case.metric].unit
    return [Interval(*Quantity.of(one, unit).numbers, one.n) for one in case.means]


def _key(results: Results, cases: Sequence[Grown], style: Mapping[str, Style]) -> list[Artist]:
    """The legend: the marker of each arm, and what the lines are."""
    handles: list[Artist] = []
    for arm in dict.fromkeys(case.arm for case in cases):
        own = style[arm]
        line = Line2D([], [], color=own.colour, lw=1.2, marker=own.marker, markerfacecolor=own.face, markersize=5.5)
        line.set_label(results.arms[arm].name)
        handles.append(line)
    if any(np.isfinite(case.scaled).any() for case in cases):
        handles.append(Line2D([], [], color=FAINT, ls=PREDICTED, lw=1.1, label="predicted, scaled at the largest x"))
    return handles
