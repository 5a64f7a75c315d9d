"""A stress answer in words, each claim with its interval, and what this n cannot decide said so."""

from __future__ import annotations

import numpy as np

from studies.answers.stress.breaking import Occurrence, group_failures, occurrences, onsets
from studies.answers.stress.figures import draw_figures
from studies.answers.stress.findings import Findings, Slope, find
from studies.answers.stress.selecting import selections
from studies.answers.stress.tables import tables
from studies.engine.answer import Answer, percent, points
from studies.engine.evidence import Evidence
from studies.engine.failures.groups import head_and_tail
from studies.engine.statistics import mean_interval, paired_interval

MARGIN = 0.005  # half a point: a smaller difference is of no use to anyone, whatever its sign


def write_answer(evidence: Evidence, stage: str) -> Answer:
    """The verdict, tables, figures and failures of a stress suite; stage: what it perturbs."""
    found = find(evidence)
    if not np.isfinite(found.sets[0, found.base]).any():
        counts = ", ".join(f"{n} {status}" for status, n in evidence.status().items())
        return Answer((f"Nothing can be said before the clean control is complete: {counts}.",))
    seen = occurrences(found)
    sentences = [
        _control(found),
        *_costs(found, stage),
        *_gains(found, stage),
        *_tails(found, stage),
        _selected(found),
        _combined(found),
        *_breaks(found, seen, stage),
        _losses(found),
    ]
    return Answer(
        verdict=tuple(sentence for sentence in sentences if sentence),
        tables=tables(found, seen, stage),
        figures=draw_figures(found, seen, stage),
        notes=_notes(stage),
        summary=_summary(found, stage),
        failed=group_failures(found, seen),
    )


def _control(found: Findings) -> str:
    identity = found.evidence.identity
    arms = "; ".join(f"{arm.name} {percent(found.mean(0, j))}" for j, arm in enumerate(found.arms))
    return (
        f"On clean {identity['dataset']} at {identity['configuration']['ipc']} image(s) a class, protocol "
        f"{identity['protocol']}, {found.seeds} sets each, balanced test accuracy: {arms}."
    )


def _costs(found: Findings, stage: str) -> list[str]:
    """One sentence a kind: what it costs each arm."""
    unit = "per 10% of wrong labels" if stage == "label noise" else "per factor of ten"
    sentences = []
    slopes = found.slopes(stage)
    for family in found.families(stage):
        told = [_slope(slope) for slope in slopes if slope.family == family]
        what = f"{family} noise" if stage == "label noise" else f"{family} imbalance"
        sentences.append(f"{what.capitalize()} costs, {unit}: {'; '.join(told)}.")
    return sentences


def _slope(slope: Slope) -> str:
    interval = slope.interval
    if interval.mean is None:
        return f"{slope.arm.name} unknown"
    cost = f"{-100 * interval.mean:.1f} points"
    if interval.low is None or interval.high is None:
        return f"{slope.arm.name} {cost} (no interval from {interval.n})"
    return f"{slope.arm.name} {cost} [{-100 * interval.high:.1f}, {-100 * interval.low:.1f}]"


def _gains(found: Findings, stage: str) -> list[str]:
    """One sentence an arm with the MI term and kind: its gain over the base from clean to the worst, and where lost."""
    sentences = []
    for j, arm in enumerate(found.arms):
        if not arm.has_term:
            continue
        clean = found.gain(0, j)
        shown = clean.low is not None and clean.low > 0
        parts = []
        for conditions in found.families(stage).values():
            worst = conditions[-1]
            change = found.gain_change(worst, j)
            verdict = _change(change.low, change.high)
            parts.append(
                f"{points(found.gain(worst, j))} at {found.conditions[worst].label} (change {points(change)}, {verdict}"
                f"{_lost(found, j, conditions) if shown else ''})"
            )
        state = "a gain" if shown else "a loss" if clean.high is not None and clean.high < 0 else "no gain shown"
        sentences.append(
            f"The gain of {arm.name} over the base is {points(clean)} on clean data ({state}, n = {clean.n}); "
            f"{'; '.join(parts)}."
        )
    return sentences


