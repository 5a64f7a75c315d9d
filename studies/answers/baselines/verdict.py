"""A comparison of baselines in words: each claim with its interval, and what this n cannot decide said so."""

from __future__ import annotations

import re

import numpy as np

from studies.answers.baselines.compared import LEVEL, Compared, Contrast, compare, knobs_of
from studies.answers.baselines.figures import draw_figures
from studies.answers.baselines.tables import tables
from studies.engine.answer import Answer, percent, points
from studies.engine.evidence import Evidence
from studies.engine.statistics import paired_interval, probability_of_improvement

# Demsar's rule of thumb for Friedman's chi-squared.
ENOUGH_BLOCKS = 10


def write_answer(evidence: Evidence) -> Answer:
    """The verdict, the tables and the figures."""
    compared = compare(evidence)
    if not np.isfinite(compared.found.sets).any():
        counts = ", ".join(f"{n} {status}" for status, n in evidence.status().items())
        return Answer((f"Nothing can be said before a trial has an accuracy: {counts}.",))
    sentences = [
        _overview(compared),
        _best(compared),
        *(_gain(compared, one) for one in compared.gains),
        _over_random(compared),
        *_ranks(compared),
        _losses(compared),
    ]
    return Answer(
        verdict=tuple(sentence for sentence in sentences if sentence),
        tables=tables(compared),
        figures=draw_figures(compared),
        notes=_notes(compared),
        summary=_summary(compared),
    )


def _overview(compared: Compared) -> str:
    found, identity = compared.found, compared.evidence.identity
    told = [
        f"{name} {percent(found.mean(i))}"
        for i, name in enumerate(compared.names)
        if i not in (compared.random, compared.full)
    ]
    ends = [
        f"{name} {compared.names[arm]} {percent(found.mean(arm))}"
        for arm, name in ((compared.random, "floor"), (compared.full, "ceiling"))
        if arm is not None
    ]
    return (
        f"On {identity['dataset']} at {identity['configuration']['ipc']} image(s) a class, protocol "
        f"{identity['protocol']}, {len(identity['seeds'])} sets each, test accuracy: {'; '.join([*ends, *told])}."
    )


def _best(compared: Compared) -> str:
    """The method that validation chooses, against its base and random images."""
    best, found = compared.best, compared.found
    if best is None:
        return ""
    told = []
    for other, name in ((compared.random, "over random real images"), (found.alone(best), "over its base alone")):
        if other is not None and other != best:
            difference = paired_interval(found.sets[best], found.sets[other])
            told.append(f"{points(difference)} {name} (n = {difference.n} pairs)")
    share = _share_of_the_way(compared, best)
    return (
        f"Validation chooses {compared.names[best]}: {percent(found.mean(best))} on test"
        f"{', ' if told else ''}{', '.join(told)}{share}."
    )


def _share_of_the_way(compared: Compared, arm: int) -> str:
    if compared.random is None or compared.full is None:
        return ""
    floor, own, ceiling = (compared.found.mean(i).mean for i in (compared.random, arm, compared.full))
    if floor is None or own is None or ceiling is None or ceiling <= floor or arm == compared.random:
        return ""
    return f"; that is {100 * (own - floor) / (ceiling - floor):.0f}% of the way from random images to full data"


def _gain(compared: Compared, one: Contrast) -> str:
    label = compared.names[one.a]
    start = f"The MI term on {compared.names[one.b]} ({label})" if label.count("(") else f"The MI term on {label[:-6]}"
    text = f"{start}: {points(one.difference)}, {_won(one)}"
    return f"{text}; {_decision(one, len(compared.gains))}."


def _won(one: Contrast) -> str:
    wins = one.wins
    if wins.value is None:
        return "no whole pair"
    interval = "" if wins.low is None else f" [{wins.low:.2f}, {wins.high:.2f}]"
    return f"P(better) {wins.value:.2f}{interval}, n = {wins.n} pairs"


def _decision(one: Contrast, tests: int) -> str:
    """What the corrected test says, and how many pairs would say more."""
    n = one.difference.n
    if one.adjusted is None:
        if n >= 2:
            return "every pair differs by the same, so there is nothing to test against"
        return "not decided: a test needs two whole pairs"
    told = f"p = {one.adjusted:.2g} after Holm over {tests}"
    if one.decided:
        return f"decided, {told}"
    return f"not decided at n = {n} ({told}); {_forecast(one)}"


