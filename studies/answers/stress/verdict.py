"""A stress answer in words, each claim with its interval, and what this n cannot decide said so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.answers.stress.breaking import Occurrence, group_failures, occurrences, onsets
from studies.answers.stress.figures import draw_figures
from studies.answers.stress.findings import Curve, Findings, Slope, find
from studies.answers.stress.selecting import selections
from studies.answers.stress.tables import tables
from studies.engine.answer import Answer, percent, points
from studies.engine.evidence import Evidence
from studies.engine.failures.groups import Classes, thirds
from studies.engine.statistics import Interval, mean_interval, paired_interval, pairs_to_decide

SEEDS_IN_SIGHT = 100  # nobody runs more, and the forecast is worth no more
MARGIN = 0.005  # half a point: a smaller difference is of no use to anyone, whatever its sign


def write_answer(evidence: Evidence) -> Answer:
    """The verdict, tables, figures and failures of a stress suite."""
    found = find(evidence)
    if not np.isfinite(found.sets[0, found.base]).any():
        counts = ", ".join(f"{n} {status}" for status, n in evidence.status().items())
        return Answer((f"Nothing can be said before the clean control is complete: {counts}.",))
    seen = occurrences(found)
    sentences = [
        _control(found),
        *_costs(found),
        *_gains(found),
        *_tails(found),
        _selected(found),
        _combined(found),
        *_breaks(found, seen),
        _losses(found),
    ]
    return Answer(
        verdict=tuple(sentence for sentence in sentences if sentence),
        tables=tables(found, seen),
        figures=draw_figures(found, seen),
        notes=_notes(found),
        summary=_summary(found),
        failed=group_failures(found, seen),
    )


# What a unit of severity is, and what a curve's kind is called.
UNITS = {
    "label noise": ("noise", "per 10% of wrong labels"),
    "imbalance": ("imbalance", "per factor of ten"),
    "pixel corruption": ("corruption", "per step of severity"),
}


def _control(found: Findings) -> str:
    identity = found.evidence.identity
    arms = "; ".join(f"{arm.name} {percent(found.mean(0, j))}" for j, arm in enumerate(found.arms))
    return (
        f"On clean {identity['dataset']} at {identity['configuration']['ipc']} image(s) a class, protocol "
        f"{identity['protocol']}, {found.seeds} sets each, balanced test accuracy: {arms}."
    )


def _costs(found: Findings) -> list[str]:
    """One sentence a kind: what it costs each arm, and what lies beyond the range of the slope."""
    sentences = []
    for curve in found.curves:
        slopes = [slope for slope in found.slopes if slope.curve == curve]
        kind, unit = UNITS[curve.stage]
        what = f"{curve.family} {kind}".capitalize()
        if not slopes:
            continue
        upto = found.conditions[slopes[0].upto].label
        misfits = [slope.misfit for slope in slopes if slope.misfit is not None]
        misfit = f"; no mean lies further than {100 * max(misfits):.1f} points from its line" if misfits else ""
        sentences.append(
            f"{what} costs, {unit} up to {upto}: {'; '.join(_slope(slope, found.seeds) for slope in slopes)}{misfit}."
        )
        if slopes[0].upto != curve.worst:
            told = [f"{arm.name} {_cost(found.loss(curve.worst, j))}" for j, arm in enumerate(found.arms)]
            sentences.append(f"At {found.conditions[curve.worst].label} the whole cost is: {'; '.join(told)}.")
    return sentences


def _slope(slope: Slope, seeds: int) -> str:
    few = f" (n = {slope.interval.n})" if slope.interval.n < seeds else ""
    return f"{slope.arm.name} {_cost(slope.interval)}{few}"


def _cost(interval: Interval) -> str:
    """A change of accuracy as what is lost: `5.9 points [5.3, 6.6]`."""
    if interval.mean is None:
        return "unknown"
    cost = f"{-100 * interval.mean:.1f} points"
    if interval.low is None or interval.high is None:
        return f"{cost} (no interval from {interval.n})"
    return f"{cost} [{-100 * interval.high:.1f}, {-100 * interval.low:.1f}]"


def _gains(found: Findings) -> list[str]:
    """One sentence an arm with the MI term: its gain over the base from clean to the worst, and where it is lost."""
    sentences = []
    for j, arm in enumerate(found.arms):
        if not arm.has_term:
            continue
        clean = found.gain(0, j)
        shown = clean.low is not None and clean.low > 0
        parts = []
        for curve in found.curves:
            parts.append(
                f"{points(found.gain(curve.worst, j))} at {found.conditions[curve.worst].label} (change "
                f"{points(found.gain_change(curve.worst, j))}, "
                f"{_change(found, curve.worst, j)}{_lost(found, j, curve) if shown else ''})"
            )
        state = "a gain" if shown else "a loss" if clean.high is not None and clean.high < 0 else "no gain shown"
        text = f"The gain of {arm.name} over the base is {points(clean)} on clean data ({state}, n = {clean.n})"
        best = _largest(found, j)
        sentences.append("; ".join([text, *parts]) + f".{f' {best}' if best else ''}")
    return sentences


def _change(found: Findings, condition: int, arm: int) -> str:
    """What became of a gain, after Holm's correction over all changes of the suite."""
    change = found.gain_change(condition, arm)
    low, high = change.low, change.high
    if low is None or high is None:
        return f"{change.n} pair(s) decide nothing"
    if low <= 0 <= high:
        if max(-low, high) <= MARGIN:
            return "no change beyond half a point"
        gains = found.sets[:, arm] - found.sets[:, found.base]
        needed = pairs_to_decide(gains[condition] - gains[0])
        told = f"; about {needed} seeds would" if needed and change.n < needed <= SEEDS_IN_SIGHT else ""
        return "not decided at this n" + told
    ends = [found.gain(i, arm) for i in (0, condition)]
    known = any(end.low is not None and end.low > 0 for end in ends)
    word = ("it grows" if known else "it rises") if low > 0 else ("it shrinks" if known else "it falls")
    p = found.change_p.get((condition, arm))
    return word + ("" if p is not None and p < 0.05 else ", not after Holm's correction")


