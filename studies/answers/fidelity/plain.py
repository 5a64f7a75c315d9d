"""The fidelity answer in short."""

from __future__ import annotations

from collections.abc import Mapping

from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.plain import compared, named, too_few
from studies.engine.answer import Sentence
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

REACHED = {
    Decision.NEGLIGIBLE: "equal to it within the margin",
    Decision.GAIN: "above it",
    Decision.LOSS: "below it",
    Decision.UNDECIDED: "not shown to differ from it",
}


def plain(ledger: Ledger, gaps: Mapping[str, Ruling], gains: Mapping[str, Ruling]) -> list[Sentence | None]:
    """How many methods reach their published accuracy, and what the term does to each base.

    gaps: ours less published, gains: with the term less its base; both by arm.
    """
    return [*_reached(ledger, gaps), *_gained(ledger, gains)]


def _reached(ledger: Ledger, gaps: Mapping[str, Ruling]) -> list[Sentence | None]:
    if not gaps:
        methods = plural(len(ledger.results.arms), "method")
        return [Sentence(f"No published accuracy is known for the {methods} run on {_dataset(ledger)}.")]
    sizes = [f"{ledger.results.arms[arm].name} {gap.points}" for arm, gap in gaps.items()]
    groups = named(list(gaps.values()), sizes, REACHED)
    start = f"Of {plural(len(gaps), 'method')} with a published accuracy on {_dataset(ledger)}"
    sentences: list[Sentence | None] = [
        Sentence(f"{start}, {'; '.join(groups)}.", tuple(gap.claim for gap in gaps.values()))
    ]
    if why := too_few(list(gaps.values())):
        sentences.append(Sentence(why))
    return sentences


def _gained(ledger: Ledger, gains: Mapping[str, Ruling]) -> list[Sentence | None]:
    """What the term does to each base, where a gain has the pairs that a decision needs."""
    arms, enough = ledger.results.arms, {arm: gain for arm, gain in gains.items() if not too_few([gain])}
    if not enough:
        return []
    told = [f"{arms[arm].name} {compared(gain, arms[arms[arm].control].name)}" for arm, gain in enough.items()]
    return [Sentence(f"{'; '.join(told)}.", tuple(gain.claim for gain in enough.values()))]


def _dataset(ledger: Ledger) -> str:
    return str(ledger.results.folder.study["dataset"])
