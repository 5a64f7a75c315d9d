"""The same design on clean and on perturbed data: changes of gains, and knobs whose effects differ."""

from __future__ import annotations

import numpy as np

from studies.answers.ledger import Part, Ruling
from studies.answers.parts.drawing import FAINT, INK, PAGE, legend, panels, points_axis
from studies.answers.results import Contrast, slug
from studies.answers.sensitivity.analysis import ENOUGH_SETTINGS, Analysis, default_name
from studies.answers.sensitivity.figures import Look, draw_knob
from studies.answers.sensitivity.questions import THIRDS, Step
from studies.answers.sensitivity.surface_figures import DEFAULT, OURS, trust
from studies.answers.sensitivity.tables import STARRED
from studies.engine.answer import Cell, Figure, Sentence, Table
from studies.engine.space import Axis
from studies.engine.statistics import Estimate
from studies.engine.statistics.agreement import rank_agreement
from studies.engine.statistics.surface import LEAST_R_SQUARED
from studies.engine.wording import decimal, plural


class Comparison:
    """The analyses of one design on clean and on perturbed data, paired by setting.

    gains: each tried arm's mean gain, clean and perturbed, NaN without a pair, [tried]; changes: the ruling on each
    gain's change; effects: of the declared steps along each knob. agreement: None for few settings.
    """

    def __init__(self, clean: Analysis, stressed: Analysis) -> None:
        self.clean, self.stressed, self.space = clean, stressed, clean.space
        self.label = " · ".join(stressed.levels)
        self.gains = clean.gain_means(), stressed.gain_means()
        before, after = (gains[clean.designed] for gains in self.gains)
        self.agreement = rank_agreement(before, after) if len(before) >= ENOUGH_SETTINGS else None
        changes = [clean.results.change(arm.key, stressed.levels) for arm in clean.tried]
        self.changes = clean.ledger.family("changes of gains", changes)
        self.effects = self._effects()

    def _effects(self) -> list[tuple[Step, Ruling, Ruling, Ruling]]:
        """Each declared step along a knob: its rulings on clean and on perturbed data, and that on its change."""
        clean, stressed = (
            {(step.thirds.axis.key, step.to): (step, ruling) for step, ruling in asked.knobs}
            for asked in (self.clean.questions, self.stressed.questions)
        )
        shared = [(*clean[key], stressed[key][1]) for key in clean if key in stressed]
        changes = [self._change_of(step, before, after) for step, before, after in shared]
        rulings = self.clean.ledger.family("changes of the knobs' effects", changes)
        return [(*effect, ruling) for effect, ruling in zip(shared, rulings, strict=True)]

    def _change_of(self, step: Step, before: Ruling, after: Ruling) -> Contrast:
        """The effect of a step on perturbed data less that on clean data."""
        terms = [*after.contrast.terms, *((-weight, cell) for weight, cell in before.contrast.terms)]
        what = f"{after.contrast.what} less the same on clean data"
        id = slug("third-change", step.thirds.axis.short, THIRDS[step.to], *self.stressed.levels)
        return self.clean.results.contrast(id, what, *terms)


def part(clean: Analysis, stressed: Analysis) -> Part:
    """The changes of the default's and the best setting's gains, and the knobs whose effects differ."""
    comparison = Comparison(clean, stressed)
    optimistic = " (the best on clean validation, chosen on these seeds, so that its clean gain is optimistic)"
    best = _change(comparison, clean.best, optimistic) if clean.best else None
    sentences = [
        _change(comparison, 0),
        _agreement(comparison),
        best,
        _effects_sentence(comparison),
        _moves(comparison),
    ]
    return Part(sentences, [_effects(comparison), _settings(comparison)], [_figure(comparison)])


def _change(comparison: Comparison, i: int, aside: str = "") -> Sentence:
    before, after, change = comparison.clean.gains[i], comparison.stressed.gains[i], comparison.changes[i]
    gain = f"The gain of {comparison.clean.tried[i].name}{aside} over {comparison.clean.base.name}"
    return Sentence(
        f"{gain} is {before.points} on clean data ({before.word}) and {after.points} under {comparison.label} "
        f"({after.word}); the change is {change.points}: {change.statement}.",
        (before.claim, after.claim, change.claim),
    )


