"""The sensitivity answer: its sentences with their claims, notes and summary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.answers.comparing.staging import CHOSEN_BY
from studies.answers.ledger import Ledger, Part
from studies.answers.parts.information import information_part
from studies.answers.parts.overview import ended, losses, more_seeds
from studies.answers.parts.step_control import Controlled, controlled, step_control
from studies.answers.results import Cell, Results
from studies.answers.sensitivity import breaking, stress
from studies.answers.sensitivity.analysis import Analysis, default_name, having
from studies.answers.sensitivity.asked import asked, seeds_in_words, values_of
from studies.answers.sensitivity.figures import draw_figures
from studies.answers.sensitivity.plain import plain
from studies.answers.sensitivity.tables import span, tables
from studies.engine.answer import Answer, Sentence, percent
from studies.engine.folder import StudyFolder
from studies.engine.statistics import Estimate, one_standard_error_region, selection_leak, set_means
from studies.engine.statistics.importance import ABOVE, UNDECIDED, Importance
from studies.engine.wording import decimal, images, plural

RECONSTRUCTION = (
    "MIM4DD here is a reconstruction: neither the paper's method section nor its code was available, and no accuracy "
    "of the paper is claimed."
)


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
    step = controlled(ledger, ledger.results.arms, ledger.results.levels)
    ends = Part([losses(ledger.results)], notes=[more_seeds(ledger)], plain=plain(analyses, step))
    return ledger.compose(*parts, _controls(ledger, step), ends)


def _unready(results: Results) -> Part | None:
    """The sentence that there is no answer yet; None once the default is complete and the base has a set."""
    default, base = having(results, "default")[0], having(results, "base")[0]
    for levels in results.levels:
        whole, some = (np.isfinite(results.sets(Cell(arm.key, levels), CHOSEN_BY)) for arm in (default, base))
        lacking = [arm.name for arm, enough in ((default, whole.all()), (base, some.any())) if not enough]
        if lacking:
            text = (
                f"There is no answer yet, because {' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not "
                f"complete{results.at(levels)}"
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
        _range(analysis),
        *asked(analysis),
        _spread(analysis),
        *_importance(analysis),
        _best_gain(analysis),
        _one_standard_error(analysis),
        breaking.sentence(analysis, broken),
    ]
    shown = [*tables(analysis), breaking.table(analysis, broken)]
    failed = breaking.failed_trials(analysis, broken)
    return Part(sentences, shown, draw_figures(analysis), _notes(analysis), _summary(analysis), failed)


def _controls(ledger: Ledger, step: Sequence[Controlled]) -> Part:
    """The term against a longer step of its base, and what it does to information, on the first kind of data."""
    results = ledger.results
    longer = step_control(ledger, step)
    terms = [arm for arm in having(results, "default", "variant") if arm.has_term and arm.control]
    information = information_part(ledger, [(arm.key, arm.control) for arm in terms])
    return Part([*longer.sentences, *information.sentences], [*longer.tables, *information.tables], notes=longer.notes)


def _range(analysis: Analysis) -> Sentence:
    """The lowest and the highest accuracy of the settings."""
    folder, means = analysis.folder, set_means(analysis.test[:, : analysis.shared]).mean(1)
    means = means[np.isfinite(means)]
    middle = Estimate(float(means.mean()), float(means.min()), float(means.max()))
    what = "test accuracy of the settings: mean, lowest, highest"
    claim = analysis.estimate("range/settings", what, middle, len(means), "percent")
    text = (
        f"On {folder.study['dataset']}, with {images(folder.configuration['ipc'])} (protocol "
        f"{folder.study['protocol']}), {plural(len(means), 'setting')} reach {100 * means.min():.1f}% to "
        f"{100 * means.max():.1f}% on test (mean over {plural(analysis.shared, 'synthetic set')} each)"
    )
    if having(analysis.results, "search"):
        text += "; an optimizer chose them, so their spread does not show how much the knobs matter"
    return Sentence(f"{text}.", (claim,))


def _spread(analysis: Analysis) -> Sentence | None:
    """The effect of the knobs beside the noise of a set that does not cancel between settings of one seed."""
    v = analysis.variance
    if having(analysis.results, "search") or v.settings is None or v.paired is None:
        return None
    what = "standard deviation of test accuracy"
    claims = [
        analysis.estimate("spread/settings", f"{what} between settings", v.settings, v.n_settings, "points"),
        analysis.estimate("spread/paired", f"{what} of a set, paired by seed", v.paired, v.n_settings, "points"),
    ]
    text = (
        f"The standard deviation of this accuracy is {_points(v.settings)} between settings (noise removed), and "
        f"{_points(v.paired)} between the sets of a setting, less what all settings of a seed share"
    )
    if v.effect_to_paired is not None:
        what = "standard deviation between settings over that of a set, paired by seed"
        claims.append(analysis.estimate("spread/ratio", what, v.effect_to_paired, v.n_settings, "ratio"))
        text += f": a ratio of {v.effect_to_paired.value:.2g}{_ends(v.effect_to_paired, 1)}"
    return Sentence(f"{text}.", tuple(claims))


def _points(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.2f} points{_ends(estimate, 100)}"


def _ends(estimate: Estimate, scale: float) -> str:
    ends = span(estimate.low, estimate.high, scale)
    return f" {ends}" if ends else ""


def _importance(analysis: Analysis) -> list[Sentence]:
    """The knobs by their importance, of designs with enough settings."""
    if analysis.importances is None:
        return []
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
            needed.append(f.knob)
        else:
            below.append(f.knob)
    if needed:
        parts.append(f"undecided with {plural(n, 'setting')} for {', '.join(needed)}")
    if below:
        parts.append(f"below the noise floor for {', '.join(below)}")
    return "; ".join(parts)


def _best_gain(analysis: Analysis) -> Sentence:
    mean, claim = analysis.ledger.claimed_mean(analysis.cells[analysis.best])
    name, ruling = analysis.tried[analysis.best].name, analysis.gains[analysis.best]
    if analysis.best == 0:
        return Sentence(
            f"No other setting has a higher mean validation accuracy than {name}; its test accuracy is "
            f"{percent(mean)}.",
            (claim,),
        )
    # The setting was chosen on these seeds' validation accuracies, which share their networks with test.
    text = (
        f"The best setting on validation, {name}, reaches {percent(mean)} on test, {ruling.points} over "
        f"{analysis.base.name} ({ruling.statement}); both numbers are optimistic, because it was chosen on the same "
        "seeds."
    )
    return Sentence(text, (claim, ruling.claim))


def _one_standard_error(analysis: Analysis) -> Sentence | None:
    """The settings that validation accuracies cannot tell from the best, on the seeds that every setting has."""
    inside = one_standard_error_region(analysis.validation[:, : analysis.shared])
    if not inside or len(analysis.base_sets) < 2:
        return None
    size, what = Estimate(float(len(inside)), None, None), "settings within one paired standard error of the best"
    claim = analysis.estimate("region/settings", what, size, len(analysis.tried), "settings")
    default = "is one" if 0 in inside else "is not one"
    return Sentence(
        f"Settings within one paired standard error of the best, on the validation accuracies of "
        f"{seeds_in_words(analysis.results.seeds[: analysis.shared])}: "
        f"{len(inside)} of {len(analysis.tried)} ({values_of(analysis, inside)}); the default {default} of them.",
        (claim,),
    )


def _notes(analysis: Analysis) -> list[str]:
    shared = slice(analysis.shared)
    leak = selection_leak(analysis.validation[:, shared], analysis.test[:, shared]).leak
    notes = [
        "All choices are made on validation accuracy; what is stated is measured on test.",
        *([RECONSTRUCTION] if analysis.of_term else []),
        f"The setting called default is {default_name(analysis.folder)}.",
        "Bands and intervals are pointwise 95%. All settings share seeds, and the evaluation networks of a seed are "
        "the same for every setting: settings are compared in pairs, and networks are never pooled with sets.",
    ]
    if analysis.importances is not None:
        notes.append(
            "fANOVA is computed on each knob's own scale (logarithmic where the search is), so its shares refer to the "
            "space as it was searched."
        )
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
    questions = analysis.questions
    best, regret, strength = questions.best, questions.regret, questions.strength
    return {
        "default_test_accuracy": float(np.nanmean(analysis.test[0])),
        "base_test_accuracy": float(np.nanmean(analysis.base_sets)),
        "default_gain_over_base": questions.default.interval.mean,
        "strength_effect": strength.interval.mean if strength else None,
        "best_setting_gain": best.interval.mean if best else None,
        "regret_of_default": regret.interval.mean if regret else None,
        "settings_sd": analysis.variance.settings.value if analysis.variance.settings else None,
        "paired_sd": analysis.variance.paired.value if analysis.variance.paired else None,
    }
