"""The answer of a comparison of baselines in short."""

from __future__ import annotations

from collections.abc import Sequence

from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.plain import compared, too_few
from studies.answers.parts.wording import listed
from studies.engine.answer import Sentence, images, percent, plural
from studies.engine.arms import FLOOR
from studies.engine.statistics.contrasts import FEWEST_PAIRS, Decision

TERM = {
    Decision.GAIN: "improves",
    Decision.LOSS: "worsens",
    Decision.NEGLIGIBLE: "changes by no more than half a point",
    Decision.UNDECIDED: "is not shown to change",
}
FLOORS = {
    Decision.GAIN: "better than random real images",
    Decision.LOSS: "worse than random real images",
    Decision.NEGLIGIBLE: "within half a point of random real images",
    Decision.UNDECIDED: "not shown to differ from random real images",
}


def plain(ledger: Ledger, best: str | None, gains: Sequence[Ruling], over: Sequence[Ruling]) -> list[Sentence | None]:
    """The method that validation chooses, what the term does to each base, and who beats random images.

    best: the key of that method; gains: of the term on each base; over: each method less random real images.
    """
    if too_few([*gains, *over]):
        sets = plural(len(ledger.results.seeds), "set")
        text = f"With {sets} per method no comparison can be decided; that takes at least {FEWEST_PAIRS}."
        return [_chosen(ledger, best), Sentence(text, tuple(one.claim for one in (*gains, *over)))]
    return [_chosen(ledger, best), _terms(ledger, gains), _floors(ledger, over)]


def _chosen(ledger: Ledger, best: str | None) -> Sentence | None:
    if best is None:
        return None
    results, (mean, claim) = ledger.results, ledger.claimed_mean(ledger.results.cell(best))
    text = (
        f"On {results.folder.study['dataset']}, with {images(results.folder.configuration['ipc'])} and one recipe for "
        f"all, {results.arms[best].name} has the highest validation accuracy; it reaches {percent(mean)} test accuracy"
    )
    if FLOOR not in results.arms or best == FLOOR:
        return Sentence(f"{text}.", (claim,))
    over = ledger[results.against(best, FLOOR)]
    return Sentence(f"{text} and {compared(over, results.arms[FLOOR].name)}.", (claim, over.claim))


def _terms(ledger: Ledger, gains: Sequence[Ruling]) -> Sentence | None:
    bases = [ledger.results.arms[one.contrast.terms[1][1].arm].name for one in gains]
    sizes = [f"{base} ({one.points})" for base, one in zip(bases, gains, strict=True)]
    told = [
        f"{word} {listed([size for size, one in zip(sizes, gains, strict=True) if one.decision is decision])}"
        for decision, word in TERM.items()
        if any(one.decision is decision for one in gains)
    ]
    return Sentence(f"Adding the MI term {'; '.join(told)}.", tuple(one.claim for one in gains)) if gains else None


def _floors(ledger: Ledger, over: Sequence[Ruling]) -> Sentence | None:
    names = [ledger.results.arms[one.contrast.terms[0][1].arm].name for one in over]
    told = []
    for decision, word in FLOORS.items():
        decided = [name for name, one in zip(names, over, strict=True) if one.decision is decision]
        if decided:
            told.append(f"{len(decided)} {'is' if len(decided) == 1 else 'are'} {word} ({', '.join(decided)})")
    text = f"Of {plural(len(over), 'method')}, {'; '.join(told)}."
    return Sentence(text, tuple(one.claim for one in over)) if over else None
