"""The sensitivity answer: its sentences with their claims, notes and summary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.answers.ledger import Ledger, Part
from studies.answers.parts.overview import ended, losses, more_seeds
from studies.answers.results import Cell, Results
from studies.answers.sensitivity import breaking, stress
from studies.answers.sensitivity.analysis import METRIC, Analysis, default_name, having
from studies.answers.sensitivity.figures import draw_figures
from studies.answers.sensitivity.plain import plain
from studies.answers.sensitivity.tables import span, tables
from studies.engine.answer import Answer, Sentence, percent
from studies.engine.folder import StudyFolder
from studies.engine.statistics import Estimate, selection_leak
from studies.engine.statistics.importance import ABOVE, UNDECIDED, Importance
from studies.engine.wording import decimal, images, plural


def write_answer(folder: StudyFolder) -> Answer:
    """The answer of a sensitivity study; with perturbed data, it compares them with the clean ones."""
    ledger = Ledger(Results(folder))
    if unready := _unready(ledger.results):
        return ledger.compose(unready)
    analyses = [Analysis(ledger, levels) for levels in ledger.results.levels]
    parts: list[Part] = []
    if len(analyses) > 1:
        clean = breaking.sentence(analyses[0], breaking.breaks(analyses[0]), "On clean data, ")
        parts = [stress.part(analyses[0], analyses[1]), Part([clean])]
    # The results on clean data come last, before the lost trials.
    parts.insert(1, _analysis_part(analyses[-1]))
    ends = Part([losses(ledger)], notes=[more_seeds(ledger)], plain=plain(analyses))
    return ledger.compose(*parts, ends)


def _unready(results: Results) -> Part | None:
    """The sentence that there is no answer yet; None once the default is complete and the base has a set."""
    arms = [*having(results, "default"), *having(results, "base")]
    for levels in results.levels:
        default, base = (np.isfinite(results.sets(Cell(arm.key, levels), METRIC)) for arm in arms)
        if not default.all() or not base.any():
            text = (
                f"There is no answer yet, because the default and the base alone are not complete{results.at(levels)}"
            )
            return Part([Sentence(f"{text} ({ended(results)}).")])
    return None


def _analysis_part(analysis: Analysis) -> Part:
    """The part about one kind of training data."""
    broken = breaking.breaks(analysis)
    sentences = [
        Sentence(f"The following statements are for training data under {analysis.levels[0]}.")
        if analysis.levels
        else None,
        _spread(analysis),
        *_importance(analysis),
        _gain(analysis),
        _best_gain(analysis),
        _tuning(analysis),
        _region(analysis),
        breaking.sentence(analysis, broken),
    ]
    shown = [*tables(analysis), breaking.table(analysis, broken)]
    failed = breaking.failed_trials(analysis, broken)
    return Part(sentences, shown, draw_figures(analysis), _notes(analysis), _summary(analysis), failed)


def _spread(analysis: Analysis) -> Sentence:
    variance, means, study = analysis.variance, analysis.means[np.isfinite(analysis.means)], analysis.folder.study
    low, high = float(means.min()), float(means.max())
    what, middle = (
        "validation accuracy of the settings: mean, lowest, highest",
        Estimate(float(means.mean()), low, high),
    )
    claims = [analysis.estimate("range/settings", what, middle, len(means), "percent")]
    text = (
        f"On {study['dataset']}, with {images(analysis.folder.configuration['ipc'])} (protocol {study['protocol']}), "
        f"{plural(len(means), 'setting')} reach {100 * low:.1f}% to {100 * high:.1f}% on validation (mean over "
        f"{plural(len(analysis.base_sets), 'synthetic set')} each)"
    )
    if having(analysis.results, "search"):
        text += "; an optimizer chose them, so their spread does not show how much the knobs matter"
    elif (spreads := analysis.spreads) is None:
        text += "; with one set per setting, the effect of the knobs cannot be separated from that of the seed"
    else:
        (settings, first), (sets, second) = spreads
        text += (
            f". The standard deviation of this accuracy is {100 * settings.value:.2f} points{_ends(settings, 100)} "
            f"between settings (seed noise removed) and {100 * sets.value:.2f} points{_ends(sets, 100)} between seeds"
        )
        claims += [first, second]
        if ratio := variance.effect_to_noise:
            what = "standard deviation of validation accuracy between settings over that between sets"
            text += f", a ratio of {ratio.value:.2g}{_ends(ratio, 1)}"
            claims.append(analysis.estimate("spread/ratio", what, ratio, variance.n_settings, "ratio"))
    return Sentence(f"{text}.", tuple(claims))


def _ends(estimate: Estimate, scale: float) -> str:
    ends = span(estimate.low, estimate.high, scale)
    return f" {ends}" if ends else ""


def _importance(analysis: Analysis) -> list[Sentence]:
    if analysis.importances is None:
        return [Sentence("Knob importance is not reported: it needs several settings of a space-filling design.")]
    sentences, n = [], analysis.importances.n_settings
    for evaluator, meaning in (("fANOVA", "over the whole space"), ("PED-ANOVA", "for reaching the best settings")):
        of_knobs = [f for f in analysis.importances.findings if f.evaluator == evaluator and f.knob != "dummy"]
        text = f"Knob importance {meaning} ({evaluator}): {_verdicts(of_knobs, n)}."
        claims = [
            analysis.estimate(f"importance/{evaluator}/{f.knob}", f"importance of {f.knob} {meaning}", f, n)
            for f in of_knobs
        ]
        sentences.append(Sentence(text, tuple(claims)))
    return sentences


def _verdicts(findings: Sequence[Importance], n: int) -> str:
    """The knobs grouped by verdict: above the noise floor, undecided, or below it."""
    parts, needed, below = [], [], []
    for f in findings:
        if f.verdict == ABOVE:
            parts.append(f"{f.knob} matters ({f.value:.2g} [{f.low:.2g}, {f.high:.2g}], noise floor {f.null95:.2g})")
        elif f.verdict == UNDECIDED:
            needed.append(f.knob + (f" (about {f.settings_to_decide:,} would decide)" if f.settings_to_decide else ""))
        else:
            below.append(f.knob)
    if needed:
        parts.append(f"undecided with {plural(n, 'setting')} for {', '.join(needed)}")
    if below:
        parts.append(f"below the noise floor for {', '.join(below)}")
    return "; ".join(parts)


def _gain(analysis: Analysis) -> Sentence:
    ruling = analysis.gains[0]
    won, pairs = sum(difference > 0 for difference in ruling.contrast.differences), plural(ruling.interval.n, "pair")
    text = f"The gain of {analysis.tried[0].name} over {analysis.base.name} is {ruling.points}"
    return Sentence(f"{text}, positive in {won} of {pairs}: {ruling.statement}.", (ruling.claim,))


def _best_gain(analysis: Analysis) -> Sentence:
    mean, claim = analysis.ledger.claimed_mean(analysis.cells[analysis.best], METRIC)
    name, ruling = analysis.tried[analysis.best].name, analysis.gains[analysis.best]
    if analysis.best == 0:
        text = f"No other setting has a higher mean validation accuracy than {name}, {percent(mean)}."
        return Sentence(text, (claim,))
    # The setting was chosen on these seeds, so its mean and gain are biased upwards.
    text = (
        f"The best setting on validation, {name}, reaches {percent(mean)}, {ruling.points} over {analysis.base.name} "
        f"({ruling.statement}); both numbers are optimistic, because it was chosen on the same seeds."
    )
    return Sentence(text, (claim, ruling.claim))


def _tuning(analysis: Analysis) -> Sentence:
    ruling, default = analysis.tuning, analysis.tried[0].name
    if ruling.interval.mean is None:
        return Sentence(f"The gain of tuning over {default} is not stated until two seeds have run at every setting.")
    text = f"The gain of tuning over {default} is {ruling.points} on the seed left out when the setting was chosen"
    return Sentence(f"{text} (n = {ruling.interval.n}): {ruling.statement}.", (ruling.claim,))


def _region(analysis: Analysis) -> Sentence | None:
    inside, total = list(analysis.region.indices), int(np.isfinite(analysis.means).sum())
    if not inside or analysis.region.best.se is None:
        return None  # one seed gives no standard error
    spans = []
    for axis in analysis.space:
        values = [analysis.value(i, axis) for i in inside]
        spans.append(f"{axis.symbol} {' to '.join(map(str, dict.fromkeys((min(values), max(values)))))}")
    lie, holds = "lies" if len(inside) == 1 else "lie", "is one" if 0 in inside else "is not one"
    text = (
        f"{len(inside)} of {plural(total, 'setting')} {lie} within one standard error of the best ({', '.join(spans)})"
    )
    size, what = Estimate(float(len(inside)), None, None), "settings within one standard error of the best"
    claim = analysis.estimate("region/settings", what, size, total, "settings")
    return Sentence(f"{text}; the default {holds} of them.", (claim,))


def _notes(analysis: Analysis) -> list[str]:
    leak = selection_leak(analysis.accuracy, analysis.test).leak
    notes = [
        "All choices are made on validation accuracy; test accuracy appears only in the tables.",
        "MIM4DD here is a reconstruction: neither the paper's method section nor its code was available, and no "
        f"accuracy of the paper is claimed. The setting called default is {default_name(analysis.folder)}.",
        "Bands and intervals are pointwise 95%. The noise of a setting is that between its seeds; evaluation networks "
        "are nested in a synthetic set and never pooled with sets.",
        "fANOVA is computed on each knob's own scale (logarithmic where the search is), so its shares refer to the "
        "space as it was searched.",
    ]
    if leak is not None:
        notes.append(
            f"If the best setting had been chosen on test, its test accuracy would have been {decimal(100 * leak)} "
            "points higher than that of the setting chosen on validation."
        )
    if analysis.surface is not None:
        fit = analysis.surface.fit
        flat = f"; it shows no effect of {', '.join(fit.flat)}" if fit.flat else ""
        notes.append(
            "The response surface is a Gaussian process with a leave-one-out R² of "
            f"{decimal(fit.r_squared, '.2f')} (near or below 0, it predicts no better than the mean){flat}."
        )
    return notes


def _summary(analysis: Analysis) -> dict[str, float | None]:
    return {
        "default_validation_accuracy": float(analysis.means[0]),
        "best_validation_accuracy": float(analysis.means[analysis.best]),
        "base_validation_accuracy": float(np.nanmean(analysis.base_sets)),
        "default_gain_over_base": analysis.gains[0].interval.mean,
        "regret_of_default": analysis.tuning.interval.mean,
        "settings_sd": analysis.variance.settings.value if analysis.variance.settings else None,
        "seeds_sd": analysis.variance.sets.value if analysis.variance.sets else None,
    }
