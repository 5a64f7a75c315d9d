"""A response in short: an arm at the references, what the other levels change, and its gains there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studies.answers.parts.overview import METRIC_NAMES
from studies.answers.parts.plain import compared, shares, standing, too_few
from studies.answers.parts.response import Levels, Response
from studies.answers.parts.wording import at, listed
from studies.answers.results import Cell
from studies.engine.answer import Sentence, percent, points
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import images, plural

# What a level does to an accuracy, by decision.
EFFECTS = {
    Decision.LOSS: ("lowers it", "lower it"),
    Decision.GAIN: ("raises it", "raise it"),
    Decision.NEGLIGIBLE: ("changes it by no more than half a point", "change it by no more than half a point"),
    Decision.UNDECIDED: ("has an undecided effect", "have an undecided effect"),
}


def response_plain(
    response: Response,
    level: str = "other level",
    of: str = "",
    others: Sequence[str] = (),
    twins: Mapping[str, str] | None = None,
) -> list[Sentence | None]:
    """The last arm with a control at the references, what other levels cost it, and its gains over other arms there.

    level, of: what the levels are, such as `perturbation` and ` of the training data`; others: the keys of arms that it
    is compared with besides its control, in a family that is judged already. twins: bases with steps as long as those
    of an arm, by the arm's key, which it is compared with at all levels, in families that are judged already.
    """
    arms = [arm for arm in response.main if arm in response.terms]
    if not arms:
        return []
    # The last variant is the term at equal strength, unless the command line sets other variants.
    arm = arms[-1]
    twin = [key for term, key in (twins or {}).items() if term == arm]
    return [
        _at_reference(response, arm, twin),
        _effects(response, arm, level, of),
        _gains(response, arm, [*twin, *others]),
    ]


def _at_reference(response: Response, arm: str, twin: Sequence[str]) -> Sentence:
    results, reference = response.results, response.results.reference
    rulings = {results.arms[arm].control: response.gain(arm, reference)}
    rulings |= {other: response.ledger[results.against(arm, other, reference, response.metric)] for other in twin}
    mean, claim = response.ledger.claimed_mean(results.cell(arm), response.metric)
    accuracy = f"reaches {percent(mean)} {METRIC_NAMES[response.metric]}"
    return Sentence(
        f"On {results.folder.study['dataset']} ({response.at_reference}), with "
        f"{images(results.folder.configuration['ipc'])} and {plural(mean.n, 'synthetic set')}, {response.name(arm)} "
        f"{listed([accuracy, *(compared(ruling, response.name(other)) for other, ruling in rulings.items())])}.",
        (claim, *(ruling.claim for ruling in rulings.values())),
    )


def _other_levels(response: Response, arm: str) -> list[Levels]:
    """The levels besides the references at which an arm runs."""
    results = response.results
    return [one for one in results.levels if one != results.reference and results.setting(Cell(arm, one))]


def _effects(response: Response, arm: str, level: str, of: str) -> Sentence | None:
    """How many levels cost accuracy, and the largest of the decided losses."""
    rulings = {levels: response.cost(arm, levels) for levels in _other_levels(response, arm)}
    if not rulings:
        return None
    claims = tuple(ruling.claim for ruling in rulings.values())
    if why := too_few(list(rulings.values())):
        return Sentence(why, claims)
    effects = shares(list(rulings.values()), EFFECTS)
    if lost := [levels for levels, ruling in rulings.items() if ruling.decision is Decision.LOSS]:
        worst = min(lost, key=lambda levels: rulings[levels].interval.mean or 0.0)
        most = "the most at " if len(lost) > 1 else "at "
        effects[0] += f" ({most}{' · '.join(worst)}, by {points(rulings[worst].interval, cost=True)})"
    text = f"Of {plural(len(rulings), level)}{of}, compared with its accuracy {at(response.at_reference)}, "
    return Sentence(f"{text}{listed(effects)}.", claims)


def _gains(response: Response, arm: str, others: Sequence[str]) -> Sentence | None:
    """How often the arm is better than its control and than others at the other levels."""
    results, levels = response.results, _other_levels(response, arm)
    control = results.arms[arm].control
    rulings = {control: [response.gain(arm, one) for one in levels]}
    if not levels or too_few(rulings[control]):
        return None
    for other in others:
        rulings[other] = [response.ledger[results.against(arm, other, one, response.metric)] for one in levels]
    text = "; ".join(standing(judged, response.name(other)) for other, judged in rulings.items())
    claims = tuple(ruling.claim for judged in rulings.values() for ruling in judged)
    return Sentence(f"On the same data, {text}.", claims)
