"""Rulings in words: lists of arms grouped by what the rule decided of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studies.answers.ledger import Ruling
from studies.engine.answer import points
from studies.engine.conditions import CLEAN
from studies.engine.statistics import Improvement
from studies.engine.statistics.contrasts import Decision

# What a fall of accuracy is called, by decision.
COSTS = {
    Decision.LOSS: "",
    Decision.GAIN: "a gain instead for",
    Decision.NEGLIGIBLE: "no difference beyond half a point for",
    Decision.UNDECIDED: "undecided for",
}
# What an advantage is called.
ADVANTAGES = {
    Decision.GAIN: "higher for",
    Decision.LOSS: "lower for",
    Decision.NEGLIGIBLE: "not different beyond half a point for",
    Decision.UNDECIDED: "undecided for",
}


def grouped(
    rulings: Sequence[Ruling], names: Sequence[str], words: Mapping[Decision, str], *, cost: bool = False
) -> str:
    """`DM 0.6 points [0.2, 1.0]; undecided for: DC ..., DSA ...`, in the order of `words`; cost: as what is lost."""
    groups = []
    for decision, word in words.items():
        told = [
            f"{name} {points(one.interval, cost=cost)}{_few(one)}"
            for one, name in zip(rulings, names, strict=True)
            if one.decision is decision
        ]
        if told:
            groups.append(f"{word}: {', '.join(told)}" if word else ", ".join(told))
    return "; ".join(groups)


def _few(one: Ruling) -> str:
    """How many pairs there are, where some are lost."""
    return f" (n = {one.interval.n})" if one.lost else ""


def at(levels: str) -> str:
    """Levels as the end of a phrase: `at symmetric 0.4`, and `on clean data` for data that nothing perturbs."""
    return "on clean data" if levels == CLEAN.label else f"at {levels}"


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def chance(wins: Improvement) -> str | None:
    """P(A beats B) as `0.80 [0.28, 0.99]`; None without a pair."""
    if wins.value is None:
        return None
    if wins.low is None or wins.high is None:
        return f"{wins.value:.2f}"
    return f"{wins.value:.2f} [{wins.low:.2f}, {wins.high:.2f}]"
