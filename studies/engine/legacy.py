"""Study folders of before: settings and axes from when arms and levels were no data, failure modes by earlier names.

The only place where a role or a space is taken apart and a mode gets another name: nothing writes these forms now.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from mim4dd.methods import METHODS
from mim4dd.registry import Flat, flatten, parse, resolve
from studies.engine.arms import CEILING, FLOOR, TERM, Arm, Setting, base_arm, changed, default_arm, spec
from studies.engine.conditions import TRAINING_DATA
from studies.engine.space import Axis

# Modes that bore another name; and one that is two now: its finding's side, and its threshold of that side.
RENAMED = {"memorised_noise": "label_lost"}
DIVIDED = {"term_dominates": {"term_dominant": ("dominant", 10.0), "term_idle": ("idle", 0.1)}}


def mode_names(modes: Iterable[str]) -> list[str]:
    """Failure modes of groups by today's names."""
    return [RENAMED.get(mode, mode) for mode in modes]


def findings_of(result: Mapping[str, Any]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The modes that a trial failed by, and each detector's finding, by today's names.

    Raises: KeyError for a mode that failed without a finding which says at which side.
    """
    failures = {mode: dict(finding) for mode, finding in (result.get("failures") or {}).items()}
    failed = mode_names(result.get("failed_by") or ())
    for mode, parts in DIVIDED.items():
        if mode in failed:
            side, at = failures[mode]["side"], failed.index(mode)
            failed[at : at + 1] = [name for name, (of, _) in parts.items() if side == of]
        if (finding := failures.pop(mode, None)) is not None:
            for name, (side, threshold) in parts.items():
                state = finding["state"] if finding["side"] == side else "healthy"
                failures[name] = {**finding, "state": state, "threshold": threshold, "side": ""}
    return failed, {RENAMED.get(mode, mode): finding for mode, finding in failures.items()}


def setting_of(held: Mapping[str, Any], study: Mapping[str, Any]) -> Setting:
    """A setting from its role and knobs.

    Raises: KeyError, ValueError or TypeError where it has another shape.
    """
    labels = {one["text"]: one["label"] for one in study.get("conditions") or []}
    levels = {TRAINING_DATA: labels[held.get("condition", "")]} if len(labels) > 1 else {}
    arm = _arm(held, study)
    return Setting(int(held["setting"]), arm, levels, tuple(held["trials"]), held.get("dummy"))


def _arm(held: Mapping[str, Any], study: Mapping[str, Any]) -> Arm:
    role, given = str(held["role"]), dict(held.get("knobs") or {})
    default = default_arm(study["configuration"], study.get("fixed", ()))
    if role in (FLOOR, CEILING) and not given:
        return Arm(role, role, role=role)
    if role == "base":
        return base_arm(default.base)
    if role == "default":
        return default
    if role in ("variant", "design", "search", "stopped"):
        return changed(default, role, given)
    if "method" in given:
        method = str(given.pop("method"))
        return Arm(spec(method, given), method, given, role="extra")
    return _compared(role)


def _compared(role: str) -> Arm:
    """An arm of a comparison from what it was called: `dc`, `dm + mim (iterations=25, weight=1)`."""
    called, _, told = role.removesuffix(")").partition(" (")
    base, _, term = called.partition(" + ")
    method = TERM if term else base
    known = flatten(METHODS.build(method, {"base": base} if term else {}), "method")
    knobs: Flat = {"method.base": base} if term else {}
    for pair in filter(None, told.split(", ")):
        key, _, text = pair.partition("=")
        name = resolve(key, known)
        knobs[name] = parse(name, known[name], text)
    return Arm(spec(method, knobs), method, knobs, role="method")


def axis_of(text: str) -> Axis:
    """An axis from the text of its record.

    Raises: ValueError or SyntaxError.
    """
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call):
        raise ValueError(f"{text!r} is no axis")
    return Axis(**{word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg})
