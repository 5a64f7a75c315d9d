"""The answer in short: what the term adds to an iteration, and whether its accuracy is worth the seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studies.answers.cost.overhead import base_name
from studies.answers.cost.stages import own_level
from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.wording import listed
from studies.engine.answer import Sentence
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import decimal


def plain(ledger: Ledger, overheads: Sequence[Ruling], equal_cost: Mapping[str, Ruling]) -> list[Sentence | None]:
    """One sentence on the overhead, one on accuracy at equal cost."""
    by_level: dict[str, list[Ruling]] = {}
    for ruling in overheads:
        by_level.setdefault(ruling.contrast.terms[0][1].levels[0], []).append(ruling)
    # The study's own data; where only others were measured, the first of them.
    level = own_level(ledger.results) or next(iter(by_level), "")
    return [_overhead(ledger, level, by_level.get(level, [])), _worth(ledger, equal_cost)]


def _overhead(ledger: Ledger, level: str, rulings: Sequence[Ruling]) -> Sentence | None:
    if not rulings:
        return None
    results = ledger.results
    names = [base_name(results, results.arms[ruling.contrast.terms[0][1].arm]) for ruling in rulings]
    parts = [f"{_percent(ruling)} on {name}" for ruling, name in zip(rulings, names, strict=True)]
    open_ = [ruling for ruling in rulings if ruling.decision is Decision.UNDECIDED]
    undecided = f" ({len(open_)} of them undecided)" if open_ else ""
    return Sentence(
        f"On {level}, the MI term adds {listed(parts)} to the time of an iteration{undecided}.",
        tuple(ruling.claim for ruling in rulings),
    )


def _percent(ruling: Ruling) -> str:
    """A ratio as the percent that it adds, `23% [18, 28]`."""
    added = [None if one is None else decimal(100 * (one - 1), ".0f") for one in ruling.quantity.numbers]
    mean, low, high = added
    if mean is None:
        return "an unknown share"
    return f"{mean}%" + ("" if low is None or high is None else f" [{low}, {high}]")


def _worth(ledger: Ledger, rulings: Mapping[str, Ruling]) -> Sentence | None:
    """Whether base and term beat the base that has as many seconds, at the protocol's iterations."""
    if not rulings:
        return None
    arms = ledger.results.arms
    parts = [f"{arms[arms[key].control].name} {ruling.points} ({ruling.word})" for key, ruling in rulings.items()]
    return Sentence(
        f"With as much time for iterations as its base, the accuracy with the term differs by: {'; '.join(parts)}.",
        tuple(ruling.claim for ruling in rulings.values()),
    )
