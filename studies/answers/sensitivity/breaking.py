"""The failure modes over the settings of a sensitivity study, and the knob value at which each begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mim4dd.seeding import generator
from studies.answers.parts.failures import Occurrence, occurrences
from studies.answers.sensitivity.analysis import Analysis
from studies.engine.answer import Claim, Sentence, Table
from studies.engine.failures import Group, describe
from studies.engine.rows import Array
from studies.engine.wording import plural

# A knob is named only if it separates failing from healthy settings better than 95% of random labellings do.
PERMUTATIONS = 500


@dataclass(frozen=True)
class Break:
    """A mode (`name`: with its side) over the tried settings. failing, undecided: indices of settings.

    begins: the knob that separates failing from healthy settings best, in words; evidence: of the first occurrence.
    """

    name: str
    mode: str
    group: bool
    failing: tuple[int, ...]
    undecided: tuple[int, ...]
    trials: int
    begins: str
    evidence: str


def breaks(analysis: Analysis) -> list[Break]:
    """The modes that fail in a trial of some setting, then the group modes that fail or are undecided."""
    groups = {}
    for i, (cell, gain) in enumerate(zip(analysis.cells, analysis.gains, strict=True)):
        over_random = analysis.over_random[i].judged if analysis.over_random else None
        groups[cell] = Group(
            analysis.validation[i], over_random=over_random, gain=gain.judged if analysis.of_term else None
        )
    by_name: dict[tuple[bool, str], list[Occurrence]] = {}
    for occurrence in occurrences(analysis.ledger, groups):
        if occurrence.cell in groups and (occurrence.count or occurrence.undecided):
            by_name.setdefault((occurrence.group, occurrence.name), []).append(occurrence)
    modes = []
    for (group, name), seen in sorted(by_name.items()):
        failing = tuple(analysis.cells.index(occurrence.cell) for occurrence in seen if occurrence.failed)
        undecided = tuple(analysis.cells.index(occurrence.cell) for occurrence in seen if occurrence.undecided)
        trials, begins = sum(occurrence.count for occurrence in seen), "" if group else _begins(analysis, failing)
        modes.append(Break(name, seen[0].mode, group, failing, undecided, trials, begins, seen[0].evidence))
    return modes


def _begins(analysis: Analysis, failing: tuple[int, ...]) -> str:
    """The knob that separates failing from healthy settings best, with its mildest failing value, in words."""
    healthy = [i for i in range(len(analysis.tried)) if i not in failing]
    if not failing:
        return "in a minority of seeds only"
    if not healthy:
        return "in every setting"
    failed = np.isin(np.arange(len(analysis.tried)), failing)
    shares = _separations(analysis.units, failed)
    k = int(np.argmax(np.abs(shares - 0.5)))
    rng = generator("failure begins", len(failed), int(failed.sum()))
    chance = [np.abs(_separations(analysis.units, rng.permutation(failed)) - 0.5).max() for _ in range(PERMUTATIONS)]
    if np.abs(shares[k] - 0.5) <= np.quantile(chance, 0.95):
        return f"no single knob separates the {plural(len(failing), 'failing setting')} from the healthy ones"
    axis, high = analysis.space[k], shares[k] > 0.5
    bad, good = ([analysis.place(i, axis) for i in group] for group in (failing, healthy))
    first, last = (min(bad), max(good)) if high else (max(bad), min(good))
    onward, bound = ("upwards", "up") if high else ("downwards", "down")
    share = max(shares[k], 1 - shares[k])
    return f"from {axis.symbol} = {first} {onward}; healthy {bound} to {last}, separation {share:.2f}"


def _separations(units: Array, failed: npt.NDArray[np.bool_]) -> Array:
    """The probability that a failing setting lies above a healthy one on each knob, ties count half, [d]."""
    shares = np.full(units.shape[1], 0.5)
    for k in range(units.shape[1]):
        bad, good = (column[np.isfinite(column)] for column in (units[failed, k], units[~failed, k]))
        if len(bad) and len(good):
            shares[k] = (np.sign(bad[:, None] - good[None]).mean() + 1) / 2
    return shares


def table(analysis: Analysis, broken: list[Break]) -> Table:
    """The table of the failure modes of single trials."""
    rows = [
        {
            "mode": failure.name,
            "settings": f"{len(failure.failing)} of {len(analysis.tried)}",
            "trials": failure.trials,
            "the default too": "yes" if 0 in failure.failing else "",
            "begins at": failure.begins,
            "for example": failure.evidence,
            "what it is": describe(failure.mode),
        }
        for failure in broken
        if not failure.group
    ]
    return Table.of(
        "failures",
        "Failure modes over the settings",
        rows,
        "A setting fails where most of its seeds do. `begins at`: the knob that best separates failing from healthy "
        "settings, with its mildest failing value; separation is the probability that a failing setting lies beyond a "
        "healthy one on this knob.",
    )


def sentence(analysis: Analysis, broken: list[Break], where: str = "") -> Sentence:
    """The sentence about all modes. where: its beginning, such as `On clean data, `."""
    clauses: list[str] = []
    claims: list[Claim] = []
    for failure in broken:
        settings = f"{failure.name} in {len(failure.failing)} of {plural(len(analysis.tried), 'setting')}"
        if failure.group:
            clauses.append(f"{settings} (undecided in {len(failure.undecided)})")
        elif failure.failing:
            clauses.append(f"{settings} ({failure.begins})")
        rulings = {"no_gain": analysis.gains, "below_random": analysis.over_random}.get(failure.mode)
        claims += [rulings[i].claim for i in failure.failing] if rulings else []
    modes = (
        f"failure modes occur as follows: {'; '.join(clauses)}"
        if clauses
        else "no failure mode occurs in most seeds of any setting"
    )
    text = f"{where}{modes}."
    return Sentence(text[0].upper() + text[1:], tuple(claims))


def failed_trials(analysis: Analysis, broken: list[Break]) -> dict[str, list[str]]:
    """The group modes that fail, by trial."""
    failed: dict[str, list[str]] = {}
    for failure in broken:
        for i in failure.failing if failure.group else ():
            for trial in analysis.results.trials(analysis.cells[i]):
                failed.setdefault(trial, []).append(failure.mode)
    return failed