def _lost(found: Findings, arm: int, curve: Curve) -> str:
    """At which severities the gain is no longer above 0."""
    missing = [i for i in curve.conditions[1:] if (low := found.gain(i, arm).low) is None or low <= 0]
    if not missing:
        return "; still shown at every severity"
    if missing == list(curve.conditions[-len(missing) :]):
        return f"; no longer shown from {found.conditions[missing[0]].label}"
    return f"; not shown at {' and '.join(found.conditions[i].label for i in missing)}"


def _largest(found: Findings, arm: int) -> str:
    """The condition with the largest gain whose interval lies above 0, when it is not the clean data."""
    shown = [(found.gain(i, arm).mean or 0.0, i) for i in range(1, len(found.conditions))]
    shown = [(mean, i) for mean, i in shown if (low := found.gain(i, arm).low) is not None and low > 0]
    if not shown:
        return ""
    _, i = max(shown)
    p = found.gain_p.get((i, arm))
    told = f", p = {p:.2g} after Holm's correction over {len(found.gain_p)} gains" if p is not None else ""
    return (
        f"Of the conditions where it is above 0, it is largest at {found.conditions[i].label}: "
        f"{points(found.gain(i, arm))}{told}."
    )


def _tails(found: Findings) -> list[str]:
    """What imbalance does to the rare classes of each arm, at the largest factor of each kind."""
    sentences = []
    for curve in found.curves:
        if curve.stage != "imbalance":
            continue
        told = []
        for j, arm in enumerate(found.arms):
            rare, frequent = (found.group_recall(curve.worst, j, part) for part in (_tail, _head))
            # The same classes of the same seed on clean data.
            groups = [found.class_counts(curve.worst, k) for k in range(found.seeds)]
            before = [
                float(np.nanmean(one[:, thirds(counts)[2]])) if one is not None and counts else np.nan
                for one, counts in zip(found.recall[0][j], groups, strict=True)
            ]
            fall = paired_interval(rare[0], before)
            told.append(
                f"{arm.name} {percent(mean_interval(rare[0]))} (head {percent(mean_interval(frequent[0]))}; against "
                f"the same classes of the clean control {points(fall)})"
            )
        label = found.conditions[curve.worst].label
        sentences.append(f"At {label}, recall of the tail third of the classes: {'; '.join(told)}.")
    return sentences


def _head(counts: Sequence[int]) -> Sequence[Classes]:
    return thirds(counts)[:1]


def _tail(counts: Sequence[int]) -> Sequence[Classes]:
    return thirds(counts)[2:]


def _selected(found: Findings) -> str:
    made = selections(found)
    if not made:
        return ""
    differ = [one for one in made if one.clean != one.noisy]
    worst = max(made, key=lambda one: abs(one.optimism.mean or 0.0))
    text = (
        "Choosing between the base and the MI term by noisy instead of clean validation labels changes the choice "
        f"under {len(differ)} of {len(made)} conditions"
    )
    if differ:
        most = max(differ, key=lambda one: one.cost.mean or 0.0)
        label = found.conditions[most.condition].label
        text += f" (the largest estimated cost is {points(most.cost)} of test accuracy, at {label})"
    gap = worst.optimism.mean or 0.0
    return (
        f"{text}; noisy labels {'understate' if gap < 0 else 'overstate'} the accuracy itself, most at "
        f"{found.conditions[worst.condition].label}: {points(worst.optimism)}."
    )


