"""Where a suite breaks: every failure mode under every condition, where it begins, and a trial that shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from studies.answers.stress.findings import Findings
from studies.engine.failures import FAILED, FAILURES, UNDECIDED, Pairs, named


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
        return named(self.mode, self.side)


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
        base=sets[found.base_of(arm)] if found.arms[arm].has_term else None,
        rejected=_measured(found, condition, arm, "rejected_share") if noisy else None,
        rejected_clean=_measured(found, _control(found, condition), arm, "rejected_share") if noisy else None,
        flipped_agreement=_measured(found, condition, arm, "flipped_agreement") if noisy else None,
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


def _measured(found: Findings, condition: int, arm: int, key: str) -> np.ndarray:
    results = [found.result(condition, arm, k).get("measures", {}) for k in range(found.seeds)]
    return np.array([measures.get(key, np.nan) for measures in results], dtype=float)


def _control(found: Findings, condition: int) -> int:
    """The same data without their label noise where they were run, else the clean data."""
    one = found.conditions[condition]
    kept = [part for part, stage in zip(one.label.split(" + "), one.stages, strict=True) if stage != "label noise"]
    labels = {other.label: i for i, other in enumerate(found.conditions)}
    return labels.get(" + ".join(kept), 0) if kept else 0


@dataclass(frozen=True)
class Onset:
    """Where a mode fails for an arm on one curve, or under one condition that lies on none.

    begins: the mildest condition from which on it always fails (0: the clean data), or None; only: the conditions where
    it fails although it does not under a more severe one.
    """

    mode: str
    arm: int
    kind: str
    begins: int | None
    only: tuple[int, ...]
    evidence: str

    def where(self, found: Findings) -> str:
        """The place in words."""
        if self.kind == "all":
            return "everywhere, on clean data too"
        told = [f"at {' and '.join(found.conditions[i].label for i in self.only)} only"] if self.only else []
        if self.begins is not None:
            label = found.conditions[self.begins].label
            told.append(f"under {label}" if self.kind == label else f"from {label}")
        return " and ".join(told)


def onsets(found: Findings, seen: list[Occurrence]) -> list[Onset]:
    """Where every mode that fails somewhere begins, by arm; one that fails everywhere stands once, of kind `all`."""
    on_curves = {i for curve in found.curves for i in curve.conditions}
    kinds = [(curve.family, curve.conditions[1:]) for curve in found.curves]
    kinds += [(one.label, (i,)) for i, one in enumerate(found.conditions) if i not in on_curves | {0}]
    begun = []
    for name, arm in sorted({(one.name, one.arm) for one in seen if one.failed}):
        failing = {one.condition: one for one in seen if one.name == name and one.arm == arm and one.failed}
        if len(failing) == len(found.conditions):
            begun.append(Onset(name, arm, "all", 0, (), failing[0].evidence))
            continue
        if 0 in failing:
            begun.append(Onset(name, arm, "clean", None, (0,), failing[0].evidence))
        for kind, conditions in kinds:
            here = [i for i in conditions if i in failing]
            if not here:
                continue
            start = len(conditions)
            while start and conditions[start - 1] in failing:
                start -= 1
            begins = conditions[start] if start < len(conditions) else None
            only = tuple(i for i in here if conditions.index(i) < start)
            begun.append(Onset(name, arm, kind, begins, only, failing[here[-1]].evidence))
    return begun


def group_failures(found: Findings, seen: list[Occurrence]) -> dict[str, list[str]]:
    """The modes of groups by trial, for those who look at single trials."""
    failed: dict[str, list[str]] = {}
    for one in seen:
        if one.group and one.failed:
            for trial in found.settings[one.condition][one.arm].trials:
                failed.setdefault(trial, []).append(one.mode)
    return failed
