"""The sentences on the declared contrasts of a sensitivity study, in detail and in short."""

from __future__ import annotations

from collections.abc import Sequence

from studies.answers.ledger import Ruling
from studies.answers.parts.wording import listed
from studies.answers.sensitivity.analysis import Analysis
from studies.answers.sensitivity.questions import Step
from studies.answers.sensitivity.strength import SYMBOL
from studies.engine.answer import Claim, Sentence
from studies.engine.statistics import mean_interval
from studies.engine.wording import decimal, plural


def asked(analysis: Analysis) -> list[Sentence | None]:
    """One sentence on each declared contrast."""
    questions = analysis.questions
    return [
        _default(analysis),
        _strength(analysis),
        *_best(analysis),
        *(_step(*asked) for asked in questions.knobs),
        _no_steps(analysis),
    ]


def strength_of_default(analysis: Analysis) -> tuple[str, Claim] | None:
    """The measured strength of the default, `0.021 [0.019, 0.023]`, with its claim; None where it is its weight."""
    axis = next((axis for axis in analysis.space if axis.symbol == SYMBOL), None)
    measured = mean_interval(analysis.results.sets(analysis.cells[0], "rho"))
    if axis is None or analysis.given(0, axis) or measured.mean is None:
        return None
    what = f"the term's pixel gradient over that of {analysis.base.name}, at the default"
    ends = (measured.mean, measured.low, measured.high)
    claim = analysis.ledger.estimate("/".join(["strength/default", *analysis.levels]), what, *ends, measured.n, "ratio")
    numbers = [decimal(end, ".2g") for end in ends if end is not None]
    interval = f" [{numbers[1]}, {numbers[2]}]" if len(numbers) == 3 else ""
    return f"{numbers[0]}{interval}", claim


def _default(analysis: Analysis) -> Sentence:
    ruling = analysis.questions.default
    won, pairs = sum(difference > 0 for difference in ruling.contrast.differences), plural(ruling.interval.n, "pair")
    text = f"The gain of {analysis.tried[0].name} over {analysis.base.name} is {ruling.points}"
    text += f", positive in {won} of {pairs}: {ruling.statement}"
    measured = strength_of_default(analysis)
    claims = [ruling.claim]
    if measured is not None:
        text += f"; its term's pixel gradient is {measured[0]} of {analysis.base.name}'s"
        claims.append(measured[1])
    return Sentence(f"{text}.", tuple(claims))


def _strength(analysis: Analysis) -> Sentence | None:
    ruling = analysis.questions.strength
    if ruling is None:
        return None
    text = (
        f"As strong as {analysis.base.name} (ρ = 1), all other knobs being the same, the term is {ruling.points} over "
        f"{analysis.tried[0].name}: {ruling.statement}."
    )
    return Sentence(text, (ruling.claim,))


def _step(step: Step, ruling: Ruling) -> Sentence:
    """`Strength: the settings with ρ 0.3 to 3 less those with ρ 0.03 to 0.3 (3 and 3) are +0.6 points ...: a gain.`"""
    of, to = step.members
    name = step.thirds.axis.short.replace("_", " ").capitalize()
    name += f", with {step.where}" if step.where else ""
    text = (
        f"{name}: the settings with {step.thirds.span(step.to)} less those with {step.thirds.span(step.of)} ({len(to)} "
        f"and {len(of)} settings) are {ruling.points}"
    )
    return Sentence(f"{text}: {ruling.statement}.", (ruling.claim,))


def _best(analysis: Analysis) -> list[Sentence]:
    questions = analysis.questions
    if questions.best is None or questions.chosen is None:
        return []
    ruling, tried = questions.best, plural(len(analysis.tried), "setting")
    text = (
        f"The best of {tried} on the validation accuracies of {seeds_in_words(questions.choosing)}, "
        f"{values_of(analysis, [questions.chosen])}, is {ruling.points} over {analysis.base.name} on "
        f"{seeds_in_words(questions.judging)}: {ruling.statement}."
    )
    sentences = [Sentence(text, (ruling.claim,))]
    if questions.regret is not None:
        regret = questions.regret
        text = f"Its gain over {analysis.tried[0].name} on those seeds, the regret of the default, is {regret.points}"
        sentences.append(Sentence(f"{text}: {regret.statement}.", (regret.claim,)))
    return sentences


def values_of(analysis: Analysis, settings: Sequence[int]) -> str:
    """The span of each knob over some settings, `ρ 1.2 to 13, τ 0.05 to 0.3`; the strength as it was measured."""
    spans = []
    for axis in analysis.space:
        values = sorted(analysis.place(i, axis) for i in settings)
        ends = dict.fromkeys(value if isinstance(value, str) else f"{value:.3g}" for value in (values[0], values[-1]))
        spans.append(f"{axis.symbol} {' to '.join(ends)}")
    return ", ".join(spans)


def seeds_in_words(seeds: tuple[int, ...]) -> str:
    """`seed 3`, `seeds 0 to 3`, `seeds 0, 2 and 5`."""
    if len(seeds) > 2 and seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seed{'s' if len(seeds) > 1 else ''} {listed(list(map(str, seeds)))}"


def _no_steps(analysis: Analysis) -> Sentence | None:
    if analysis.designed:
        return None
    return Sentence("What each knob does is not stated: it needs settings of a fixed design, not those of a search.")
