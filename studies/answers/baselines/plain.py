"""The answer of a comparison of baselines in short."""

from __future__ import annotations

from collections.abc import Sequence

from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.plain import compared, too_few
from studies.answers.parts.wording import listed
from studies.engine.answer import Sentence, percent
from studies.engine.arms import FLOOR
from studies.engine.statistics.contrasts import FEWEST_PAIRS, Decision
from studies.engine.wording import images, plural

TERM = {
    Decision.GAIN: "improves",
    Decision.LOSS: "worsens",
    Decision.NEGLIGIBLE: "changes by no more than half a point",
    Decision.UNDECIDED: "is not shown to change",
}
# So many gains are named one by one; of more, those that are decided.
NAMED = 5
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
        text = f"With {sets} per method no comparison can be decided; a decision takes at least {FEWEST_PAIRS}."
        return [_chosen(ledger, best), Sentence(text, tuple(one.claim for one in (*gains, *over)))]
    return [_chosen(ledger, best), _terms(ledger, gains), _floors(ledger, over)]


def _chosen(ledger: Ledger, best: str | None) -> Sentence | None:
    if best is None:
        return None
    results, (mean, claim) = ledger.results, ledger.claimed_mean(ledger.results.cell(best))
    text = (
        f"On {results.folder.study['dataset']}, with {images(results.folder.configuration['ipc'])} and one recipe for "
        f"all, {results.arms[best].name} has the highest validation accuracy; it reaches {percent(mean)} test accuracy "
        f"(n = {plural(mean.n, 'set')})"
    )
    if FLOOR not in results.arms or best == FLOOR:
        return Sentence(f"{text}.", (claim,))
    over = ledger[results.against(best, FLOOR)]
    return Sentence(f"{text} and {compared(over, results.arms[FLOOR].name)}.", (claim, over.claim))


def _terms(ledger: Ledger, gains: Sequence[Ruling]) -> Sentence | None:
    """What adding the term does to each base, by decision."""
    if not gains:
        return None
    arms, parts = ledger.results.arms, []
    bases = [arms[one.contrast.terms[1][1].arm].name for one in gains]
    alone = len(set(bases)) == len(bases)
    for decision, word in TERM.items():
        decided = [(one, base) for one, base in zip(gains, bases, strict=True) if one.decision is decision]
        names = [base if alone else f"{base} as {arms[one.contrast.terms[0][1].arm].name}" for one, base in decided]
        sizes = [f"{name} ({one.points})" for name, (one, _) in zip(names, decided, strict=True)]
        if decided and len(gains) > NAMED and decision in (Decision.NEGLIGIBLE, Decision.UNDECIDED):
            parts.append(f"{word} its base in {plural(len(decided), 'other case')}")
        elif decided:
            parts.append(f"{word} {listed(sizes)}")
    return Sentence(f"Adding the MI term {'; it '.join(parts)}.", tuple(one.claim for one in gains))


def _floors(ledger: Ledger, over: Sequence[Ruling]) -> Sentence | None:
    """Who is better than random real images."""
    if not over:
        return None
    names = [ledger.results.arms[one.contrast.terms[0][1].arm].name for one in over]
    claims = tuple(one.claim for one in over)
    if all(one.decision is Decision.GAIN for one in over):
        return Sentence(f"All {plural(len(over), 'method')} are better than random real images.", claims)
    parts = []
    for decision, word in FLOORS.items():
        decided = [name for name, one in zip(names, over, strict=True) if one.decision is decision]
        if decided:
            parts.append(f"{len(decided)} {'is' if len(decided) == 1 else 'are'} {word} ({', '.join(decided)})")
    return Sentence(f"Of {plural(len(over), 'method')}, {'; '.join(parts)}.", claims)
