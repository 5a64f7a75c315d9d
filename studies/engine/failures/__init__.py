"""Failure modes: named detectors that read one trial's record, or a group of trials paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studies.engine.failures import of_a_group as of_a_group
from studies.engine.failures import of_a_trial as of_a_trial
from studies.engine.failures.catalogue import (
    FAILED,
    FAILURES,
    HEALTHY,
    UNDECIDED,
    Finding,
    Group,
    describe,
    named,
)

__all__ = ["FAILED", "FAILURES", "HEALTHY", "UNDECIDED", "Finding", "Group", "describe", "detect", "named"]


def detect(
    result: Mapping[str, Any], history: Sequence[Mapping[str, float]], *, placebo: bool = False
) -> dict[str, Any]:
    """Run all detectors of trials; returns `failed_by`, the modes that failed, and `failures`, each mode's finding.

    placebo: the trial is a control of the MI term, so no failure mode of the term can occur in it.
    """
    findings: dict[str, Finding] = {}
    scopes = ("trial",) if placebo else ("trial", "term")
    for name in FAILURES.names():
        detector = FAILURES.build(name)
        finding = detector(result, history) if detector.scope in scopes else None
        if finding is not None:
            findings[name] = finding
    return {
        "failed_by": [name for name, finding in findings.items() if finding.state == FAILED],
        "failures": {name: finding.json() for name, finding in findings.items()},
    }