def _change(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "one pair decides nothing"
    if high < 0:
        return "it shrinks"
    if low > 0:
        return "it grows"
    return "not decided at this n" if max(-low, high) > MARGIN else "no change beyond half a point"


def _lost(found: Findings, arm: int, conditions: list[int]) -> str:
    """From which severity on the gain is no longer above 0."""
    for place, condition in enumerate(conditions[1:], 1):
        rest = [found.gain(later, arm).low for later in conditions[place:]]
        if all(low is None or low <= 0 for low in rest):
            return f"; no longer shown from {found.conditions[condition].label}"
    return "; still there at every severity"


def _tails(found: Findings, stage: str) -> list[str]:
    """What imbalance does to the rare classes of each arm, at the largest factor of each kind."""
    if stage != "imbalance":
        return []
    sentences = []
    for conditions in found.families(stage).values():
        worst = conditions[-1]
        counts = found.any_result(worst).get("train_counts")
        parts = head_and_tail(counts) if counts else None
        if parts is None:
            continue
        head, tail = parts
        told = []
        for j, arm in enumerate(found.arms):
            now, before = (_group(found, condition, j, tail) for condition in (worst, 0))
            fall = paired_interval(now, before)
            told.append(
                f"{arm.name} {percent(mean_interval(now))} (head "
                f"{percent(mean_interval(_group(found, worst, j, head)))}; "
                f"same classes on balanced data {percent(mean_interval(before))}, change {points(fall)})"
            )
        sentences.append(
            f"At {found.conditions[worst].label}, recall of the tail third of the classes: {'; '.join(told)}."
        )
    return sentences


def _group(found: Findings, condition: int, arm: int, group: np.ndarray) -> list[float]:
    return [np.nan if one is None else float(np.nanmean(one[:, group])) for one in found.recall[condition][arm]]


def _selected(found: Findings) -> str:
    made = selections(found)
    if not made:
        return ""
    differ = [one for one in made if one.clean != one.noisy]
    worst = max(made, key=lambda one: abs(one.optimism.mean or 0.0))
    text = (
        "Choosing between the base and the MI term by noisy instead of clean validation labels changes the "
        "choice under "
        f"{len(differ)} of {len(made)} conditions"
    )
    if differ:
        most = max(differ, key=lambda one: one.cost.mean or 0.0)
        text += f", at most costing {points(most.cost)} of test accuracy ({found.conditions[most.condition].label})"
    return (
        f"{text}; noisy labels understate the accuracy itself by up to {points(worst.optimism)} "
        f"({found.conditions[worst.condition].label})."
    )


def _combined(found: Findings) -> str:
    """Whether noise and imbalance together cost more than the sum of the two."""
    labels = {one.label: i for i, one in enumerate(found.conditions)}
    told = []
    for i, one in enumerate(found.conditions):
        parts = one.label.split(" + ")
        if len(parts) != 2 or not all(part in labels for part in parts):
            continue
        first, second = (labels[part] for part in parts)
        for j, arm in enumerate(found.arms):
            if arm.role not in ("base", "default"):
                continue
            loss = found.sets[i, j] - found.sets[0, j]
            apart = (found.sets[first, j] - found.sets[0, j]) + (found.sets[second, j] - found.sets[0, j])
            told.append(f"{arm.name} {one.label} {points(paired_interval(loss, apart))}")
    if not told:
        return ""
    return f"Noise and imbalance together, against the sum of what each costs alone: {'; '.join(told)}."


def _breaks(found: Findings, seen: list[Occurrence], stage: str) -> list[str]:
    """The failure map in words: what fails where, mildest condition first, and what is undecided."""
    begun = onsets(found, seen, stage)
    sentences = []
    for mode in sorted({onset.mode for onset in begun}):
        by_place: dict[str, list[str]] = {}
        for onset in begun:
            if onset.mode == mode and onset.begins is not None:
                place = "clean data" if onset.begins == 0 else f"{found.conditions[onset.begins].label}"
                names = by_place.setdefault(found.arms[onset.arm].name, [])
                if place not in names:
                    names.append(place)
        told = "; ".join(f"{name} from {' and '.join(places)}" for name, places in by_place.items())
        sentences.append(f"{mode}: {told}.")
    if not sentences:
        sentences.append("No failure mode was seen in most seeds of any condition.")
    undecided = sorted({one.mode for one in seen if one.undecided})
    if undecided:
        counts = [f"{mode} in {sum(one.mode == mode and one.undecided for one in seen)} cases" for mode in undecided]
        sentences.append(f"Undecided with {found.seeds} seeds: {', '.join(counts)}.")
    return sentences


def _losses(found: Findings) -> str:
    counts = {name: n for name, n in found.evidence.status().items() if name != "ok"}
    return f"Not every trial ended well: {', '.join(f'{n} {name}' for name, n in counts.items())}." if counts else ""


def _notes(stage: str) -> tuple[str, ...]:
    shared = (
        "Every arm of one seed meets the same split, corruption, initial real images and evaluation networks. "
        "Validation "
        "and test labels are clean; what noisy validation labels would have chosen stands in a table of its own.",
        "Full data is trained with the same recipe on the whole perturbed split, one network, at most 500 steps: "
        "an early "
        "stopped ceiling.",
    )
    if stage == "label noise":
        return (
            *shared,
            "Rates: symmetric noise excludes the own class, pairflip moves a class to the next, asymmetric follows the "
            "data set's semantic map (its overall rate is lower), instance noise is that of Xia et al. 2020. "
            "Images that "
            "are flipped at one rate are among those flipped at a higher one.",
        )
    return (
        *shared,
        "exponential: n_k = floor(n_max * factor^(-k/(C-1))), at least 1, n_max the smallest class of the clean split; "
        "step: half of the classes have n_max/factor. The last classes by label are the rare ones: rarity and "
        "difficulty "
        "cannot be told apart unless the order is random.",
    )


def _summary(found: Findings, stage: str) -> dict[str, float]:
    """The numbers that MLflow's parent run shows."""
    held: dict[str, float | None] = {}
    for j, arm in enumerate(found.arms):
        name = arm.role
        held[f"clean_test_accuracy/{name}"] = found.mean(0, j).mean
        for slope in found.slopes(stage):
            if slope.arm == arm:
                held[f"slope/{slope.family}/{name}"] = slope.interval.mean
        if arm.has_term:
            held[f"clean_gain/{name}"] = found.gain(0, j).mean
    return {name: float(value) for name, value in held.items() if value is not None}
