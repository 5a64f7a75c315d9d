"""The answer of a comparison of baselines in short."""

from __future__ import annotations

from collections.abc import Sequence

from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.plain import compared, named, too_few
from studies.answers.parts.step_control import Controlled
from studies.answers.parts.wording import listed
from studies.engine.answer import Sentence, percent
from studies.engine.arms import FLOOR
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import images, plural

TERM = {
    Decision.GAIN: "improves",
    Decision.LOSS: "worsens",
    Decision.NEGLIGIBLE: "changes by no more than half a point",
    Decision.UNDECIDED: "is not shown to change",
}
# Up to this many gains are all named; of more, only those that are decided.
NAMED = 5
FLOORS = {
    Decision.GAIN: "better than random real images",
    Decision.LOSS: "worse than random real images",
    Decision.NEGLIGIBLE: "within half a point of random real images",
    Decision.UNDECIDED: "not shown to differ from random real images",
}


def plain(
    ledger: Ledger,
    best: str | None,
    gains: Sequence[Ruling],
    over_random: Sequence[Ruling],
    step: Sequence[Controlled] = (),
) -> list[Sentence | None]:
    """The method that validation chooses, the term's effect on each base, and the methods that beat random images.

    best: the chosen method's key; gains: of the term on each base; over_random: each method less random real images;
    step: the term on each base less the base with steps as long.
    """
    if why := too_few([*gains, *over_random]):
        return [_chosen(ledger, best), Sentence(why, tuple(ruling.claim for ruling in (*gains, *over_random)))]
    return [_chosen(ledger, best), _terms(ledger, gains, step), _over_random(ledger, over_random)]


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
    over_random = ledger[results.against(best, FLOOR)]
    return Sentence(f"{text} and {compared(over_random, results.arms[FLOOR].name)}.", (claim, over_random.claim))


def _terms(ledger: Ledger, gains: Sequence[Ruling], step: Sequence[Controlled]) -> Sentence | None:
    """The effect of adding the term to each base, by decision, also where the base takes steps as long."""
    if not gains:
        return None
    text = f"Adding the MI term {_effects(ledger, gains)}."
    controlled = [case.of_term for case in step if case.control]
    if controlled:
        text += f" Compared with steps as long of the base alone, it {_effects(ledger, controlled)}."
    return Sentence(text, tuple(ruling.claim for ruling in (*gains, *controlled)))


def _effects(ledger: Ledger, gains: Sequence[Ruling]) -> str:
    """What the term does to its bases, by decision. gains: of arms with the term over their controls."""
    parts: list[str] = []
    arms = ledger.results.arms
    bases = [arms[arms[gain.contrast.terms[0][1].arm].control].name for gain in gains]
    distinct = len(set(bases)) == len(bases)
    for decision, word in TERM.items():
        decided = [(gain, base) for gain, base in zip(gains, bases, strict=True) if gain.decision is decision]
        names = [
            base if distinct else f"{base} as {arms[gain.contrast.terms[0][1].arm].name}" for gain, base in decided
        ]
        sizes = [f"{name} ({gain.points})" for name, (gain, _) in zip(names, decided, strict=True)]
        if decided and len(gains) > NAMED and decision in (Decision.NEGLIGIBLE, Decision.UNDECIDED):
            parts.append(f"{word} its base in {plural(len(decided), 'other case' if parts else 'case')}")
        elif decided:
            parts.append(f"{word} {listed(sizes)}")
    return "; it ".join(parts)


def _over_random(ledger: Ledger, rulings: Sequence[Ruling]) -> Sentence | None:
    """How many methods are better than random real images; rulings: each method less these."""
    if not rulings:
        return None
    names = [ledger.results.arms[ruling.contrast.terms[0][1].arm].name for ruling in rulings]
    claims = tuple(ruling.claim for ruling in rulings)
    if len(rulings) > 1 and all(ruling.decision is Decision.GAIN for ruling in rulings):
        return Sentence(f"All {plural(len(rulings), 'method')} are better than random real images.", claims)
    parts = named(rulings, names, FLOORS)
    return Sentence(f"Of {plural(len(rulings), 'method')}, {'; '.join(parts)}.", claims)
