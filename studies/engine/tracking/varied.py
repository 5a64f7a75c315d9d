"""What a study varied, as parameters of its runs: the axes of the prepared charts and the first columns.

Numbers: each knob of the design, and each curve of a factor (`Symmetric noise`). Texts: the method and the level of
each factor. This module does not import MLflow.
"""

from __future__ import annotations

import math

from studies.engine.arms import Curve, Factor, Level, Setting
from studies.engine.folder import StudyFolder
from studies.engine.rows import Row
from studies.engine.tracking.mlflow_fields import allowed, axis

METHOD = "Method"


def numbers(folder: StudyFolder) -> list[str]:
    """The names of the numeric parameters: knobs, then curves."""
    return [*knob_axes(folder), *curve_axes(folder)]


def knob_axes(folder: StudyFolder) -> list[str]:
    """The names of the parameters that show the knobs of a design."""
    declared = folder.study.get("knobs") or {}
    return [axis(key, declared) for key in declared]


def curve_axes(folder: StudyFolder) -> list[str]:
    """The names of the parameters that show the curves of the factors."""
    return [curve_axis(curve) for factor in folder.factors for curve in factor.curves]


def texts(folder: StudyFolder) -> list[str]:
    """The names of the text parameters: the method, and each factor."""
    return [METHOD, *(_named(factor.name) for factor in folder.factors)]


def curve_axis(curve: Curve) -> str:
    """The name of the parameter with a trial's x on a curve; its capital sorts it before knobs that did not vary."""
    name = _named(curve.noun or curve.name)
    return f"Log10 {name[0].lower()}{name[1:]}" if curve.scale == "log" else name


def parameters(row: Row, setting: Setting, folder: StudyFolder) -> dict[str, str]:
    """A trial's method, levels and x on curves; the newest trials of a search have no levels yet."""
    values = {METHOD: setting.arm.name}
    factors = [factor for factor in folder.factors if factor.name in setting.levels]
    values |= {_named(factor.name): setting.levels[factor.name] for factor in factors}
    for factor in factors:
        level = factor.level(setting.levels[factor.name])
        for curve in factor.curves:
            x = _x(factor, level, curve, row)
            if x is not None and (curve.scale != "log" or x > 0):
                values[curve_axis(curve)] = f"{math.log10(x) if curve.scale == 'log' else x:.6g}"
    return values


def _x(factor: Factor, level: Level, curve: Curve, row: Row) -> float | None:
    """A trial's x on a curve: realised if its row says so, else nominal; the origin for the reference, or None."""
    if level.curve == curve.name:
        realised = row.data.realised(curve.realised) if row.data and curve.realised else []
        return realised[0] if realised else level.at
    return curve.origin if level == factor.reference else None


def _named(name: str) -> str:
    """A name that MLflow allows, capitalised."""
    short = allowed(name)
    return short[0].upper() + short[1:]
