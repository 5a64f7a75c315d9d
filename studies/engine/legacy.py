"""Study folders that were written before arms and levels were data: their settings, axes and conditions.

The only place where a role or a space is taken apart: nothing writes these forms any more.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from mim4dd.methods import METHODS
from mim4dd.registry import Flat, flatten, parse, resolve
from studies.engine.arms import CEILING, FLOOR, TERM, Arm, Setting, base_arm, changed, default_arm, spec
from studies.engine.conditions import TRAINING_DATA
from studies.engine.space import Axis


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