def _forecast(one: Contrast) -> str:
    if one.needed is None:
        return "no number of pairs up to 10,000 would decide it, were its mean and spread to stay"
    return f"about {max(one.needed, one.difference.n + 1):,} pairs would decide, were its mean and spread to stay"


def _over_random(compared: Compared) -> str:
    contrasts, names = compared.over_random, compared.names
    if not contrasts:
        return ""
    above = [one for one in contrasts if one.decided and (one.difference.mean or 0) > 0]
    below = [one for one in contrasts if one.decided and (one.difference.mean or 0) < 0]
    open_ = [one for one in contrasts if not one.decided]
    told = []
    if above:
        told.append(f"above them: {', '.join(f'{names[one.a]} {points(one.difference)}' for one in above)}")
    if below:
        told.append(f"below them: {', '.join(f'{names[one.a]} {points(one.difference)}' for one in below)}")
    if open_:
        each = (
            f"{names[one.a]} {points(one.difference) if one.difference.n else 'no pair'}"
            + (f" (about {max(one.needed, one.difference.n + 1):,} pairs would decide)" if one.needed else "")
            for one in open_
        )
        told.append(f"not decided: {', '.join(each)}")
    pairs = {one.difference.n for one in contrasts}
    n = f"{min(pairs)}" if len(pairs) == 1 else f"{min(pairs)} to {max(pairs)}"
    return f"Against random real images, n = {n} pairs, Holm over {len(contrasts)} at level {LEVEL}: {'; '.join(told)}."


def _ranks(compared: Compared) -> list[str]:
    ranks, names = compared.ranks, [compared.names[i] for i in compared.entrants]
    lost = [block.label for block in compared.blocks if not np.isfinite(block.scores).all()]
    left = f" Left out, for no seed has every method: {'; '.join(lost)}." if lost else ""
    if ranks.average is None or ranks.critical_difference is None:
        needed = (
            f"; {ranks.methods} methods want {ranks.blocks_for_one_rank} blocks for a critical difference below one "
            "rank (add finished studies of other data or ipc with --beside OUT)"
            if ranks.blocks_for_one_rank
            else ""
        )
        return [f"No ranks and no critical-difference diagram: {ranks.reason}{needed}.{left}"]
    order = sorted(range(ranks.methods), key=lambda i: ranks.average[i] if ranks.average else 0.0)
    told = ", ".join(f"{names[i]} {ranks.average[i]:.2f}" for i in order)
    tested = ""
    if ranks.friedman is not None and ranks.friedman_p is not None:
        tested = f" (Friedman's chi-squared {ranks.friedman:.2f}, p = {ranks.friedman_p:.2g})"
    return [
        f"Average ranks over {ranks.blocks} blocks: {told}{tested}.{left}",
        _told_apart(compared, order),
    ]


def _told_apart(compared: Compared, order: list[int]) -> str:
    """Which ranks differ by the critical difference, or how many blocks would let them."""
    ranks, names = compared.ranks, [compared.names[i] for i in compared.entrants]
    assert ranks.average is not None
    assert ranks.critical_difference is not None
    start = f"Two average ranks differ (level {LEVEL}) when {ranks.critical_difference:.2f} apart"
    better: list[str] = []
    for i in order:
        worse = [names[j] for j in order if ranks.average[j] - ranks.average[i] >= ranks.critical_difference]
        if worse:
            better.append(f"{names[i]} ranks above {', '.join(worse)}")
    more = f"{ranks.blocks_for_one_rank} blocks would bring that below one rank"
    if better:
        return f"{start}: {'; '.join(better)}; all else is not decided at {ranks.blocks} blocks ({more})."
    most = ranks.methods - 1
    if ranks.critical_difference > most:
        return f"{start}, and {ranks.methods} methods' can be at most {most} apart: {ranks.blocks} blocks decide " + (
            f"nothing ({more})."
        )
    return f"{start}: none are, so nothing is decided at {ranks.blocks} blocks ({more})."


