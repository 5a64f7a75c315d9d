"""The summary of the sensitivity answer."""

from __future__ import annotations

from collections.abc import Sequence

from studies.answers.parts.plain import compared, shares, too_few
from studies.answers.parts.step_control import Controlled
from studies.answers.parts.wording import listed
from studies.answers.sensitivity.analysis import Analysis
from studies.answers.sensitivity.asked import in_short, strength_of_default
from studies.engine.answer import Claim, Sentence, percent
from studies.engine.conditions import CLEAN
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import images, plural


def plain(analyses: Sequence[Analysis], step: Sequence[Controlled]) -> list[Sentence | None]:
    """The default's accuracy and gain, the other declared contrasts, and the gains of the other settings.

    analyses: one for each kind of training data, clean data first; the sentences are about the last one. step: the term
    against a longer step of its base.
    """
    last = analyses[-1]
    return [_default(last), *in_short(last), *(_step(last, case) for case in step), _settings(last)]


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


def _step(analysis: Analysis, case: Controlled) -> Sentence | None:
    """The term against a longer step of its base, on the kind of training data of the analysis."""
    if case.levels != analysis.levels:
        return None
    arms, base = analysis.results.arms, analysis.base.name
    text = f"{arms[case.arm].name} {compared(case.of_term, f'{base} alone with steps as long')}"
    return Sentence(f"{text}.", (case.of_term.claim,))


def _settings(analysis: Analysis) -> Sentence | None:
    """The number of other settings by decision."""
    others = analysis.gains[1:]
    if not others:
        return None
    claims: tuple[Claim, ...] = tuple(gain.claim for gain in others)
    if why := too_few(analysis.gains):
        return Sentence(why, claims)
    base, little = analysis.base.name, "no more than half a point"
    phrases = {
        Decision.GAIN: (f"improves on {base}", f"improve on {base}"),
        Decision.LOSS: (f"falls below {base}", f"fall below {base}"),
        Decision.NEGLIGIBLE: (f"differs from {base} by {little}", f"differ from {base} by {little}"),
        Decision.UNDECIDED: (f"is not shown to differ from {base}", f"are not shown to differ from {base}"),
    }
    text = f"Of the {plural(len(others), 'other setting')} tried, {listed(shares(others, phrases))}."
    return Sentence(text, claims)
