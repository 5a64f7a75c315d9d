"""The same design on clean and on perturbed data: what a gain becomes, and which knobs act otherwise."""

from __future__ import annotations

import numpy as np

from studies.answers.ledger import Part
from studies.answers.parts.drawing import FAINT, INK, PAGE, legend, panels, points_axis
from studies.answers.sensitivity.analysis import METRIC, Analysis, default_name
from studies.answers.sensitivity.figures import DEFAULT, OURS, Look, draw_knob, trust
from studies.answers.sensitivity.tables import STARRED
from studies.engine.answer import Cell, Claim, Figure, Quantity, Sentence, Table
from studies.engine.rows import Array
from studies.engine.space import Axis
from studies.engine.statistics import Estimate
from studies.engine.statistics.slopes import Agreement, Slope, knob_slopes, rank_agreement
from studies.engine.statistics.surface import LEAST_R_SQUARED
from studies.engine.wording import decimal, plural


class Comparison:
    """Clean and perturbed findings of one design, setting by setting.

    gains: each tried arm's mean gain over its whole pairs, clean and perturbed, NaN without one, [tried]; changes: what
    the rule says of each gain's change; slopes: of the gain on each knob, clean, perturbed, and their difference.
    """

    def __init__(self, clean: Analysis, stressed: Analysis) -> None:
        self.clean, self.stressed, self.space = clean, stressed, clean.space
        self.label = " · ".join(stressed.levels)
        self.gains = _mean_gains(clean), _mean_gains(stressed)
        designed = [i for i, arm in enumerate(clean.tried) if arm.role == "design"]
        before, after = (gains[designed] for gains in self.gains)
        self.slopes = [knob_slopes(clean.units[designed], values) for values in (before, after, after - before)]
        self.agreement = rank_agreement(before, after)
        changes = [clean.results.change(arm.key, stressed.levels, METRIC) for arm in clean.tried]
        self.changes = clean.ledger.family("changes of gains", changes)


def _mean_gains(found: Analysis) -> Array:
    return np.array([np.nan if one.interval.mean is None else one.interval.mean for one in found.gains])


def part(clean: Analysis, stressed: Analysis) -> Part:
    """What the default's and the best setting's gains become, and which knobs act otherwise under the perturbation."""
    found = Comparison(clean, stressed)
    optimistic = " (the best on clean validation, chosen on these seeds, so that its clean gain is optimistic)"
    best = _change(found, clean.best, optimistic) if clean.best else None
    sentences = [_change(found, 0), _agreement(found), best, _slopes(found), _moves(found)]
    return Part(sentences, [_effects(found), _settings(found)], [_figure(found)])


def _change(found: Comparison, i: int, aside: str = "") -> Sentence:
    before, after, change = found.clean.gains[i], found.stressed.gains[i], found.changes[i]
    gain = f"The gain of {found.clean.tried[i].name}{aside} over {found.clean.base.name}"
    return Sentence(
        f"{gain} is {before.points} on clean data ({before.word}) and {after.points} under {found.label} "
        f"({after.word}); the change is {change.points}: {change.statement}.",
        (before.claim, after.claim, change.claim),
    )


def _agreement(found: Comparison) -> Sentence | None:
    one = found.agreement
    if one is None:
        return None
    what = "rank correlation of the settings' gains, clean and perturbed"
    value, low, high = (decimal(end, ".2f") for end in (one.value, one.low, one.high))
    return Sentence(
        f"Over {plural(one.n, 'setting')}, the gains on clean data and under {found.label} have a rank correlation of "
        f"{value} [{low}, {high}], an interval that {'excludes' if _beyond_zero(one) else 'includes'} 0.",
        (found.stressed.estimate("agreement/settings", what, one, one.n),),
    )


def _beyond_zero(one: Slope | Agreement) -> bool:
    """Whether the interval excludes 0."""
    return one.low is not None and one.high is not None and (one.low > 0 or one.high < 0)


def _slopes(found: Comparison) -> Sentence | None:
    """Knobs whose linear effect differs: what the bootstrap's interval shows, and no contrast of sets."""
    parts: list[str] = []
    claims: list[Claim] = []
    for axis, clean, stressed, difference in zip(found.space, *found.slopes, strict=False):
        for kind, slope in (("clean", clean), ("perturbed", stressed), ("difference", difference)):
            what = f"slope of the gain on {axis.symbol}, {kind}"
            claims.append(found.stressed.estimate(f"slope/{axis.symbol}/{kind}", what, slope, slope.n, "points"))
        if _beyond_zero(difference):
            parts.append(
                f"the slope on {axis.symbol} differs ({_across(clean)} clean, {_across(stressed)} perturbed, "
                f"difference {_across(difference)}, whose unrounded interval excludes 0)"
            )
    if not claims:
        return None
    told = "; ".join(parts) or "for no knob does the interval of the difference exclude 0"
    text = (
        f"Linear effect of each knob on the gain over the knob's range, under {found.label} and on clean data: {told}."
    )
    return Sentence(text, tuple(claims))


def _moves(found: Comparison) -> Sentence | None:
    """Where the response curves are highest, and whether the perturbed one is higher there than where clean is."""
    if not (found.clean.curves and found.stressed.curves):
        return None
    if not (found.clean.informative and found.stressed.informative):
        return _uninformative(found)
    told = []
    for k, axis in enumerate(found.space):
        clean, stressed = found.clean.curves[k], found.stressed.curves[k]
        at, best = int(np.argmax(clean.mean)), int(np.argmax(stressed.mean))
        # The wider of the two pointwise bands bounds what the difference of two places of one curve may be by chance.
        half = max(stressed.high[i] - stressed.mean[i] for i in (at, best))
        apart = "beyond" if stressed.mean[best] - stressed.mean[at] > half > 0 else "within"
        told.append(f"{axis.symbol} {_highest(found.clean, k, axis)} and {_highest(found.stressed, k, axis)} ({apart})")
    return Sentence(
        f"The response curves are highest at these values, on clean data and under {found.label}: {'; '.join(told)}. "
        "In parentheses: whether the heights of the perturbed curve at the two values differ by less (within) or more "
        "(beyond) than its 95% band."
    )


