"""Where a sensitivity study breaks: each failure mode over the settings, and the knob value at which it begins."""

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
    """A mode (`name`: with its side) over the tried settings: those where it fails, and where the rule decides nothing.

    begins: the knob that separates failing from healthy settings best, in words; evidence: of the first that fails.
    """

    name: str
    mode: str
    group: bool
    failing: tuple[int, ...]
    undecided: tuple[int, ...]
    trials: int
    begins: str
    evidence: str


def breaks(found: Analysis) -> list[Break]:
    """Every mode that fails in a trial of some setting, then those of groups that fail or are undecided."""
    groups = {}
    for i, (cell, gain) in enumerate(zip(found.cells, found.gains, strict=True)):
        over_random = found.over_random[i].judged if found.over_random else None
        groups[cell] = Group(found.accuracy[i], over_random=over_random, gain=gain.judged)
    by_name: dict[tuple[bool, str], list[Occurrence]] = {}
    for one in occurrences(found.ledger, groups):
        if one.cell in groups and (one.count or one.undecided):
            by_name.setdefault((one.group, one.name), []).append(one)
    made = []
    for (group, name), seen in sorted(by_name.items()):
        failing = tuple(found.cells.index(one.cell) for one in seen if one.failed)
        undecided = tuple(found.cells.index(one.cell) for one in seen if one.undecided)
        trials, begins = sum(one.count for one in seen), "" if group else _begins(found, failing)
        made.append(Break(name, seen[0].mode, group, failing, undecided, trials, begins, seen[0].evidence))
    return made


def _begins(found: Analysis, failing: tuple[int, ...]) -> str:
    """The knob whose values separate failing from healthy settings best, and the first value that fails."""
    healthy = [i for i in range(len(found.tried)) if i not in failing]
    if not failing:
        return "in a minority of seeds only"
    if not healthy:
        return "in every setting"
    failed = np.isin(np.arange(len(found.tried)), failing)
    shares = _separations(found.units, failed)
    k = int(np.argmax(np.abs(shares - 0.5)))
    rng = generator("failure begins", len(failed), int(failed.sum()))
    chance = [np.abs(_separations(found.units, rng.permutation(failed)) - 0.5).max() for _ in range(PERMUTATIONS)]
    if np.abs(shares[k] - 0.5) <= np.quantile(chance, 0.95):
        return f"no single knob separates the {plural(len(failing), 'failing setting')} from the healthy ones"
    axis, high = found.space[k], shares[k] > 0.5
    bad, good = ([found.value(i, axis) for i in group] for group in (failing, healthy))
    first, last = (min(bad), max(good)) if high else (max(bad), min(good))
    onward, bound = ("upwards", "up") if high else ("downwards", "down")
    share = max(shares[k], 1 - shares[k])
    return f"from {axis.symbol} = {first} {onward}; healthy {bound} to {last}, separation {share:.2f}"


def _separations(units: Array, failed: npt.NDArray[np.bool_]) -> Array:
    """The chance that a failing setting lies above a healthy one on each knob, ties half, [d]; .5 says nothing."""
    shares = np.full(units.shape[1], 0.5)
    for k in range(units.shape[1]):
        bad, good = (column[np.isfinite(column)] for column in (units[failed, k], units[~failed, k]))
        if len(bad) and len(good):
            shares[k] = (np.sign(bad[:, None] - good[None]).mean() + 1) / 2
    return shares


def table(found: Analysis, broken: list[Break]) -> Table:
    """The failure modes of single trials."""
    rows = [
        {
            "mode": one.name,
            "settings": f"{len(one.failing)} of {len(found.tried)}",
            "trials": one.trials,
            "the default too": "yes" if 0 in one.failing else "",
            "begins at": one.begins,
            "for example": one.evidence,
            "what it is": describe(one.mode),
        }
        for one in broken
        if not one.group
    ]
    return Table.of(
        "failures",
        "Failure modes over the settings",
        rows,
        "A setting fails where most of its seeds do. `begins at`: the knob that best separates failing from healthy "
        "settings, with its mildest failing value; separation is the probability that a failing setting lies beyond a "
        "healthy one on this knob.",
    )


def sentence(found: Analysis, broken: list[Break], where: str = "") -> Sentence:
    """The modes in words. where: a beginning such as `On clean data, `."""
    told: list[str] = []
    claims: list[Claim] = []
    for one in broken:
        settings = f"{one.name} in {len(one.failing)} of {plural(len(found.tried), 'setting')}"
        if one.group:
            told.append(f"{settings} (undecided in {len(one.undecided)})")
        elif one.failing:
            told.append(f"{settings} ({one.begins})")
        rulings = {"no_gain": found.gains, "below_random": found.over_random}.get(one.mode)
        claims += [rulings[i].claim for i in one.failing] if rulings else []
    modes = (
        f"failure modes occur as follows: {'; '.join(told)}"
        if told
        else "no failure mode occurs in most seeds of any setting"
    )
    text = f"{where}{modes}."
    return Sentence(text[0].upper() + text[1:], tuple(claims))


def failed_trials(found: Analysis, broken: list[Break]) -> dict[str, list[str]]:
    """The group modes that failed, by trial."""
    failed: dict[str, list[str]] = {}
    for one in broken:
        for i in one.failing if one.group else ():
            for trial in found.results.trials(found.cells[i]):
                failed.setdefault(trial, []).append(one.mode)
    return failed
