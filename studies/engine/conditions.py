"""Conditions: chains of perturbations as a study names, orders and draws them. The clean data are one of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mim4dd.errors import InputError
from mim4dd.registry import Flat, component_fields, default_of, name_of
from perturbations import PERTURBATIONS, Perturbation, parse_chain, text_of
from perturbations.catalogue import check_chain
from studies.engine.arms import Curve, Factor, Level

# What a perturbation's curve is drawn over; one without such a knob is a single point.
SEVERITIES = ("rate", "factor", "severity")


@dataclass(frozen=True)
class Condition:
    """One kind of training data. text: the chain's canonical form, "" for clean data; it is what a trial holds.

    family: what the conditions of one curve share; severity: the condition's place on it (None: no such knob).
    parts: the labels of the conditions that it joins, each of a single stage; none for those.
    """

    text: str = ""
    label: str = "clean"
    family: str = ""
    severity: float | None = None
    stages: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    perturbations: tuple[Perturbation, ...] = field(default=(), compare=False, repr=False)

    @property
    def noisy(self) -> bool:
        return "label noise" in self.stages

    @property
    def entry(self) -> Flat:
        """What a trial under this condition holds of it: nothing where the data are clean."""
        return {"perturb": self.text} if self.text else {}

    def json(self) -> dict[str, Any]:
        """What study.json holds."""
        return {"text": self.text, "label": self.label, "family": self.family, "severity": self.severity} | {
            "stages": list(self.stages)
        }

    @staticmethod
    def read(held: dict[str, Any]) -> Condition:
        """The inverse of `json`, without the perturbations themselves."""
        stages = tuple(held["stages"])
        # Folders written before say the parts in the label alone.
        parts = tuple(held.get("parts", held["label"].split(" + ") if len(stages) > 1 else ()))
        return Condition(held["text"], held["label"], held["family"], held["severity"], stages, parts)


CLEAN = Condition()
TRAINING_DATA = "training data"
# The axis of each stage; the noun of a curve is its own kind with the stage's.
CURVES = {
    "label noise": Curve(
        "", "wrong labels (realised)", "noise", "share", 0.0, "10% of wrong labels", 10.0, 0.5, realised="rate"
    ),
    "imbalance": Curve("", "imbalance factor", "imbalance", "log", 1.0, "factor of ten"),
    "pixel corruption": Curve("", "severity", "corruption"),
}


def training_data(conditions: Sequence[Condition]) -> Factor:
    """Conditions as the levels of a factor: those of one stage and family lie on a curve, if they have a place."""
    levels, curves = [], {}
    for one in conditions:
        curve = ""
        if len(one.stages) == 1 and (one.severity is not None or one.stages == ("label noise",)):
            kind = CURVES[one.stages[0]]
            curve = one.family
            curves[curve] = replace(kind, name=curve, noun=f"{curve} {kind.noun}")
        levels.append(Level(one.label, one.entry, one.severity, curve, one.parts))
    return Factor(TRAINING_DATA, tuple(levels), tuple(curves.values()))


def condition(*texts: str) -> Condition:
    """The condition that a chain of `NAME:knob=value` texts makes; a text may itself be a chain joined by `+`.

    Raises: InputError, UnknownNameError or KnobError.
    """
    # Only before a name: a number may be written 1e+2, and a file's name may hold a +.
    joint = re.compile(rf"\s*\+\s*(?=(?:{'|'.join(PERTURBATIONS.names())})\b)")
    perturbations = parse_chain([part for text in texts for part in joint.split(text.strip())])
    if not perturbations:
        raise InputError("a condition must name a perturbation, as in symmetric:rate=0.4")
    check_chain(perturbations)
    # A step that changes nothing would make another name for the same data.
    perturbations = tuple(one for one in perturbations if not _is_control(one))
    if not perturbations:
        return CLEAN
    labels, families, severities = zip(*(_named(one) for one in perturbations), strict=True)
    return Condition(
        text_of(perturbations),
        " + ".join(labels),
        " + ".join(families) if len(families) == 1 else "combined",
        severities[0] if len(severities) == 1 else None,
        tuple(one.stage for one in perturbations),
        labels if len(labels) > 1 else (),
        perturbations,
    )


def severity_knob(perturbation: Perturbation | type[Perturbation]) -> str:
    """The knob that says how strong a perturbation is, or ""."""
    names = [item.name for item in component_fields(perturbation)]
    return next((name for name in SEVERITIES if name in names), "")


def _is_control(perturbation: Perturbation) -> bool:
    knob = severity_knob(perturbation)
    return bool(knob) and getattr(perturbation, knob) == (1 if knob == "factor" else 0)


def _named(perturbation: Perturbation) -> tuple[str, str, float | None]:
    """(label, family, severity) of one perturbation: its name, and what is not at its default."""
    knob = severity_knob(perturbation)
    told = [name_of(perturbation)]
    label = ""
    for item in component_fields(perturbation):
        value = getattr(perturbation, item.name)
        if item.name == knob:
            label = f" {value:g}"
        elif item.name == "labels":
            told.append(str(value))
        elif item.name not in ("file", "classes_as") and value != default_of(item):
            told.append(item.name.replace("_", " ") if value is True else f"{item.name} {value}")
    family = " ".join(told)
    # Each column of human labels is a condition of one curve, placed by the rate that it realises.
    return (
        family + label,
        name_of(perturbation) if "human" in told[0] else family,
        (float(getattr(perturbation, knob)) if knob else None),
    )