def _agreement(comparison: Comparison) -> Sentence | None:
    agreement = comparison.agreement
    if agreement is None:
        return None
    what = "rank correlation of the settings' gains, clean and perturbed"
    value, low, high = (decimal(end, ".2f") for end in (agreement.value, agreement.low, agreement.high))
    return Sentence(
        f"Over {plural(agreement.n, 'setting')}, the gains on clean data and under {comparison.label} have a rank "
        f"correlation of {value} [{low}, {high}], an interval that "
        f"{'excludes' if agreement.low > 0 or agreement.high < 0 else 'includes'} 0.",
        (comparison.stressed.estimate("agreement/settings", what, agreement, agreement.n),),
    )


def _effects_sentence(comparison: Comparison) -> Sentence | None:
    """The changes of the knobs' effects by decision."""
    if not comparison.effects:
        return None
    changes = [f"{_name(step)} by {change.points} ({change.word})" for step, _, _, change in comparison.effects]
    text = f"From clean data to {comparison.label}, the effects of the knobs change as follows: {'; '.join(changes)}."
    return Sentence(text, tuple(change.claim for _, _, _, change in comparison.effects))


def _name(step: Step) -> str:
    """`ρ 0.3 to 3 less 0.03 to 0.3`."""
    symbol = step.thirds.axis.symbol
    return f"{step.thirds.span(step.to)} less {step.thirds.span(step.of).removeprefix(f'{symbol} ')}"


def _moves(comparison: Comparison) -> Sentence | None:
    """The values at which the response curves are highest, and whether the perturbed curve tells the two apart."""
    if not (comparison.clean.curves and comparison.stressed.curves):
        return None
    if not (comparison.clean.informative and comparison.stressed.informative):
        return _uninformative(comparison)
    phrases = []
    for k, axis in enumerate(comparison.space):
        clean, stressed = comparison.clean.curves[k], comparison.stressed.curves[k]
        at, best = int(np.argmax(clean.mean)), int(np.argmax(stressed.mean))
        # The wider of the two pointwise bands bounds the difference of two points of a curve by chance.
        half = max(stressed.high[i] - stressed.mean[i] for i in (at, best))
        apart = "beyond" if stressed.mean[best] - stressed.mean[at] > half > 0 else "within"
        values = _highest(comparison.clean, k, axis), _highest(comparison.stressed, k, axis)
        phrases.append(f"{axis.symbol} {values[0]} and {values[1]} ({apart})")
    return Sentence(
        f"The response curves are highest at these values, on clean data and under {comparison.label}: "
        f"{'; '.join(phrases)}. In parentheses: whether the heights of the perturbed curve at the two values differ by "
        "less (within) or more (beyond) than its 95% band."
    )


def _uninformative(comparison: Comparison) -> Sentence:
    """The reason why the highest points of the curves are not stated."""
    claims = []
    for analysis, data in ((comparison.clean, "clean data"), (comparison.stressed, comparison.label)):
        fit = analysis.surface.fit.r_squared if analysis.surface else float("nan")
        what = f"cross-validated R² of the response surface, {data}"
        claims.append(analysis.estimate("r-squared/surface", what, Estimate(fit, None, None), len(analysis.tried)))
    clean, stressed = (claim.estimate or 0.0 for claim in claims)
    return Sentence(
        "The response curves do not show where a knob is best: their cross-validated R² is "
        f"{decimal(clean, '.2f')} on clean data and {decimal(stressed, '.2f')} under {comparison.label}, and below "
        f"{LEAST_R_SQUARED:g} a curve explains nothing.",
        tuple(claims),
    )


def _highest(analysis: Analysis, k: int, axis: Axis) -> str | None:
    """The knob value at which a response curve is highest; None where the curves explain nothing."""
    if not analysis.informative:
        return None
    curve = analysis.curves[k]
    if max(curve.mean) - min(curve.mean) < 1e-6:
        return "flat"
    value = axis.from_unit(curve.grid[int(np.argmax(curve.mean))])
    return str(axis.values[round(value)]) if axis.values else f"{value:.2g}"


