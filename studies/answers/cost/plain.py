"""The answer in short: what the term adds to an iteration, and whether its accuracy is worth the seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.wording import listed
from studies.engine.answer import Quantity, Sentence
from studies.engine.statistics.contrasts import Decision


def plain(ledger: Ledger, overheads: Sequence[Ruling], equal_cost: Mapping[str, Ruling]) -> list[Sentence | None]:
    """One sentence on the overhead on the study's own data, one on accuracy at equal cost."""
    results = ledger.results
    own = [ruling for ruling in overheads if ruling.contrast.terms[0][1].levels == results.reference]
    return [_overhead(ledger, own), _worth(ledger, equal_cost)]


def _overhead(ledger: Ledger, rulings: Sequence[Ruling]) -> Sentence | None:
    if not rulings:
        return None
    results = ledger.results
    parts = [
        f"{_percent(ruling)} on {results.arms[results.arms[ruling.contrast.terms[0][1].arm].control].name}"
        for ruling in rulings
    ]
    open_ = [ruling for ruling in rulings if ruling.decision is Decision.UNDECIDED]
    undecided = f" ({len(open_)} of them undecided)" if open_ else ""
    return Sentence(
        f"On {results.folder.study['dataset']}, the MI term adds {listed(parts)} to the time of an "
        f"iteration{undecided}.",
        tuple(ruling.claim for ruling in rulings),
    )


def _percent(ruling: Ruling) -> str:
    """A ratio as the percent that it adds, `23% [18, 28]`."""
    low, mean, high = (
        None if number is None else 100 * (number - 1)
        for number in Quantity.of(ruling.interval, "times").numbers[1:2]
        + Quantity.of(ruling.interval, "times").numbers[:1]
        + Quantity.of(ruling.interval, "times").numbers[2:]
    )
    if mean is None:
        return "an unknown share"
    bounds = "" if low is None or high is None else f" [{low:.0f}, {high:.0f}]"
    return f"{mean:.0f}%{bounds}"


def _worth(ledger: Ledger, rulings: Mapping[str, Ruling]) -> Sentence | None:
    """Whether base and term beat the base that has as many seconds, at the protocol's iterations."""
    if not rulings:
        return None
    arms = ledger.results.arms
    parts = [f"{arms[arms[key].control].name} {ruling.points} ({ruling.word})" for key, ruling in rulings.items()]
    return Sentence(
        f"With as many seconds as its base, the accuracy with the term differs by: {'; '.join(parts)}.",
        tuple(ruling.claim for ruling in rulings.values()),
    )
