"""Conditions: the kinds of training data of a study, clean or under a chain of perturbations, and their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mim4dd.errors import InputError
from mim4dd.registry import Flat, component_fields, default_of, name_of
from perturbations import PERTURBATIONS, STAGES, Perturbation, PlantedCue, cue_of, parse_chain, stage_of, text_of
from perturbations.catalogue import check_chain
from perturbations.stages import stage_named
from studies.engine.arms import Curve, Factor, Level
from studies.engine.reading import checked
from studies.engine.shapes import ConditionRecord


@dataclass(frozen=True)
class Condition:
    """One kind of training data. text: the chain's canonical form, as trials' configurations store it; "" if clean.

    family: shared by the conditions of one curve; severity: the condition's x on it (None without such a knob).
    parts: the labels of the single-stage conditions that it combines; empty for a single-stage condition.
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
        """Whether labels are wrong."""
        return any(STAGES[stage].relabels for stage in self.stages)

    @property
    def entry(self) -> Flat:
        """What the condition adds to a trial's configuration: nothing for clean data."""
        return {"perturb": self.text} if self.text else {}

    @property
    def cue(self) -> PlantedCue | None:
        """The planted cue, None without one."""
        return cue_of(self.perturbations)

    def json(self) -> dict[str, Any]:
        """The record in study.json."""
        return {"text": self.text, "label": self.label, "family": self.family, "severity": self.severity} | {
            "stages": list(self.stages),
            "parts": list(self.parts),
        }

    @staticmethod
    def read(record: dict[str, Any]) -> Condition:
        """The inverse of `json`, without the perturbations themselves.

        Raises: ValueError for a record of another shape, or with a stage that does not exist.
        """
        checked(record, ConditionRecord)
        stages = tuple(stage_named(name).name for name in record["stages"])
        parts = tuple(record.get("parts", ()))
        return Condition(record["text"], record["label"], record["family"], record["severity"], stages, parts)


CLEAN = Condition()
TRAINING_DATA = "training data"


def training_data(conditions: Sequence[Condition]) -> Factor:
    """Conditions as the levels of a factor; those of one stage and family that have an x share a curve.

    The first condition is the origin of the curves: clean data, or else the mildest condition of a family, where no
    severity leaves the data unchanged.
    """
    levels, curves = [], {}
    for condition in conditions:
        curve = curve_of(condition, conditions[0])
        if curve is not None:
            curves[curve.name] = curve
        name = curve.name if curve else ""
        levels.append(Level(condition.label, condition.entry, condition.severity, name, condition.parts))
    return Factor(TRAINING_DATA, tuple(levels), tuple(curves.values()))


def curve_of(condition: Condition, reference: Condition) -> Curve | None:
    """The curve of a condition's family from a reference on: of label noise, `symmetric` makes `symmetric noise`.

    None for the reference itself, and for a condition that has no place on a curve with it.
    """
    if len(condition.stages) != 1 or condition == reference or reference.family not in ("", condition.family):
        return None
    stage, family = STAGES[condition.stages[0]], condition.family
    origin = stage.control if reference == CLEAN else reference.severity
    if origin is None or (condition.severity is None and not stage.realised):
        return None
    axis = (stage.axis, f"{family} {stage.noun}", stage.scale, origin, stage.unit, stage.units, stage.upto)
    return Curve(family, *axis, realised=stage.realised)


def condition(*texts: str) -> Condition:
    """The condition that a chain of `NAME:knob=value` texts makes; a text may itself be a chain joined by `+`.

    Raises: InputError, UnknownNameError or KnobError.
    """
    # A + joins only before a perturbation's name: a number may be written 1e+2, and a file name may contain a +.
    joint = re.compile(rf"\s*\+\s*(?=(?:{'|'.join(PERTURBATIONS.names())})\b)")
    perturbations = parse_chain([part for text in texts for part in joint.split(text.strip())])
    if not perturbations:
        raise InputError("a condition must name at least one perturbation, as in symmetric:rate=0.4")
    check_chain(perturbations)
    # A perturbation that changes nothing would make a second name for the same data.
    perturbations = tuple(perturbation for perturbation in perturbations if not _is_identity(perturbation))
    if not perturbations:
        return CLEAN
    labels, families, severities = zip(*map(_names_of, perturbations), strict=True)
    return Condition(
        text_of(perturbations),
        " + ".join(labels),
        " + ".join(families) if len(families) == 1 else "combined",
        severities[0] if len(severities) == 1 else None,
        tuple(perturbation.stage for perturbation in perturbations),
        labels if len(labels) > 1 else (),
        perturbations,
    )


def severity_knob(perturbation: Perturbation | type[Perturbation]) -> str:
    """The name of the knob that sets how strong a perturbation is: its stage's, "" if it has none."""
    knob = stage_of(perturbation).severity
    return knob if any(item.name == knob for item in component_fields(perturbation)) else ""


def _is_identity(perturbation: Perturbation) -> bool:
    """Whether the perturbation leaves the data as they are."""
    knob = severity_knob(perturbation)
    return bool(knob) and getattr(perturbation, knob) == stage_of(perturbation).control


def _names_of(perturbation: Perturbation) -> tuple[str, str, float | None]:
    """(label, family, severity) of one perturbation, from its name and the knobs that are not at their defaults."""
    knob = severity_knob(perturbation)
    name = name_of(perturbation)
    names = [item.name for item in component_fields(perturbation)]
    family_words = [name]
    severity_word = ""
    for item in component_fields(perturbation):
        value = getattr(perturbation, item.name)
        if item.name == knob:
            severity_word = f" {value:g}"
        elif item.name == "labels":
            family_words.append(str(value))
        elif item.name == "file" and knob == "" and "labels" not in names:
            family_words.append(str(value).rpartition("@")[0].rpartition(".")[0])
        elif item.name not in ("file", "classes_as") and value != default_of(item):
            family_words.append(item.name.replace("_", " ") if value is True else f"{item.name} {value}")
    family = " ".join(family_words)
    severity = float(getattr(perturbation, knob)) if knob else None
    # All columns of human labels are on one curve; the x of each is the rate that it realises.
    return family + severity_word, name if "human" in name else family, severity
