"""Rulings as predicates of sentences that can be quoted alone, such as in a rebuttal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from studies.answers.ledger import Ruling, margin
from studies.answers.parts.wording import listed
from studies.engine.answer import points
from studies.engine.statistics import Interval
from studies.engine.statistics.contrasts import FEWEST_PAIRS, Decision
from studies.engine.wording import plural

# How a method compares with another one, by decision, in the order of the sentence.
BETTER = {
    Decision.GAIN: "better",
    Decision.LOSS: "worse",
    Decision.NEGLIGIBLE: "within half a point",
    Decision.UNDECIDED: "undecided",
}


def compared(ruling: Ruling, other: str) -> str:
    """The predicate of a sentence about the first of two arms, `improves on DM by 1.1 points [0.8, 1.5]`."""
    size = points(ruling.interval)
    match ruling.decision:
        case Decision.GAIN:
            return f"improves on {other} by {amount(ruling.interval)}"
        case Decision.LOSS:
            return f"falls below {other} by {points(ruling.interval, cost=True)}"
        case Decision.NEGLIGIBLE:
            return f"differs from {other} by no more than {margin(ruling.contrast)} ({size})"
        case _:
            return f"is not shown to differ from {other} ({size})"


def amount(interval: Interval) -> str:
    """A gain without plus signs, `1.1 points [0.8, 1.5]`; negative bounds keep their sign."""
    mean, low, high = (None if end is None else -end for end in (interval.mean, interval.low, interval.high))
    return points(Interval(mean, high, low, interval.n), cost=True)


def standing(rulings: Sequence[Ruling], other: str) -> str:
    """Many comparisons of one method, `compared with DM, it is better in 3 and undecided in 14 of 17 cases`."""
    counts = Counter(ruling.decision for ruling in rulings)
    if len(counts) == 1 and Decision.UNDECIDED in counts:
        cases = f" in all {len(rulings)} cases" if len(rulings) > 1 else ""
        return f"whether it differs from {other} is undecided{cases}"
    parts = [f"{word} in {counts[decision]}" for decision, word in BETTER.items() if counts[decision]]
    return f"compared with {other}, it is {listed(parts)} of {plural(len(rulings), 'case')}"


def shares(rulings: Sequence[Ruling], phrases: Mapping[Decision, tuple[str, str]]) -> list[str]:
    """The number of subjects by decision, `3 improve on DM`, `1 falls below it`. phrases: (singular, plural)."""
    counts = Counter(ruling.decision for ruling in rulings)
    return [
        f"{counts[decision]} {forms[counts[decision] > 1]}" for decision, forms in phrases.items() if counts[decision]
    ]


def named(rulings: Sequence[Ruling], names: Sequence[str], phrases: Mapping[Decision, str]) -> list[str]:
    """The subjects by decision with their names, `2 are better (DC, DM)`, `1 is worse (DSA)`."""
    groups = []
    for decision, phrase in phrases.items():
        members = [name for name, ruling in zip(names, rulings, strict=True) if ruling.decision is decision]
        if members:
            groups.append(f"{len(members)} {'is' if len(members) == 1 else 'are'} {phrase} ({', '.join(members)})")
    return groups


def too_few(rulings: Sequence[Ruling]) -> str:
    """A sentence that says that no contrast has the pairs that a decision needs; "" if one has."""
    most = max((ruling.interval.n for ruling in rulings), default=FEWEST_PAIRS)
    if most >= FEWEST_PAIRS:
        return ""
    return (
        f"With {plural(most, 'pair')} per comparison nothing can be decided; a decision takes at least {FEWEST_PAIRS}."
    )
