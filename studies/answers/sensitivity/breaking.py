"""Where a sensitivity study breaks: each failure mode over the settings, and the knob value at which it begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mim4dd.seeding import generator
from studies.answers.sensitivity.findings import Findings
from studies.engine.answer import Cell, Table
from studies.engine.evidence import Array, Evidence
from studies.engine.failures import FAILED, FAILURES, UNDECIDED, Pairs, describe, mode_of, named
from studies.engine.space import Axis
from studies.engine.statistics import set_means

# A knob is named only if it separates failing from healthy settings better than 95% of random labellings do.
PERMUTATIONS = 500
# The settings in a state, by group mode and state.
States = dict[str, dict[str, list[int]]]


@dataclass(frozen=True)
class Break:
    """A mode over the tried settings. begins: the knob that separates failing from healthy ones best, in words."""

    mode: str
    failing: tuple[int, ...]
    settings: int
    trials: int
    begins: str
    evidence: str


def breaks(found: Findings, evidence: Evidence) -> list[Break]:
    """Every mode of single trials that fails in most seeds of some setting."""
    counted: dict[str, dict[int, int]] = {}
    told: dict[str, str] = {}
    trials: dict[str, int] = {}
    for i, setting in enumerate(found.tried):
        for trial in setting.trials:
            for mode, finding in evidence.rows.get(trial, {}).get("result", {}).get("failures", {}).items():
                if finding["state"] != FAILED:
                    continue
                name = named(mode, finding["side"])
                counted.setdefault(name, {}).setdefault(i, 0)
                counted[name][i] += 1
                trials[name] = trials.get(name, 0) + 1
                told.setdefault(name, finding["evidence"])
    made = []
    for name, by_setting in sorted(counted.items()):
        failing = tuple(i for i, n in by_setting.items() if 2 * n > len(found.tried[i].trials))
        begins = _begins(found, failing, evidence.space)
        made.append(Break(name, failing, len(found.tried), trials[name], begins, told[name]))
    return made


def _begins(found: Findings, failing: tuple[int, ...], space: tuple[Axis, ...]) -> str:
    """The knob whose values separate failing from healthy settings best, and the first value that fails."""
    healthy = [i for i in range(len(found.tried)) if i not in failing]
    if not failing:
        return "in a minority of seeds only"
    if not healthy:
        return "everywhere"
    failed = np.isin(np.arange(len(found.tried)), failing)
    shares = _separations(found.units, failed)
    k = int(np.argmax(np.abs(shares - 0.5)))
    rng = generator("failure begins", len(failed), int(failed.sum()))
    chance = [np.abs(_separations(found.units, rng.permutation(failed)) - 0.5).max() for _ in range(PERMUTATIONS)]
    if np.abs(shares[k] - 0.5) <= np.quantile(chance, 0.95):
        return f"no knob tells ({len(failing)} failing settings)"
    axis, high = space[k], shares[k] > 0.5
    bad, good = ([found.tried[i].knobs[axis.key] for i in group] for group in (failing, healthy))
    first, last = (min(bad), max(good)) if high else (max(bad), min(good))
    side = "from" if high else "down from"
    share = max(shares[k], 1 - shares[k])
    return f"{axis.symbol} {side} {first} (healthy {'up' if high else 'down'} to {last}; separation {share:.2f})"


def _separations(units: Array, failed: npt.NDArray[np.bool_]) -> Array:
    """The chance that a failing setting lies above a healthy one on each knob, ties half, [d]; .5 says nothing."""
    shares = np.full(units.shape[1], 0.5)
    for k in range(units.shape[1]):
        bad, good = (column[np.isfinite(column)] for column in (units[failed, k], units[~failed, k]))
        if len(bad) and len(good):
            shares[k] = (np.sign(bad[:, None] - good[None]).mean() + 1) / 2
    return shares


def group_states(found: Findings, evidence: Evidence) -> States:
    """Group modes over the tried settings, on validation: the settings that failed, and those undecided, by mode."""
    random = evidence.accuracy(evidence.having("random"))
    random_sets = set_means(random)[0] if len(random) else None
    states: States = {}
    for i in range(len(found.tried)):
        pairs = Pairs(found.accuracy[i], random=random_sets, base=found.base_sets)
        for mode in FAILURES.names():
            detector = FAILURES.build(mode)
            finding = detector(pairs) if detector.scope == "group" else None
            if finding is not None and finding.state in (FAILED, UNDECIDED):
                states.setdefault(mode, {}).setdefault(finding.state, []).append(i)
    return states


def table(broken: list[Break]) -> Table | None:
    """The failure modes of the design."""
    rows: list[tuple[Cell, ...]] = [
        (
            one.mode,
            f"{len(one.failing)} of {one.settings}",
            one.trials,
            "yes" if 0 in one.failing else "",
            one.begins,
            one.evidence,
            describe(mode_of(one.mode)),
        )
        for one in broken
    ]
    if not rows:
        return None
    return Table(
        "failures",
        "Failure modes over the settings",
        ("mode", "settings", "trials", "the default too", "begins at", "for example", "what it is"),
        tuple(rows),
        "A setting fails where most of its seeds do. Begins: the knob that separates failing from healthy settings "
        "best (separation: the chance that a failing one lies beyond a healthy one), with the mildest failing value.",
    )


def sentence(found: Findings, broken: list[Break], states: States) -> str:
    """The modes in words."""
    told = [
        f"{one.mode} in {len(one.failing)} of {one.settings} settings ({one.begins})" for one in broken if one.failing
    ]
    for mode, by_state in states.items():
        failed, open_ = (len(by_state.get(state, [])) for state in (FAILED, UNDECIDED))
        if failed or open_:
            told.append(f"{mode} in {failed} of {len(found.tried)} settings, undecided in {open_}")
    return f"Failure modes: {'; '.join(told)}." if told else "No failure mode was seen in most seeds of any setting."


def group_failures(found: Findings, states: States) -> dict[str, list[str]]:
    """The group modes that failed, by trial."""
    failed: dict[str, list[str]] = {}
    for mode, by_state in states.items():
        for i in by_state.get(FAILED, []):
            for trial in found.tried[i].trials:
                failed.setdefault(trial, []).append(mode)
    return failed