def _uninformative(found: Comparison) -> Sentence:
    """Why nothing is said of where the curves are highest."""
    claims = []
    for one, data in ((found.clean, "clean data"), (found.stressed, found.label)):
        fit = one.surface.fit.r_squared if one.surface else float("nan")
        what = f"cross-validated R² of the response surface, {data}"
        claims.append(one.estimate("r-squared/surface", what, Estimate(fit, None, None), len(one.tried)))
    clean, stressed = (claim.estimate or 0.0 for claim in claims)
    return Sentence(
        "The response curves do not show where a knob is best: their cross-validated R² is "
        f"{decimal(clean, '.2f')} on clean data and {decimal(stressed, '.2f')} under {found.label}, and below "
        f"{LEAST_R_SQUARED:g} a curve explains nothing.",
        tuple(claims),
    )


def _across(slope: Slope) -> Quantity:
    return Quantity(slope.value, slope.low, slope.high, slope.n, "points")


def _highest(found: Analysis, k: int, axis: Axis) -> str | None:
    """Where a response curve is highest; None where the curves explain nothing."""
    if not found.informative:
        return None
    curve = found.curves[k]
    if max(curve.mean) - min(curve.mean) < 1e-6:
        return "flat"
    value = axis.from_unit(curve.grid[int(np.argmax(curve.mean))])
    return str(axis.values[round(value)]) if axis.values else f"{value:.2g}"


def _effects(found: Comparison) -> Table:
    rows = []
    for k, (axis, clean, stressed, difference) in enumerate(zip(found.space, *found.slopes, strict=False)):
        rows.append(
            {
                "knob": axis.symbol,
                "effect on clean data": _across(clean),
                f"under {found.label}": _across(stressed),
                "difference": _across(difference),
                "best on clean data": _highest(found.clean, k, axis),
                "best on perturbed data": _highest(found.stressed, k, axis),
            }
        )
    return Table.of(
        "stress_effects",
        "What each knob does, clean and perturbed",
        rows,
        "Linear effect on the gain over the base alone from the lower to the upper end of the knob's range, the "
        "other knobs held fixed; 95% bootstrap intervals over settings. The last two columns give the value at which "
        "the response curve is highest.",
    )


def _settings(found: Comparison) -> Table:
    clean, stressed = found.clean, found.stressed
    rows: list[dict[str, Cell]] = [
        {
            "setting": clean.label(i),
            **clean.knobs(i),
            "gain on clean data": clean.gains[i].starred,
            f"gain under {found.label}": stressed.gains[i].starred,
            "change": found.changes[i].starred,
        }
        for i in map(int, np.argsort(-np.nan_to_num(found.gains[1], nan=-1)))
    ]
    return Table.of(
        "stress_settings",
        "Every setting on clean and on perturbed data",
        rows,
        "Gain over the base alone on the same data in validation accuracy, paired by seed, with 95% t intervals. "
        f"{STARRED} the {plural(len(rows) - 1, 'setting')} of a column (the default: by itself), and over the "
        f"{plural(len(rows), 'change')}.",
    )


def _figure(found: Comparison) -> Figure:
    """Gain over the base against each knob, clean and perturbed, and settings against each other."""
    drawing, grid = panels(len(found.space) + 1, min(3, len(found.space) + 1), (PAGE / 3, 2.3), extra=(0.0, 0.8))
    clean_look = Look(FAINT, "o", False, _named("clean data", found.clean))
    looks = ((found.clean, clean_look), (found.stressed, Look(OURS, "s", True, _named(found.label, found.stressed))))
    for k, axes in enumerate(grid[:-1]):
        for one, look in looks:
            draw_knob(axes, one, k, look, float(np.nanmean(one.base_sets)))
    last, (clean, stressed) = grid[-1], found.gains
    last.axvline(0, color=INK, lw=0.8)
    last.plot(clean[1:], stressed[1:], "s", ms=4, color=OURS, alpha=0.7)
    last.plot(clean[0], stressed[0], "D", ms=6, color=DEFAULT, mec=INK)
    last.set(xlabel="gain on clean data (points)", ylabel=f"gain under {found.label}\n(points)")
    points_axis(last, "x")
    for k, axes in enumerate(grid):
        axes.axhline(0, color=INK, lw=0.8)
        points_axis(axes)
        if axes is not last and k % 3 == 0:
            axes.set_ylabel("gain over the base (points)")
    legend(drawing, grid[0], "Gaussian processes, one for each kind of training data")
    return Figure(
        "stress",
        "The same settings on clean and on perturbed data",
        "Gain over the base alone on the same data and seeds (validation accuracy). Curves: Gaussian process averaged "
        "over the other knobs, with its 95% band, pale and dashed without one where it explains nothing; hollow dots "
        "(clean) and squares (perturbed): settings, mean over seeds; diamonds: "
        f"{default_name(found.clean.folder)}. Last panel: the two gains of each setting.",
        drawing,
    )


def _named(data: str, found: Analysis) -> str:
    """A kind of training data with what its curves are worth."""
    return f"{data}: {trust(found.surface.fit)}" if found.surface is not None else data
