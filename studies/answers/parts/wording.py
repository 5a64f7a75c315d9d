"""Rulings in words: lists of arms grouped by decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studies.answers.ledger import Ruling
from studies.engine.answer import Quantity, points
from studies.engine.conditions import CLEAN
from studies.engine.statistics import Improvement
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

# Phrases for a loss of accuracy, by decision.
COSTS = {
    Decision.LOSS: "",
    Decision.GAIN: "a gain instead for",
    Decision.NEGLIGIBLE: "no difference beyond half a point for",
    Decision.UNDECIDED: "undecided for",
}
# Phrases for an advantage, by decision.
ADVANTAGES = {
    Decision.GAIN: "higher for",
    Decision.LOSS: "lower for",
    Decision.NEGLIGIBLE: "not different beyond half a point for",
    Decision.UNDECIDED: "undecided for",
}
DECIDED = (Decision.GAIN, Decision.LOSS, Decision.NEGLIGIBLE)
# At most this many undecided levels are named; more are only counted.
NAMED = 3


def grouped(
    rulings: Sequence[Ruling], names: Sequence[str], phrases: Mapping[Decision, str], *, cost: bool = False
) -> str:
    """`DM 0.6 points [0.2, 1.0]; undecided for DC ..., DSA ...`, in the order of `phrases`; cost: as losses."""
    groups = []
    for decision, phrase in phrases.items():
        members = [
            f"{name} {points(ruling.interval, cost=True) if cost else ruling.points}{_few(ruling)}"
            for ruling, name in zip(rulings, names, strict=True)
            if ruling.decision is decision
        ]
        if members:
            groups.append(f"{phrase} {', '.join(members)}" if phrase else ", ".join(members))
    return "; ".join(groups)


def _few(ruling: Ruling) -> str:
    """The number of pairs, if some are lost."""
    return f" (n = {ruling.interval.n})" if ruling.lost else ""


def decisions(rulings: Mapping[str, Ruling]) -> str:
    """A sentence with the levels, by their joined labels, at which a contrast is decided, by decision.

    rulings: of contrasts in one unit, with one margin.
    """
    where: dict[Decision, list[str]] = {}
    words: dict[Decision, str] = {}
    for levels, ruling in rulings.items():
        where.setdefault(ruling.decision, []).append(at(levels))
        words[ruling.decision] = ruling.direction
    decided = [f"{words[decision]} {listed(where[decision])}" for decision in DECIDED if decision in where]
    open_ = where.get(Decision.UNDECIDED, [])
    if not decided:
        return f"It is undecided at all {plural(len(rulings), 'level')}."
    if open_:
        decided.append(f"undecided {listed(open_) if len(open_) <= NAMED else f'at the other {len(open_)}'}")
    return f"The decisions at the {plural(len(rulings), 'level')} are: {'; '.join(decided)}."


def at(levels: str) -> str:
    """Levels as the end of a phrase: `at symmetric 0.4`, or `on clean data`."""
    return "on clean data" if levels == CLEAN.label else f"at {levels}"


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def chance(wins: Improvement) -> Quantity | None:
    """P(A beats B), such as `0.80 [0.28, 0.99]`; None without a pair."""
    return None if wins.value is None else Quantity(wins.value, wins.low, wins.high, wins.n, "share")