def _combined(found: Findings) -> str:
    """Whether noise and imbalance together cost more than the sum of the two."""
    labels = {one.label: i for i, one in enumerate(found.conditions)}
    told = []
    for i, one in enumerate(found.conditions):
        parts = one.label.split(" + ")
        if one.stages != ("imbalance", "label noise") or not all(part in labels for part in parts):
            continue
        first, second = (labels[part] for part in parts)
        for j, arm in enumerate(found.arms):
            if arm.role not in ("base", "variant"):
                continue
            loss = found.sets[i, j] - found.sets[0, j]
            apart = (found.sets[first, j] - found.sets[0, j]) + (found.sets[second, j] - found.sets[0, j])
            told.append(f"{arm.name} {one.label} {points(paired_interval(loss, apart))}")
    if not told:
        return ""
    return f"Noise and imbalance together, less the sum of what each costs alone: {'; '.join(told)}."


def _breaks(found: Findings, seen: list[Occurrence]) -> list[str]:
    """The failure map in words: what fails where, and what is undecided."""
    begun = onsets(found, seen)
    sentences = []
    for mode in sorted({onset.mode for onset in begun}):
        told = []
        for arm in dict.fromkeys(onset.arm for onset in begun if onset.mode == mode):
            places = [onset.where(found) for onset in begun if (onset.mode, onset.arm) == (mode, arm)]
            told.append(f"{found.arms[arm].name} {', '.join(places)}")
        sentences.append(f"{mode}: {'; '.join(told)}.")
    if not sentences:
        sentences.append("No failure mode was seen in most seeds of any condition.")
    undecided = sorted({one.mode for one in seen if one.undecided})
    if undecided:
        counts = []
        for mode in undecided:
            judged = [one for one in seen if one.mode == mode]
            counts.append(f"{mode} in {sum(one.undecided for one in judged)} of {len(judged)} cases")
        sentences.append(f"Undecided with {found.seeds} seeds: {', '.join(counts)}.")
    return sentences


def _losses(found: Findings) -> str:
    """Which trials have no accuracy, so that a mean over the others is not taken for one over all."""
    told = []
    for i, condition in enumerate(found.conditions):
        for j, arm in enumerate(found.arms):
            for status in ("diverged", "error"):
                count = found.ended(i, j, status)
                if count:
                    told.append(f"{count} of {found.seeds} {status} ({arm.name}, {condition.label})")
    missing = found.evidence.status().get("missing", 0)
    if missing:
        told.append(f"{missing} missing")
    return f"Not every trial ended well; means are over those that did: {'; '.join(told)}." if told else ""


def _notes(found: Findings) -> tuple[str, ...]:
    stages = {stage for one in found.conditions for stage in one.stages}
    selection = found.evidence.identity.get("selection", "clean")
    notes = [
        "Every arm of one seed meets the same split, corruption, initial real images and evaluation networks. "
        "Between conditions the split, the networks and, as far as they nest, the corruptions are shared; the "
        "initial images are drawn anew from what a class then holds, so a difference between conditions has their "
        "noise too.",
        f"Test labels are clean. Choices read {selection} validation labels; what the others would have chosen "
        "stands in a table of its own.",
        "Full data is trained with the same recipe on the whole perturbed split, one network, at most 500 steps: an "
        "early stopped ceiling.",
        "Detectors of single trials read validation, those of groups and all tables test; a `yes` of a group mode is "
        "one of many comparisons and is not corrected for their number.",
    ]
    if "label noise" in stages:
        notes.append(
            "Rates: symmetric noise excludes the own class unless the condition says include own, pairflip moves a "
            "class to the next, asymmetric follows the data set's semantic map (its overall rate is lower), instance "
            "noise is that of Xia et al. 2020. Images that are flipped at one rate are among those flipped at a "
            "higher one."
        )
    if "imbalance" in stages:
        notes.append(
            "exponential: n_k = floor(n_max * factor^(-k/(C-1))), at least 1, n_max the smallest class of the clean "
            "split; step: half of the classes have n_max/factor. Unless the order is random, the last classes by "
            "label are the rare ones, and rarity cannot be told from difficulty."
        )
    if "pixel corruption" in stages:
        notes.append(
            "Pixel corruptions are a subset with CIFAR's constants, of the training images alone; not CIFAR-C."
        )
    return tuple(notes)


def _summary(found: Findings) -> dict[str, float]:
    """The numbers that MLflow's parent run shows; variants are numbered in their order."""
    held: dict[str, float | None] = {}
    variants = [arm for arm in found.arms if arm.role == "variant"]
    for j, arm in enumerate(found.arms):
        name = f"variant{variants.index(arm) + 1}" if arm in variants else arm.role
        held[f"clean_test_accuracy/{name}"] = found.mean(0, j).mean
        for slope in found.slopes:
            if slope.arm == arm:
                held[f"slope/{slope.curve.family}/{name}"] = slope.interval.mean
        if arm.has_term:
            held[f"clean_gain/{name}"] = found.gain(0, j).mean
    return {name: float(value) for name, value in held.items() if value is not None}
