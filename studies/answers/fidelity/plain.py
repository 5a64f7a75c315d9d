"""The fidelity answer in short."""

from __future__ import annotations

from collections.abc import Mapping

from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.plain import named, too_few
from studies.engine.answer import Sentence
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

REACHED = {
    Decision.NEGLIGIBLE: "equal to it within the margin",
    Decision.GAIN: "above it",
    Decision.LOSS: "below it",
    Decision.UNDECIDED: "not shown to differ from it",
}


def plain(ledger: Ledger, gaps: Mapping[str, Ruling]) -> list[Sentence | None]:
    """How many methods reach their published accuracy. gaps: ours less published, by arm."""
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


def _dataset(ledger: Ledger) -> str:
    return str(ledger.results.folder.study["dataset"])
