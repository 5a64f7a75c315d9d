"""The summary of the sensitivity answer."""

from __future__ import annotations

from collections.abc import Sequence

from studies.answers.parts.plain import compared, too_few
from studies.answers.parts.step_control import Controlled
from studies.answers.sensitivity.analysis import Analysis
from studies.answers.sensitivity.asked import seeds_in_words, strength_of_default, values_of
from studies.engine.answer import Sentence, percent
from studies.engine.conditions import CLEAN
from studies.engine.wording import images, plural


def plain(analyses: Sequence[Analysis], step: Sequence[Controlled]) -> list[Sentence | None]:
    """The main questions: the default, the strength with its control, and the best setting.

    analyses: one for each kind of training data, clean data first; the sentences are about the last one. step: the term
    against a longer step of its base.
    """
    last = analyses[-1]
    why = too_few(last.gains)
    few = Sentence(why, tuple(gain.claim for gain in last.gains[1:])) if why else None
    return [_default(last), _strength(last, step), few or _best(last)]


def _default(analysis: Analysis) -> Sentence:
    mean, claim = analysis.ledger.claimed_mean(analysis.cells[0])
    gain, study = analysis.gains[0], analysis.folder.study
    data = " under ".join([str(study["dataset"]), *(level for level in analysis.levels if level != CLEAN.label)])
    text = (
        f"On {data}, with {images(analysis.folder.configuration['ipc'])} and {plural(mean.n, 'synthetic set')}, "
        f"{analysis.tried[0].name} reaches {percent(mean)} test accuracy and {compared(gain, analysis.base.name)}"
    )
    claims = [claim, gain.claim]
    if (strength := strength_of_default(analysis)) is not None:
        text += f"; its term's gradient is {strength[0]} of {analysis.base.name}'s"
        claims.append(strength[1])
    return Sentence(f"{text}.", tuple(claims))


def _strength(analysis: Analysis, step: Sequence[Controlled]) -> Sentence | None:
    """The term at equal strength against the default, and against a longer step of its base."""
    ruling, base = analysis.questions.strength, analysis.base.name
    if ruling is None:
        return None
    text = f"As strong as {base} (ρ = 1), all else equal, the term {compared(ruling, analysis.tried[0].name)}"
    claims = [ruling.claim]
    for case in step:
        if case.levels == analysis.levels and case.arm == analysis.tried[1].key:
            text += f"; it {compared(case.of_term, f'{base} alone with steps as long')}"
            claims.append(case.of_term.claim)
    return Sentence(f"{text}.", tuple(claims))


def _best(analysis: Analysis) -> Sentence | None:
    questions = analysis.questions
    if questions.best is None or questions.chosen is None:
        return None
    text = (
        f"The best of {plural(len(analysis.tried), 'setting')}, chosen on {seeds_in_words(questions.choosing)} "
        f"({values_of(analysis, [questions.chosen])}), {compared(questions.best, analysis.base.name)} on "
        f"{seeds_in_words(questions.judging)}"
    )
    return Sentence(f"{text}.", (questions.best.claim,))
