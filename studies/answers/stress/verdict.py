"""A stress answer in words, each claim with its interval, and what this n cannot decide said so."""

from __future__ import annotations

import re

import numpy as np

from studies.answers.stress.breaking import Occurrence, group_failures, occurrences, onsets
from studies.answers.stress.costs import costs, gains, tails
from studies.answers.stress.figures import draw_figures
from studies.answers.stress.findings import Findings, find
from studies.answers.stress.selecting import selections
from studies.answers.stress.tables import tables
from studies.engine.answer import Answer, percent, points
from studies.engine.evidence import Evidence
from studies.engine.statistics import paired_interval


def write_answer(evidence: Evidence) -> Answer:
    """The verdict, tables, figures and failures of a stress suite."""
    found = find(evidence)
    if not np.isfinite(found.sets[0, found.base]).any():
        counts = ", ".join(f"{n} {status}" for status, n in evidence.status().items())
        return Answer((f"Nothing can be said before the clean control is complete: {counts}.",))
    seen = occurrences(found)
    sentences = [
        _control(found),
        *costs(found),
        *gains(found),
        *tails(found),
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


def _control(found: Findings) -> str:
    identity = found.evidence.identity
    arms = "; ".join(f"{arm.name} {percent(found.mean(0, j))}" for j, arm in enumerate(found.arms))
    return (
        f"On clean {identity['dataset']} at {identity['configuration']['ipc']} image(s) a class, protocol "
        f"{identity['protocol']}, {found.seeds} sets each, balanced test accuracy: {arms}."
    )


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
        for j in found.own:
            arm = found.arms[j]
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
    """The numbers that MLflow's parent run shows, under names that it takes; variants are numbered in their order."""
    held: dict[str, float | None] = {}
    variants = [arm for arm in found.arms if arm.role == "variant"]
    for j, arm in enumerate(found.arms):
        told = f"variant{variants.index(arm) + 1}" if arm in variants else arm.role
        name = re.sub(r"[^\w.-]+", "_", told).strip("_")
        held[f"clean_test_accuracy/{name}"] = found.mean(0, j).mean
        for slope in found.slopes:
            if slope.arm == arm:
                held[f"slope/{slope.curve.family}/{name}"] = slope.interval.mean
        if arm.has_term:
            held[f"clean_gain/{name}"] = found.gain(0, j).mean
    return {name: float(value) for name, value in held.items() if value is not None}
