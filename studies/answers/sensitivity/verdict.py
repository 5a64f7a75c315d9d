"""The sensitivity answer in words, each claim with its interval, and what this n cannot decide said so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from studies.answers.sensitivity import breaking, stress
from studies.answers.sensitivity.figures import draw_figures
from studies.answers.sensitivity.findings import Findings, find
from studies.answers.sensitivity.tables import tables
from studies.engine.answer import Answer, percent, points
from studies.engine.evidence import Evidence
from studies.engine.statistics import (
    mean_interval,
    paired_interval,
    pairs_to_decide,
    probability_of_improvement,
    selection_leak,
    set_means,
)
from studies.engine.statistics.importance import ABOVE, UNDECIDED

MARGIN = 0.005  # a gain smaller than half a point is of no use to anyone, whatever its sign


def write_answer(evidence: Evidence) -> Answer:
    """The verdict, tables and figures of a sensitivity study; of perturbed data, with the clean ones beside them."""
    conditions = evidence.conditions
    if len(conditions) == 1:
        why = _unready(evidence)
        return Answer((why,)) if why else _of_one(find(evidence), evidence)
    parts = [evidence.at(one) for one in conditions]
    unready = {one.label: why for one, part in zip(conditions, parts, strict=True) if (why := _unready(part))}
    if unready:
        return Answer(tuple(f"{label}: {why}" for label, why in unready.items()))
    clean, stressed = (find(part) for part in parts)
    answer = _of_one(stressed, parts[1], conditions[1].label)
    compared = stress.compare(clean, stressed, evidence.space, conditions[1])
    failing = breaking.sentence(clean, breaking.breaks(clean, parts[0]), breaking.group_states(clean, parts[0]))
    beside = [failing, _losses(parts[0])]
    return replace(
        answer,
        verdict=(*stress.sentences(compared), *answer.verdict, *(f"On clean data: {one}" for one in beside if one)),
        tables=(*stress.tables(compared), *answer.tables),
        figures=(stress.figure(compared, evidence), *answer.figures),
    )


def _unready(evidence: Evidence) -> str:
    """Why nothing can be said yet, or ""."""
    tried = [*evidence.having("default"), *evidence.having("design", "search")]
    complete = np.isfinite(set_means(evidence.accuracy(tried)).mean(1))
    base = set_means(evidence.accuracy(evidence.having("base")))
    if not complete[:1].any() or not np.isfinite(base).any():
        counts = ", ".join(f"{n} {status}" for status, n in evidence.status().items())
        return f"Nothing can be said before the default and the base alone are complete: {counts}."
    return ""


def _of_one(found: Findings, evidence: Evidence, label: str = "") -> Answer:
    """The answer of one condition."""
    broken, states = breaking.breaks(found, evidence), breaking.group_states(found, evidence)
    sentences = [
        f"On training data under {label}:" if label else "",
        _spread(found, evidence),
        *_importance(found, evidence),
        _gain(evidence.default_name.capitalize(), found, 0, evidence),
        _best_gain(found, evidence),
        _regret(found, evidence),
        _region(found, evidence),
        breaking.sentence(found, broken, states),
        _losses(evidence),
    ]
    return Answer(
        verdict=tuple(sentence for sentence in sentences if sentence),
        tables=(*tables(found, evidence), *filter(None, [breaking.table(broken)])),
        figures=draw_figures(found, evidence),
        notes=_notes(found),
        summary=_summary(found),
        failed=breaking.group_failures(found, states),
    )


def _spread(found: Findings, evidence: Evidence) -> str:
    variance, means = found.variance, found.means[np.isfinite(found.means)]
    identity = evidence.identity
    text = (
        f"On {identity['dataset']} at {identity['configuration']['ipc']} image(s) a class, protocol "
        f"{identity['protocol']}, {len(means)} settings reach {100 * means.min():.1f}% to {100 * means.max():.1f}% on "
        f"validation (mean over {found.accuracy.shape[1]} sets each)"
    )
    if evidence.having("search"):
        return text + ", chosen by an optimizer, so their spread says nothing about the knobs."
    if variance.settings is None or variance.sets is None:
        return text + "; with one set a setting, the knobs cannot be told from the seeds."
    ratio = variance.effect_to_noise
    text += (
        f". The knobs move it by {100 * variance.settings.value:.2f} points{_range(variance.settings, 100)} (standard "
        f"deviation, seed noise removed), the seed by {100 * variance.sets.value:.2f}{_range(variance.sets, 100)}"
    )
    return text + (f", a ratio of {ratio.value:.2g}{_range(ratio, 1)}." if ratio else ".")


def _range(estimate: object, scale: float) -> str:
    low, high = getattr(estimate, "low", None), getattr(estimate, "high", None)
    return "" if low is None or high is None else f" [{scale * low:.2g}, {scale * high:.2g}]"


def _importance(found: Findings, evidence: Evidence) -> list[str]:
    if found.importances is None:
        return ["Importance is not stated: it needs several points of a space-filling design (qmc or random)."]
    sentences = []
    meaning = {"fANOVA": "over the whole space", "PED-ANOVA": "for reaching the best settings"}
    for evaluator in ("fANOVA", "PED-ANOVA"):
        findings = [f for f in found.importances.findings if f.evaluator == evaluator and f.knob != "dummy"]
        above = [f for f in findings if f.verdict == ABOVE]
        open_ = [f for f in findings if f.verdict == UNDECIDED]
        parts = [
            f"{f.knob} matters ({f.value:.2g} [{f.low:.2g}, {f.high:.2g}], noise floor {f.null95:.2g})" for f in above
        ]
        if open_:
            needed = ", ".join(
                f"{f.knob} ({f'about {f.settings_to_decide} settings' if f.settings_to_decide else 'no n in sight'})"
                for f in open_
            )
            parts.append(f"not decided at {found.importances.n_settings} settings: {needed}")
        below = [f.knob for f in findings if f not in above and f not in open_]
        if below:
            parts.append(f"below the noise: {', '.join(below)}")
        sentences.append(f"Importance {meaning[evaluator]} ({evaluator}): {'; '.join(parts)}.")
    return sentences


def _gain(name: str, found: Findings, index: int, evidence: Evidence) -> str:
    ours, base = set_means(found.accuracy)[index], found.base_sets
    gain, wins = paired_interval(ours, base), probability_of_improvement(ours, base)
    if gain.mean is None or gain.low is None or gain.high is None:
        return f"{name}: {points(gain)} over {evidence.identity['configuration']['method.base']} alone."
    better = "" if wins.value is None else f", better in {wins.value:.0%} of {wins.n} pairs"
    text = f"{name} gains {points(gain)} over {evidence.identity['configuration']['method.base']} alone{better}: "
    if gain.low > MARGIN:
        return text + "a gain."
    if gain.high < -MARGIN:
        return text + "a loss."
    if -MARGIN <= gain.low and gain.high <= MARGIN:
        return text + f"no difference beyond ±{100 * MARGIN:.1f} points."
    needed = pairs_to_decide(ours - base)
    forecast = f"about {needed} seeds would decide its sign" if needed else "no number of seeds in sight would decide"
    if needed is not None and needed <= gain.n:
        return text + f"its sign is decided, its size against the ±{100 * MARGIN:.1f}-point margin is not."
    return text + f"not decided at this n; {forecast}."


def _best_gain(found: Findings, evidence: Evidence) -> str:
    if found.best == 0:
        return f"No setting tried beats {evidence.default_name} on validation."
    setting = found.tried[found.best]
    knobs = ", ".join(f"{axis.symbol}={setting.knobs[axis.key]}" for axis in evidence.space)
    # Chosen on these very seeds: the naive gain flatters it, so it stands with that word.
    gain = paired_interval(set_means(found.accuracy)[found.best], found.base_sets)
    return (
        f"The best setting on validation ({knobs}) reaches "
        f"{percent(mean_interval(set_means(found.accuracy)[found.best]))}, {points(gain)} over the base alone; chosen "
        "on the same seeds, so this flatters it."
    )


def _regret(found: Findings, evidence: Evidence) -> str:
    regret = found.regret.cross_fitted
    if regret.mean is None:
        return "The regret of the default needs two complete seeds."
    if regret.low is None or regret.high is None:
        return f"Tuning gains {points(regret)} over {evidence.default_name}, chosen and measured on different seeds."
    claim = "is worth it" if regret.low > MARGIN else "is not shown to pay" if regret.high > MARGIN else "does not pay"
    return (
        f"Tuning over this space {claim}: a setting chosen on the other seeds gains {points(regret)} over "
        f"{evidence.default_name} on the seed left out (n = {regret.n})."
    )


def _region(found: Findings, evidence: Evidence) -> str:
    inside, total = list(found.region.indices), int(np.isfinite(found.means).sum())
    if not inside or found.region.best.se is None:
        return ""  # with one seed nothing says how far below the best is still the best
    spans = []
    for axis in evidence.space:
        values = [found.tried[i].knobs[axis.key] for i in inside]
        spans.append(
            f"{axis.symbol} {min(values)}..{max(values)}" if len(set(values)) > 1 else f"{axis.symbol} {values[0]}"
        )
    holds = "the default is one of them" if 0 in inside else "the default is not among them"
    lie = "lies" if len(inside) == 1 else "lie"
    spanned = ", ".join(spans)
    return f"{len(inside)} of {total} settings {lie} within one standard error of the best ({spanned}); {holds}."


def _losses(evidence: Evidence) -> str:
    lost = {status: count for status, count in evidence.status().items() if status != "ok"}
    if not lost:
        return ""
    return f"Not all trials count: {', '.join(f'{count} {status}' for status, count in lost.items())}."


def _notes(found: Findings) -> tuple[str, ...]:
    leak = selection_leak(found.accuracy, found.test)
    notes = [
        "Every choice reads validation; test accuracies appear in the tables alone.",
        "MIM4DD here is a reconstruction: no copy of the paper's method section or code could be had, and no "
        "accuracy of the paper is claimed.",
        "Bands and intervals are 95%. A setting's noise is that of its seeds; networks are nested in a set and never "
        "pooled with sets.",
        "fANOVA is computed on each knob's own scale (logarithms where the search is logarithmic), so its shares are "
        "of the space as it was searched.",
    ]
    if leak.leak is not None:
        notes.append(
            f"Had the best setting been chosen on test, its test accuracy would have looked {100 * leak.leak:.1f} "
            "points better than that of the one chosen on validation."
        )
    if found.surface is not None:
        fit = found.surface.fit
        flat = f"; it sees no effect of {', '.join(fit.flat)}" if fit.flat else ""
        notes.append(
            f"Response surface: Gaussian process, leave-one-out R² {fit.r_squared:.2f} (near or below 0: it knows no "
            f"more than the mean){flat}."
        )
    return tuple(notes)


def _summary(found: Findings) -> dict[str, float]:
    gain = paired_interval(set_means(found.accuracy)[0], found.base_sets)
    values = {
        "default_validation_accuracy": found.means[0],
        "best_validation_accuracy": found.means[found.best],
        "base_validation_accuracy": float(np.nanmean(found.base_sets)),
        "default_gain_over_base": gain.mean,
        "regret_of_default": found.regret.cross_fitted.mean,
        "settings_sd": found.variance.settings.value if found.variance.settings else None,
        "seeds_sd": found.variance.sets.value if found.variance.sets else None,
    }
    return {name: float(value) for name, value in values.items() if value is not None and np.isfinite(value)}
