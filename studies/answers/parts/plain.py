"""An answer in short: rulings as predicates of sentences that can stand in a rebuttal as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from studies.answers.ledger import Ruling, margin
from studies.engine.answer import points
from studies.engine.statistics import Interval
from studies.engine.statistics.contrasts import FEWEST_PAIRS, Decision

# What a method is to another one, by decision, in the order in which they are told.
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


def counted(rulings: Sequence[Ruling], words: Mapping[Decision, str] = BETTER) -> str:
    """How many were decided how, `better in 3, undecided in 14`; nothing is said of what did not occur."""
    counts = Counter(one.decision for one in rulings)
    return ", ".join(f"{word} in {counts[decision]}" for decision, word in words.items() if counts[decision])


def too_few(rulings: Sequence[Ruling]) -> bool:
    """Whether no contrast has the pairs that a decision needs."""
    return bool(rulings) and all(one.interval.n < FEWEST_PAIRS for one in rulings)
