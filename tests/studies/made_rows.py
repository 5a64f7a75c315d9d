"""Rows and study folders that tests make up, as full as those of real trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.engine.arms import Factor, Setting
from studies.engine.folder import StudyFolder
from studies.engine.rows import Row

CLASSES = 10


def made_row(trial: str, config: Mapping[str, Any], networks: Sequence[float], **result: Any) -> Row:
    """A finished trial whose networks score the same on every split and in every class, also as shares of H(Y).

    result: replaces its parts.
    """
    recall = [[accuracy] * CLASSES for accuracy in networks]
    usable = [math.log(CLASSES) * accuracy for accuracy in networks]
    held = {"status": "ok", "reason": "", "diverged_at": -1, "selection": "clean", "synthetic_images": CLASSES}
    held |= {"validation_accuracy": list(networks), "validation_recall": recall, "rungs": []}
    held |= {
        "usable_information_nats": usable,
        "label_agreement_nats": 1.0,
        "critic_information_nats": None,
        "entropy_nats": math.log(CLASSES),
    }
    held |= {"train_counts": [9] * CLASSES, "clean_counts": [9] * CLASSES, "wrong_labels": 0.0, "perturbed": {}}
    held |= {"tail": {"policy": "repeat", "short_of_ipc": [], "short_of_batch": [], "absent": []}}
    held |= {"measures": {"rejected_share": 0.1}, "failed_by": [], "failures": {}}
    report = {"test_accuracy": list(networks), "test_recall": recall, "usable_information_nats": usable}
    measured = {"seconds": 2.0, "distil_seconds": 1.5, "evaluate_seconds": 0.5, "peak_bytes": 7_000_000}
    line = {"trial": trial, "config": dict(config), "result": held | result, "report_only": report}
    return Row.read({**line, "measured": measured})


def replaced(row: Row, report: Mapping[str, Any] | None = None, **result: Any) -> Row:
    """The same trial with parts of its result and of its report replaced."""
    held = row.record
    return Row.read(
        {**held, "result": {**held["result"], **result}, "report_only": {**held["report_only"], **(report or {})}}
    )


def costed(row: Row, operations: Mapping[str, float] | None = None, **cost: float) -> Row:
    """The same trial with costs that were measured (`cost`; `distil_seconds` and other times) and counted."""
    held, ordinary = row.record, ("distil_seconds", "prepared_seconds", "perturbed_seconds")
    measured = {**held["measured"], **{key: cost.pop(key) for key in ordinary if key in cost}, "cost": cost}
    return Row.read({**held, "measured": measured, "result": {**held["result"], "operations": dict(operations or {})}})


def lost(row: Row, status: str) -> Row:
    """The same trial without an accuracy, as `diverged` or `error`."""
    gone = {"status": status, "reason": "at 3", "diverged_at": 3, "validation_accuracy": None}
    without = {"noisy_validation_accuracy": None, "validation_recall": None, "failed_by": [], "failures": {}}
    return Row.read({**row.record, "result": {**row.record["result"], **gone, **without}, "report_only": {}})


def made_folder(
    path: Path, settings: Sequence[Setting], rows: dict[str, Row], seeds: Sequence[int], **study: Any
) -> StudyFolder:
    """A study folder that was never written; `study` is what study.json says besides."""
    held = {"study": "noisy_labels", "title": "What?", "question": "What is it?", "hash": "3f2a", "created": "2026"}
    held |= {"command": "python studies/noisy_labels.py", "dataset": "digits", "protocol": "quick", "rules": "1"}
    held |= {"seeds": list(seeds), "configuration": {"dataset": "digits", "ipc": 1}}
    return StudyFolder(path, held | study, settings, rows)


def factors_of(*factors: Factor) -> dict[str, Any]:
    """Factors as study.json holds them."""
    return {"factors": [factor.json() for factor in factors]}
