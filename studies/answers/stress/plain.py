"""A stress suite's answer in short."""

from __future__ import annotations

from studies.answers.parts.plain import compared, shares, standing, too_few
from studies.answers.parts.response import Response
from studies.answers.parts.wording import listed
from studies.answers.results import Cell
from studies.engine.answer import Sentence, percent, points
from studies.engine.arms import FLOOR
from studies.engine.statistics.contrasts import FEWEST_PAIRS, Decision
from studies.engine.wording import images, plural

# What a perturbation does to an accuracy, by decision.
EFFECTS = {
    Decision.LOSS: ("lowers it", "lower it"),
    Decision.GAIN: ("raises it", "raise it"),
    Decision.NEGLIGIBLE: ("changes it by no more than half a point", "change it by no more than half a point"),
    Decision.UNDECIDED: ("has an undecided effect", "have an undecided effect"),
}


def plain(response: Response) -> list[Sentence | None]:
    """The method's accuracy on clean data, the cost of perturbed data, and gains over its base and random images."""
    arms = [arm for arm in response.main if arm in response.terms]
    if not arms:
        return []
    # The last variant is the term at equal strength, unless the command line sets other variants.
    arm = arms[-1]
    return [_clean(response, arm), _costs(response, arm), _advantages(response, arm)]


def _clean(response: Response, arm: str) -> Sentence:
    results, gain = response.results, response.gain(arm, response.results.reference)
    mean, claim = response.ledger.claimed_mean(results.cell(arm), response.metric)
    return Sentence(
        f"On {response.at_reference} {results.folder.study['dataset']}, with "
        f"{images(results.folder.configuration['ipc'])} and {plural(mean.n, 'synthetic set')}, {response.name(arm)} "
        f"reaches {percent(mean)} balanced test accuracy and "
        f"{compared(gain, response.name(results.arms[arm].control))}.",
        (claim, gain.claim),
    )


def _costs(response: Response, arm: str) -> Sentence | None:
    """How many conditions cost accuracy, and the largest of the decided losses."""
    results = response.results
    perturbed = [levels for levels in results.levels if levels != results.reference]
    rulings = {levels: response.cost(arm, levels) for levels in perturbed if results.setting(Cell(arm, levels))}
    if not rulings:
        return None
    if too_few(list(rulings.values())):
        sets = plural(len(results.seeds), "set")
        text = f"With {sets} per method nothing can be decided; a decision takes at least {FEWEST_PAIRS}."
        return Sentence(text, tuple(ruling.claim for ruling in rulings.values()))
    effects = shares(list(rulings.values()), EFFECTS)
    if lost := [levels for levels, ruling in rulings.items() if ruling.decision is Decision.LOSS]:
        worst = min(lost, key=lambda levels: rulings[levels].interval.mean or 0.0)
        most = "the most at " if len(lost) > 1 else "at "
        effects[0] += f" ({most}{' · '.join(worst)}, by {points(rulings[worst].interval, cost=True)})"
    text = f"Of {plural(len(rulings), 'perturbation')} of the training data, compared with its accuracy on "
    return Sentence(
        f"{text}{response.at_reference} data, {listed(effects)}.", tuple(ruling.claim for ruling in rulings.values())
    )


def _advantages(response: Response, arm: str) -> Sentence | None:
    """How often the method is better than its base, and than random real images, on the same perturbed data."""
    results, ledger = response.results, response.ledger
    perturbed = [levels for levels in results.levels if levels != results.reference]
    perturbed = [levels for levels in perturbed if results.setting(Cell(arm, levels))]
    gains = [response.gain(arm, levels) for levels in perturbed]
    if not gains or too_few(gains):
        return None
    over_random = [ledger[results.against(arm, FLOOR, levels, response.metric)] for levels in perturbed]
    base, floor = response.name(results.arms[arm].control), results.arms[FLOOR].name
    text = f"On the same perturbed data, {standing(gains, base)}; {standing(over_random, floor)}."
    return Sentence(text, tuple(ruling.claim for ruling in (*gains, *over_random)))