def _losses(compared: Compared) -> str:
    """Which trials have no accuracy, so that a mean over the others is not taken for one over all."""
    found, told = compared.found, []
    for i, arm in enumerate(found.arms):
        for status in ("diverged", "error"):
            if count := found.ended(i, status):
                told.append(f"{count} of {len(arm.trials)} {status} ({compared.names[i]})")
        if missing := len(arm.trials) - len(found.rows(i)):
            told.append(f"{missing} of {len(arm.trials)} missing ({compared.names[i]})")
    return f"Not every trial ended well; means and pairs are of those that did: {'; '.join(told)}." if told else ""


def _notes(compared: Compared) -> tuple[str, ...]:
    found = compared.found
    notes = [
        "All methods of one seed share the split, the initial real images where they start from them, and the "
        "evaluation networks' initial weights; data, network and recipe are the same for all.",
        "Nothing is chosen by test accuracy: the last iteration and the last epoch count, and the method that is "
        "called chosen is so by validation. Its test accuracy is that of the best of several, chosen on other images.",
        "Each method runs its own schedule: the protocol's where it has one, else its paper's defaults. Methods are "
        "not tuned here, so a gap may be one of tuning.",
    ]
    knobs = {
        ", ".join(knob for knob in knobs_of(arm.role) if knob not in knobs_of(compared.names[i]))
        for i, arm in enumerate(found.arms)
        if compared.has_term(i) and compared.names[i] != arm.role
    }
    if knobs:
        notes.append(f"“+ mim” is the MI term of MIM4DD with {' or '.join(sorted(knobs))}, other knobs at defaults.")
    alone = [compared.names[i] for i in compared.entrants if compared.has_term(i) and compared.found.alone(i) is None]
    if alone:
        told = "the base alone with the same knobs is not among the methods, or has no row"
        notes.append(f"No paired gain for {', '.join(alone)}: {told}.")
    if compared.full is not None and (config := found.config(compared.full)):
        notes.append(
            f"Full data: the same recipe on all training images, {config['evaluation.networks']} network(s) a seed, at "
            f"most {config['evaluation.max_steps']} steps: an early stopped ceiling. It is no entrant of the ranks."
        )
    notes += _floor(compared)
    ranks = compared.ranks
    if ranks.iman_davenport is not None and ranks.iman_davenport_p is not None:
        notes.append(f"Iman and Davenport's F {ranks.iman_davenport:.2f}, p = {ranks.iman_davenport_p:.2g}.")
    if ranks.friedman is not None and ranks.blocks <= ENOUGH_BLOCKS:
        notes.append(
            "The p of Friedman's test, and of Iman and Davenport's more so, are approximations that want more than "
            f"{ENOUGH_BLOCKS} blocks; with {ranks.blocks} they are too small or too large by an unknown factor."
        )
    return tuple(notes)


def _floor(compared: Compared) -> list[str]:
    """What so few pairs cannot show whatever happens."""
    n = max((one.difference.n for one in (*compared.gains, *compared.over_random)), default=0)
    if not n:
        return []
    sweep = probability_of_improvement(np.ones(n), np.zeros(n)).low
    if sweep is None or sweep > 0.5:
        return []
    return [
        f"With {n} pairs even winning all of them leaves P(A beats B) above {sweep:.2f} only; at least 6 pairs are "
        "needed for an exact interval that excludes 0.5. What is called decided rests on the t test, which takes the "
        "paired differences for normal."
    ]


def _summary(compared: Compared) -> dict[str, float]:
    """The numbers that MLflow's parent run shows, under names that it takes."""
    names = [re.sub(r"[^\w.-]+", "_", name).strip("_") for name in compared.names]
    held: dict[str, float | None] = {
        f"{names[i]}/test_accuracy": compared.found.mean(i).mean for i in range(len(names))
    }
    held |= {f"{names[one.a]}/gain_over_base": one.difference.mean for one in compared.gains}
    if compared.ranks.average is not None:
        ranked = zip(compared.entrants, compared.ranks.average, strict=True)
        held |= {f"{names[i]}/average_rank": rank for i, rank in ranked}
    return {name: float(value) for name, value in held.items() if value is not None}