def _effects(comparison: Comparison) -> Table:
    rows = [
        {
            "effect": _name(step),
            "on clean data": clean.quantity,
            f"under {comparison.label}": stressed.quantity,
            "change": change.quantity,
            "decision on the change": change.word,
            "p (Holm)": change.judged.difference,
            "pairs that would decide": change.needed or None,
        }
        for step, clean, stressed, change in comparison.effects
    ]
    return Table.of(
        "stress_effects",
        "What each knob does, clean and perturbed",
        rows,
        "Mean test accuracy of the settings in one third of a knob's range less that of those in another, paired by "
        "seed, with 95% t intervals; the changes are a family of their own, Holm-corrected.",
    )


def _settings(comparison: Comparison) -> Table:
    clean, stressed = comparison.clean, comparison.stressed
    rows: list[dict[str, Cell]] = [
        {
            "setting": clean.label(i),
            **{axis.symbol: clean.value(i, axis) for axis in clean.space},
            "gain on clean data": clean.gains[i].starred,
            f"gain under {comparison.label}": stressed.gains[i].starred,
            "change": comparison.changes[i].starred,
        }
        for i in map(int, np.argsort(-np.nan_to_num(comparison.gains[1], nan=-1)))
    ]
    return Table.of(
        "stress_settings",
        "Every setting on clean and on perturbed data",
        rows,
        f"Gain over {comparison.clean.base.name} on the same data in test accuracy, paired by seed, with 95% t "
        f"intervals. {STARRED} the {plural(len(rows) - 1, 'setting')} of a column (the default: by itself), and over "
        f"the {plural(len(rows), 'change')}.",
    )


def _figure(comparison: Comparison) -> Figure:
    """Gain over the base against each knob, clean and perturbed, and settings against each other."""
    drawing, grid = panels(
        len(comparison.space) + 1, min(3, len(comparison.space) + 1), (PAGE / 3, 2.3), extra=(0.0, 0.8)
    )
    clean_look = Look(FAINT, "o", False, _named("clean data", comparison.clean))
    looks = (
        (comparison.clean, clean_look),
        (comparison.stressed, Look(OURS, "s", True, _named(comparison.label, comparison.stressed))),
    )
    for k, axes in enumerate(grid[:-1]):
        for analysis, look in looks:
            draw_knob(axes, analysis, k, look)
    last, (clean, stressed) = grid[-1], comparison.gains
    last.axvline(0, color=INK, lw=0.8)
    last.plot(clean[1:], stressed[1:], "s", ms=4, color=OURS, alpha=0.7)
    last.plot(clean[0], stressed[0], "D", ms=6, color=DEFAULT, mec=INK)
    last.set(xlabel="gain on clean data (points)", ylabel=f"gain under {comparison.label}\n(points)")
    points_axis(last, "x")
    for k, axes in enumerate(grid):
        axes.axhline(0, color=INK, lw=0.8)
        points_axis(axes)
        if axes is not last and k % 3 == 0:
            axes.set_ylabel(f"gain over {comparison.clean.over} (points)")
    legend(drawing, grid[0], "Gaussian processes, one for each kind of training data")
    return Figure(
        "stress",
        "The same settings on clean and on perturbed data",
        f"Gain over {comparison.clean.base.name} on the same data and seeds (test accuracy). Curves: Gaussian process "
        "averaged over the other knobs, with its 95% band, pale and dashed without one where it explains nothing; "
        "hollow dots (clean) and squares (perturbed): settings, mean over seeds; diamonds: "
        f"{default_name(comparison.clean.folder)}. Last panel: the two gains of each setting.",
        drawing,
    )


def _named(data: str, analysis: Analysis) -> str:
    """A kind of training data with the goodness of fit of its curves."""
    return f"{data}: {trust(analysis.surface.fit)}" if analysis.surface is not None else data
