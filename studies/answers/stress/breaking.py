"""Where a suite breaks: every failure mode under every condition, where it begins, and a trial that shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from studies.answers.stress.findings import Findings
from studies.engine.failures import FAILED, FAILURES, UNDECIDED, Pairs


@dataclass(frozen=True)
class Occurrence:
    """One mode for one arm under one condition.

    count of `of` trials failed (a group counts as one); undecided: the group is too small to say; example: the trial
    that shows it most clearly, with what its detector said.
    """

    mode: str
    side: str
    group: bool
    condition: int
    arm: int
    count: int
    of: int
    undecided: bool
    evidence: str
    example: str

    @property
    def failed(self) -> bool:
        """Most trials failed, or the group did."""
        return 2 * self.count > self.of

    @property
    def name(self) -> str:
        return f"{self.mode} ({self.side})" if self.side else self.mode


def occurrences(found: Findings) -> list[Occurrence]:
    """Every mode that could occur, under every condition and arm."""
    seen: list[Occurrence] = []
    for i in range(len(found.conditions)):
        for j in range(len(found.arms)):
            seen += _of_trials(found, i, j)
            seen += _of_group(found, i, j)
    return seen


def _of_trials(found: Findings, condition: int, arm: int) -> Iterable[Occurrence]:
    setting = found.settings[condition][arm]
    results = [found.result(condition, arm, k) for k in range(len(setting.trials))]
    modes = sorted({mode for result in results for mode in result.get("failures", {})})
    for mode in modes:
        held = [(k, result["failures"][mode]) for k, result in enumerate(results) if mode in result.get("failures", {})]
        failed = [(k, finding) for k, finding in held if finding["state"] == FAILED]
        for side in sorted({finding["side"] for _, finding in failed}) or [""]:
            here = [(k, finding) for k, finding in failed if finding["side"] == side]
            k, finding = max(here or held, key=lambda pair: abs((pair[1]["value"] or 0) - pair[1]["threshold"]))
            yield Occurrence(
                mode, side, False, condition, arm, len(here), len(held), False, finding["evidence"], setting.trials[k]
            )


def _of_group(found: Findings, condition: int, arm: int) -> Iterable[Occurrence]:
    role, sets = found.arms[arm].role, found.sets[condition]
    if role == "full":
        return
    noisy = found.conditions[condition].noisy
    pairs = Pairs(
        accuracy=found.accuracy[condition, arm],
        random=sets[found.random] if role != "random" else None,
        base=sets[found.base] if found.arms[arm].has_term else None,
        rejected=_rejected(found, condition, arm) if noisy else None,
        rejected_clean=_rejected(found, 0, arm) if noisy else None,
    )
    trials = found.settings[condition][arm].trials
    for mode in FAILURES.names():
        detector = FAILURES.build(mode)
        finding = detector(pairs) if detector.scope == "group" else None
        if finding is not None:
            failed = finding.state == FAILED
            yield Occurrence(
                mode,
                finding.side,
                True,
                condition,
                arm,
                int(failed),
                1,
                finding.state == UNDECIDED,
                finding.evidence,
                trials[0],
            )


def _rejected(found: Findings, condition: int, arm: int) -> np.ndarray:
    results = [found.result(condition, arm, k).get("measures", {}) for k in range(found.seeds)]
    return np.array([measures.get("rejected_share", np.nan) for measures in results], dtype=float)


@dataclass(frozen=True)
class Onset:
    """Where a mode begins for an arm on one curve: the mildest condition from which on it fails."""

    mode: str
    arm: int
    family: str
    begins: int | None
    evidence: str


def onsets(found: Findings, seen: list[Occurrence], stage: str) -> list[Onset]:
    """The beginning of every mode that fails somewhere, by arm and curve; condition 0 is the clean data."""
    begun = []
    names = sorted({(one.name, one.arm) for one in seen if one.failed})
    for name, arm in names:
        for family, conditions in found.families(stage).items():
            failing = {one.condition: one for one in seen if one.name == name and one.arm == arm and one.failed}
            here = [condition for condition in conditions if condition in failing]
            if here:
                begun.append(Onset(name, arm, family, here[0], failing[here[0]].evidence))
    return begun


def group_failures(found: Findings, seen: list[Occurrence]) -> dict[str, list[str]]:
    """The modes of groups by trial, for those who look at single trials."""
    failed: dict[str, list[str]] = {}
    for one in seen:
        if one.group and one.failed:
            for trial in found.settings[one.condition][one.arm].trials:
                failed.setdefault(trial, []).append(one.mode)
    return failed
