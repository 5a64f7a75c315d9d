"""Reads older study folders: settings and axes that were stored as text, failure modes and measures by former names.

Only this module parses roles and axes and renames modes and measures; nothing writes these formats any more.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from mim4dd.methods import METHODS
from mim4dd.registry import Flat, flatten, parse
from mim4dd.resolving import resolve
from studies.engine.arms import CEILING, FLOOR, TERM, Arm, Setting, base_arm, changed, default_arm, spec
from studies.engine.conditions import CLEAN, TRAINING_DATA
from studies.engine.reading import checked
from studies.engine.shapes import SettingRecord
from studies.engine.space import Axis

# Former names of modes; and a mode that is two now, each with the former finding's side and its own threshold.
RENAMED = {"memorised_noise": "label_lost"}
LABEL_AGREEMENT = ("label_agreement_nats", "decodable_information_nats")  # of one measure, today's name first
DIVIDED = {"term_dominates": {"term_dominant": ("dominant", 10.0), "term_idle": ("idle", 0.1)}}


def mode_names(modes: Iterable[str]) -> list[str]:
    """Failure modes of groups by their current names."""
    return [RENAMED.get(mode, mode) for mode in modes]


def findings_of(result: Mapping[str, Any]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The modes by which a trial failed, and each detector's finding, by the modes' current names.

    Raises: KeyError for a divided mode that failed without a finding with its side.
    """
    failures = {mode: dict(finding) for mode, finding in (result.get("failures") or {}).items()}
    failed = mode_names(result.get("failed_by") or ())
    for mode, parts in DIVIDED.items():
        if mode in failed:
            side, position = failures[mode]["side"], failed.index(mode)
            failed[position : position + 1] = [name for name, (part_side, _) in parts.items() if side == part_side]
        if (finding := failures.pop(mode, None)) is not None:
            for name, (side, threshold) in parts.items():
                state = finding["state"] if finding["side"] == side else "healthy"
                failures[name] = {**finding, "state": state, "threshold": threshold, "side": ""}
    return failed, {RENAMED.get(mode, mode): finding for mode, finding in failures.items()}


def measures_of(result: Mapping[str, Any], failures: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The measures of a row; an older one has the term's gradient ratio only as the value of its finding `term_idle`.

    failures: the row's findings by the modes' current names.
    """
    measures = {name: float(value) for name, value in (result.get("measures") or {}).items() if value is not None}
    ratio = failures.get("term_idle", {}).get("value")
    return measures if ratio is None else {"gradient_ratio": float(ratio)} | measures


def label_agreement_of(result: Mapping[str, Any]) -> float | None:
    """A trial's label agreement in nats, by its present or its former name; None where it has none."""
    return next((float(result[name]) for name in LABEL_AGREEMENT if result.get(name) is not None), None)


def setting_of(record: Mapping[str, Any], study: Mapping[str, Any]) -> Setting:
    """The setting of a record with a role and knobs instead of an arm.

    Raises: ValueError or KeyError for a record of another shape.
    """
    checked(record, SettingRecord)
    labels = {"": CLEAN.label} | {record["text"]: record["label"] for record in study.get("conditions") or []}
    label = labels[record.get("condition", "")]
    levels = {TRAINING_DATA: label} if len(labels) > 1 else {}
    arm = _arm(record, study)
    return Setting(int(record["setting"]), arm, levels, tuple(record["trials"]), record.get("dummy"))


def _arm(record: Mapping[str, Any], study: Mapping[str, Any]) -> Arm:
    role, knobs = str(record["role"]), dict(record.get("knobs") or {})
    default = default_arm(study["configuration"], study.get("fixed", ()))
    if role in (FLOOR, CEILING) and not knobs:
        return Arm(role, role, role=role)
    if role == "base":
        return base_arm(default.base)
    if role == "default":
        return default
    if role in ("variant", "design", "search", "stopped"):
        return changed(default, role, knobs)
    if "method" in knobs:
        method = str(knobs.pop("method"))
        return Arm(spec(method, knobs), method, knobs, role="extra")
    return _compared(role)


def _compared(role: str) -> Arm:
    """The arm of a comparison from its role: `dc`, `dm + mim (iterations=25, weight=1)`."""
    name, _, details = role.removesuffix(")").partition(" (")
    base, _, term = name.partition(" + ")
    method = TERM if term else base
    defaults = flatten(METHODS.build(method, {"base": base} if term else {}), "method")
    knobs: Flat = {"method.base": base} if term else {}
    for assignment in filter(None, details.split(", ")):
        key, _, text = assignment.partition("=")
        knob = resolve(key, defaults)
        knobs[knob] = parse(knob, defaults[knob], text)
    return Arm(spec(method, knobs), method, knobs, role="method")


def axis_of(text: str) -> Axis:
    """The axis whose `repr` is the text.

    Raises: ValueError or SyntaxError.
    """
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call):
        raise ValueError(f"{text!r} is no axis")
    return Axis(**{keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg})
