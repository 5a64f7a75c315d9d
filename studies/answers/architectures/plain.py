"""The answer of the study of networks in short."""

from __future__ import annotations

from collections.abc import Mapping

from studies.answers.ledger import Ruling
from studies.answers.parts.plain import named, shares, too_few
from studies.answers.parts.transfer import Transfers
from studies.engine.answer import Sentence
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

LOST = {
    Decision.LOSS: "decided to lose more",
    Decision.GAIN: "decided to lose less",
    Decision.NEGLIGIBLE: "no more than half a point apart",
    Decision.UNDECIDED: "undecided",
}
GAINS = {
    Decision.GAIN: ("is a gain", "are gains"),
    Decision.LOSS: ("is a loss", "are losses"),
    Decision.NEGLIGIBLE: ("is below half a point", "are below half a point"),
    Decision.UNDECIDED: ("is undecided", "are undecided"),
}


def plain(
    transfers: Transfers, gains: Mapping[tuple[str, str], Ruling], over: Mapping[tuple[str, str], Ruling]
) -> list[Sentence | None]:
    """Whether sets lose more on other networks than random images do, and what is left of the term's gain there.

    gains, over: by arm and network, of the term over its base, and of an arm over random real images.
    """
    lost = {arm: case.less_random for arm, case in transfers.means.items() if case.less_random is not None}
    if why := too_few([*lost.values(), *gains.values()]):
        return [Sentence(why, tuple(ruling.claim for ruling in (*lost.values(), *gains.values())))]
    return [_lost(transfers, lost), _gained(transfers, gains), _over(transfers, over)]


def _lost(transfers: Transfers, lost: Mapping[str, Ruling]) -> Sentence | None:
    if not lost:
        return None
    names = [transfers.results.arms[arm].name for arm in lost]
    study = transfers.results.folder.study
    return Sentence(
        f"On {study['dataset']}, from the network that a set was distilled on to the mean of "
        f"{plural(len(transfers.networks) - 1, 'other')}, compared with what random real images lose there: "
        f"{'; '.join(named(list(lost.values()), names, LOST))}.",
        tuple(ruling.claim for ruling in lost.values()),
    )


def _gained(transfers: Transfers, gains: Mapping[tuple[str, str], Ruling]) -> Sentence | None:
    elsewhere = _elsewhere(transfers, gains)
    at_home = [ruling for (arm, network), ruling in gains.items() if network == transfers.own[arm]]
    if not elsewhere:
        return None
    return Sentence(
        f"Of {plural(len(at_home), 'gain')} of the MI term on the network it was distilled on, "
        f"{', '.join(shares(at_home, GAINS))}; of {len(elsewhere)} on other networks, "
        f"{', '.join(shares(elsewhere, GAINS))}.",
        tuple(ruling.claim for ruling in gains.values()),
    )


def _over(transfers: Transfers, over: Mapping[tuple[str, str], Ruling]) -> Sentence | None:
    elsewhere = _elsewhere(transfers, over)
    if not elsewhere:
        return None
    better = sum(ruling.decision is Decision.GAIN for ruling in elsewhere)
    worse = sum(ruling.decision is Decision.LOSS for ruling in elsewhere)
    return Sentence(
        f"On networks that they were not distilled on, sets are better than random real images in {better} of "
        f"{plural(len(elsewhere), 'case')}, and worse in {worse}.",
        tuple(ruling.claim for ruling in over.values()),
    )


def _elsewhere(transfers: Transfers, rulings: Mapping[tuple[str, str], Ruling]) -> list[Ruling]:
    """Those on networks that the set was not distilled on. rulings: by arm and network."""
    return [ruling for (arm, network), ruling in rulings.items() if network != transfers.own[arm]]
