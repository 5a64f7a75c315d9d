"""After how many sets what MTT prepares has paid for itself in time."""

from __future__ import annotations

import numpy as np

from studies.answers.cost.stages import iterations_of, stages
from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.wording import listed
from studies.answers.results import Cell, Contrast, slug
from studies.engine.answer import Claim, Quantity, Sentence
from studies.engine.arms import CEILING, FLOOR
from studies.engine.statistics import Interval, mean_interval
from studies.engine.statistics.contrasts import Decision

# The method that prepares experts.
EXPERTS = "mtt"


def experts_sentence(ledger: Ledger, level: str) -> Sentence | None:
    """After how many sets MTT's experts have paid, where an iteration of MTT is shown to take less time."""
    results = ledger.results
    mtt = next((key for key, arm in results.arms.items() if arm.method == EXPERTS and not arm.has_term), None)
    if mtt is None or not results.setting(Cell(mtt, (level,))):
        return None
    pays, never, open_, claims = list[str](), list[str](), list[str](), list[Claim]()
    for base, ruling in _rulings(ledger, mtt, level).items():
        name = results.arms[base].name
        claims.append(ruling.claim)
        if ruling.decision is Decision.GAIN:
            sets = _sets(ledger, mtt, base, level)
            what = f"sets after which MTT's experts have paid against {name}, {level}"
            numbers = (sets.mean, sets.low, sets.high, sets.n)
            claims.append(ledger.estimate(slug("experts", level, base), what, *numbers, "times"))
            pays.append(" ".join(filter(None, ["after", *Quantity.of(sets, "times").written, "sets against", name])))
        elif ruling.decision is Decision.LOSS:
            never.append(f"{name} ({ruling.points})")
        else:
            open_.append(f"{name} ({ruling.points}, {ruling.word})")
    told = [f"have paid for themselves in time {listed(pays)}"] if pays else []
    told += [f"never pay against {listed(never)}, which distil in less time (theirs over MTT's)"] if never else []
    told += [f"may or may not pay against {listed(open_)}"] if open_ else []
    return Sentence(f"On {level}, MTT's experts {'; they '.join(told)}.", tuple(claims)) if told else None


def _rulings(ledger: Ledger, mtt: str, level: str) -> dict[str, Ruling]:
    """By base, the time of distilling over MTT's; methods that select have none."""
    results, contrasts = ledger.results, dict[str, Contrast]()
    own = stages(results, mtt, level).distilling
    for base, arm in results.arms.items():
        cell = Cell(base, (level,))
        other = not arm.has_term and arm.method not in (FLOOR, CEILING, EXPERTS) and arm.base == base
        if other and results.setting(cell) and iterations_of(results, cell):
            theirs = stages(results, base, level).distilling
            ratios = np.log(np.where(theirs > 0, theirs, np.nan)) - np.log(np.where(own > 0, own, np.nan))
            what = f"time of distilling by {arm.name} over MTT, {level}"
            terms = ((1.0, cell), (-1.0, Cell(mtt, (level,))))
            id = slug("distilling-over-mtt", base, level)
            contrasts[base] = results.contrast(id, what, *terms, metric="iteration", values=ratios)
    return dict(zip(contrasts, ledger.family(f"distilling over MTT, {level}", contrasts.values()), strict=True))


def _sets(ledger: Ledger, mtt: str, base: str, level: str) -> Interval:
    """The logarithm of how many sets MTT must distil in less time than a base, until its experts have paid."""
    own = stages(ledger.results, mtt, level)
    saved = stages(ledger.results, base, level).distilling - own.distilling
    return mean_interval(np.log(own.preparing / np.where(saved > 0, saved, np.nan)))
