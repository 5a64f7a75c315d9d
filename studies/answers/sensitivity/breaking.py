"""Where a sensitivity study breaks: each failure mode over the settings, and the knob value at which it begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studies.answers.sensitivity.findings import Findings
from studies.engine.answer import Cell, Table
from studies.engine.evidence import Evidence
from studies.engine.failures import FAILED, describe
from studies.engine.space import Axis

# Below this separation of failing and healthy settings no knob is named.
TELLING = 0.8


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
                name = f"{mode} ({finding['side']})" if finding["side"] else mode
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
    best, axis, high = 0.0, None, True
    for k, one in enumerate(space):
        bad, good = found.units[list(failing), k], found.units[healthy, k]
        bad, good = bad[np.isfinite(bad)], good[np.isfinite(good)]
        if not len(bad) or not len(good):
            continue
        pairs = np.sign(bad[:, None] - good[None])
        share = float((pairs.mean() + 1) / 2)
        if max(share, 1 - share) > best:
            best, axis, high = max(share, 1 - share), one, share > 0.5
    if axis is None or best < TELLING:
        return "no single knob tells"
    bad_values = [found.tried[i].knobs[axis.key] for i in failing]
    good_values = [found.tried[i].knobs[axis.key] for i in healthy]
    first, last = (min(bad_values), max(good_values)) if high else (max(bad_values), min(good_values))
    side = "from" if high else "down from"
    return f"{axis.symbol} {side} {first} (healthy {'up' if high else 'down'} to {last}; separation {best:.2f})"


def table(found: Findings, evidence: Evidence) -> Table | None:
    """The failure modes of the design."""
    rows: list[tuple[Cell, ...]] = [
        (
            one.mode,
            f"{len(one.failing)} of {one.settings}",
            one.trials,
            "yes" if 0 in one.failing else "",
            one.begins,
            one.evidence,
            describe(one.mode.partition(" (")[0]),
        )
        for one in breaks(found, evidence)
    ]
    if not rows:
        return None
    return Table(
        "failures",
        "Failure modes over the settings",
        ("mode", "settings", "trials", "the default too", "begins at", "for example", "what it is"),
        tuple(rows),
        "A setting fails where most of its seeds do. Begins: the knob that separates failing from healthy "
        "settings best "
        "(separation: the chance that a failing one lies beyond a healthy one), with the mildest failing value.",
    )


def sentence(found: Findings, evidence: Evidence) -> str:
    """The modes in words."""
    told = [
        f"{one.mode} in {len(one.failing)} of {one.settings} settings ({one.begins})"
        for one in breaks(found, evidence)
        if one.failing
    ]
    return f"Failure modes: {'; '.join(told)}." if told else "No failure mode was seen in most seeds of any setting."
