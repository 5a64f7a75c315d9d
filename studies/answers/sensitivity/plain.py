"""The summary of the sensitivity answer."""

from __future__ import annotations

from collections.abc import Sequence

from studies.answers.parts.plain import compared, shares, too_few
from studies.answers.parts.wording import listed
from studies.answers.sensitivity.analysis import METRIC, Analysis, having
from studies.engine.answer import Claim, Sentence, percent
from studies.engine.conditions import CLEAN
from studies.engine.statistics import Estimate
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import decimal, images, plural


def plain(analyses: Sequence[Analysis]) -> list[Sentence | None]:
    """The default's accuracy and gain, the effect of the knobs, and the gains of the other settings.

    analyses: one for each kind of training data, clean data first; the sentences are about the last one.
    """
    last = analyses[-1]
    return [_default(last), _movement(last), _settings(last)]


def _default(analysis: Analysis) -> Sentence:
    mean, claim = analysis.ledger.claimed_mean(analysis.cells[0], METRIC)
    gain, study = analysis.gains[0], analysis.folder.study
    data = " under ".join([str(study["dataset"]), *(level for level in analysis.levels if level != CLEAN.label)])
    return Sentence(
        f"On {data}, with {images(analysis.folder.configuration['ipc'])} and {plural(mean.n, 'synthetic set')}, "
        f"{analysis.tried[0].name} reaches {percent(mean)} validation accuracy and "
        f"{compared(gain, analysis.base.name)}.",
        (claim, gain.claim),
    )


def _movement(analysis: Analysis) -> Sentence | None:
    """The effect of the setting on accuracy, compared with that of the seed."""
    if having(analysis.results, "search") or (spreads := analysis.spreads) is None:
        return None
    knobs = listed([axis.short.replace("_", " ") for axis in analysis.space])
    (settings, first), (sets, second) = spreads
    return Sentence(
        f"Over {plural(analysis.variance.n_settings, 'setting')} of {knobs}, the choice of setting moves accuracy by "
        f"{_deviation(settings)} (standard deviation), and another random seed by {_deviation(sets)}.",
        (first, second),
    )


def _deviation(estimate: Estimate) -> str:
    """A standard deviation in points with its interval."""
    ends = (
        ""
        if estimate.low is None or estimate.high is None
        else f" [{100 * estimate.low:.2f}, {100 * estimate.high:.2f}]"
    )
    return f"{decimal(100 * estimate.value, '.2f')} points{ends}"


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
