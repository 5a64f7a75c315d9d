"""An answer in short: rulings as predicates of sentences that can stand in a rebuttal as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from studies.answers.ledger import Ruling, margin
from studies.answers.parts.wording import listed
from studies.engine.answer import points
from studies.engine.statistics import Interval
from studies.engine.statistics.contrasts import FEWEST_PAIRS, Decision
from studies.engine.wording import plural

# How a method compares with another one, by decision, in the order in which they are told.
BETTER = {
    Decision.GAIN: "better",
    Decision.LOSS: "worse",
    Decision.NEGLIGIBLE: "within half a point",
    Decision.UNDECIDED: "undecided",
}


def compared(ruling: Ruling, other: str) -> str:
    """`improves on DM by 1.1 points [0.8, 1.5]`: the predicate of a sentence about the first of two arms."""
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
    """A gain without signs, `1.1 points [0.8, 1.5]`; what reaches below 0 keeps its sign there."""
    mean, low, high = (None if end is None else -end for end in (interval.mean, interval.low, interval.high))
    return points(Interval(mean, high, low, interval.n), cost=True)


def standing(rulings: Sequence[Ruling], other: str) -> str:
    """`compared with DM, it is better in 3 and undecided in 14 of 17 cases`: one method, many comparisons."""
    counts = Counter(one.decision for one in rulings)
    if len(counts) == 1 and Decision.UNDECIDED in counts:
        cases = f" in all {len(rulings)} cases" if len(rulings) > 1 else ""
        return f"whether it differs from {other} is undecided{cases}"
    parts = [f"{word} in {counts[decision]}" for decision, word in BETTER.items() if counts[decision]]
    return f"compared with {other}, it is {listed(parts)} of {plural(len(rulings), 'case')}"


def shares(rulings: Sequence[Ruling], words: Mapping[Decision, tuple[str, str]]) -> list[str]:
    """`3 improve on DM`, `1 falls below it`: many subjects by what was decided of each. words: for one, for several."""
    counts = Counter(one.decision for one in rulings)
    return [
        f"{counts[decision]} {forms[counts[decision] > 1]}" for decision, forms in words.items() if counts[decision]
    ]


def too_few(rulings: Sequence[Ruling]) -> bool:
    """Whether no contrast has the pairs that a decision needs."""
    return bool(rulings) and all(one.interval.n < FEWEST_PAIRS for one in rulings)
