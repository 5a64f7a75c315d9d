"""The summary of an ablation: the gain, whether it is the term's own, and what each component carries."""

from __future__ import annotations

from collections.abc import Sequence

from mim4dd.registry import Scalar
from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.components import by_size
from studies.answers.parts.factorial import Effects, Factorial
from studies.answers.parts.placebos import Tried
from studies.answers.parts.plain import compared, too_few
from studies.answers.parts.wording import listed
from studies.engine.answer import Sentence
from studies.engine.arms import placebo_knobs
from studies.engine.names import label_of
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import images, plural

# What takes the term's place in each placebo, as the object of a comparison.
WORDS: dict[tuple[str, Scalar], str] = {
    ("method.direction", "base"): "{base} alone with steps as long",
    ("method.direction", "random"): "a random direction of its length",
    ("method.pairs", "shuffled"): "itself with shuffled labels",
    ("method.critic", "nce_positives"): "its positives alone",
    ("method.critic", "nce_negatives"): "its negatives alone",
}


def plain(
    ledger: Ledger, gain: Ruling, tried: Sequence[Tried], design: Factorial | None, found: Effects | None
) -> list[Sentence | None]:
    """Three sentences; without a factorial or without placebos, fewer."""
    rulings = [gain, *(one.of_term for one in tried), *(found.carried if found else ())]
    if why := too_few(rulings):
        return [Sentence(why, tuple(ruling.claim for ruling in rulings))]
    return [_gain(ledger, gain, tried), _placebos(ledger, tried), _components(design, found)]


def _gain(ledger: Ledger, gain: Ruling, tried: Sequence[Tried]) -> Sentence:
    """The term over its base, and over its base with steps as long, which decides."""
    results = ledger.results
    arm = results.arms[gain.contrast.terms[0][1].arm]
    base = results.arms[arm.control].name
    text = (
        f"On {results.folder.study['dataset']}, with {images(results.folder.configuration['ipc'])} and "
        f"{plural(gain.interval.n, 'synthetic set')}, {arm.name} {compared(gain, base)}"
    )
    claims = [gain.claim]
    for one in tried[:1]:
        text += f"; it {compared(one.of_term, _words(ledger, one.arm))}"
        claims.append(one.of_term.claim)
    return Sentence(f"{text}.", tuple(claims))


def _words(ledger: Ledger, placebo: str) -> str:
    """What takes the term's place in a placebo."""
    arm = ledger.results.arms[placebo]
    (pair, *_) = placebo_knobs(arm.knobs).items()
    return WORDS[pair].format(base=label_of(arm.base))


def _placebos(ledger: Ledger, tried: Sequence[Tried]) -> Sentence | None:
    """The term against the placebos besides the longer step."""
    if len(tried) < 2:
        return None
    told = [compared(one.of_term, _words(ledger, one.arm)) for one in tried[1:]]
    text = f"Against other placebos, all as strong, the term {'; it '.join(told)}"
    return Sentence(f"{text}.", tuple(one.of_term.claim for one in tried[1:]))


def _components(design: Factorial | None, found: Effects | None) -> Sentence | None:
    """What each component carries of the difference of all and none, the undecided only counted."""
    if design is None or found is None or all(ruling.interval.mean is None for ruling in found.carried):
        return None
    order = by_size(found.carried)
    decided = [k for k in order if found.carried[k].decision is not Decision.UNDECIDED]
    told = [f"{design.names[k]} {found.carried[k].points}" for k in decided]
    undecided = [design.names[k] for k in order if k not in decided]
    told += [f"undecided: {listed(undecided)}"] if undecided else []
    whole = (
        f"Of the {found.total.points} of all over none, the" if found.total else "By main effects of a fraction, the"
    )
    text = f"{whole} components carry: {'; '.join(told)}"
    return Sentence(f"{text}.", tuple(found.carried[k].claim for k in order))
