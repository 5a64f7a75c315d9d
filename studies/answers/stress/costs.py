"""What a stress answer says of costs and gains: by kind, by method, and by how many images a class has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.answers.stress.findings import Curve, Findings, Slope
from studies.engine.answer import percent, points
from studies.engine.failures.groups import Classes, thirds
from studies.engine.statistics import Interval, mean_interval, paired_interval, pairs_to_decide

SEEDS_IN_SIGHT = 100  # nobody runs more, and the forecast is worth no more
MARGIN = 0.005  # half a point: a smaller difference is of no use to anyone, whatever its sign
# What a unit of severity is, and what a curve's kind is called.
UNITS = {
    "label noise": ("noise", "per 10% of wrong labels"),
    "imbalance": ("imbalance", "per factor of ten"),
    "pixel corruption": ("corruption", "per step of severity"),
}


def costs(found: Findings) -> list[str]:
    """One sentence a kind: what it costs each arm, and what lies beyond the range of the slope."""
    sentences = []
    for curve in found.curves:
        own = [found.arms[j] for j in found.own]
        slopes = [slope for slope in found.slopes if slope.curve == curve and slope.arm in own]
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
            told = [f"{found.arms[j].name} {_cost(found.loss(curve.worst, j))}" for j in found.own]
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


def gains(found: Findings) -> list[str]:
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
        over = found.arms[found.base_of(j)].name
        text = f"The gain of {arm.name} over {over} is {points(clean)} on clean data ({state}, n = {clean.n})"
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
        needed = pairs_to_decide(found.gains[condition, arm] - found.gains[0, arm])
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


def tails(found: Findings) -> list[str]:
    """What imbalance does to the rare classes of each arm, at the largest factor of each kind."""
    sentences = []
    for curve in found.curves:
        if curve.stage != "imbalance":
            continue
        told = []
        for j in found.own:
            arm = found.arms[j]
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
