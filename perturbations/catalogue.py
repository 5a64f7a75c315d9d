"""The registry of perturbations, their interface, and chains of them: from text, to text, in a fixed order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from mim4dd.errors import InputError
from mim4dd.records import ImageData, Integers
from mim4dd.registry import PLUGIN, Registry, flatten, name_of
from mim4dd.resolving import component_of
from perturbations.stages import ORDER, STAGES, Stage, stage_named


@dataclass(frozen=True, eq=False)
class Perturbed:
    """A perturbed split and what was realised: counts per class, flips, rates; in a chain by perturbation name.

    Shapes: clean_labels [N], the true label of each remaining image. seconds: that a chain took where it was applied.
    """

    data: ImageData
    clean_labels: Integers
    realised: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def flipped(self) -> npt.NDArray[np.bool_]:
        """Which images have a wrong label, [N]."""
        return self.data.labels != self.clean_labels


class Perturbation(Protocol):
    """Changes a split, whose arrays it never modifies.

    Seeded by (kind, data set, seed) and not by its severity; draws belong to an image's `index`, not to its row. So
    severities nest, and an image gets the same noise whichever others an imbalance kept. stage: a name of STAGES.
    """

    stage: ClassVar[str]

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed: ...


PERTURBATIONS: Registry[Perturbation] = Registry("perturbation", Perturbation)


def chain(perturbations: Sequence[Perturbation], train: ImageData, *, seed: int) -> Perturbed:
    """Apply perturbations one after the other; an empty chain returns the data unchanged, as the same object.

    Each step's `realised` is relative to its input; `clean_labels` and `flipped` are those of the whole chain.
    Raises: InputError when they are not in the order of ORDER or one is given twice.
    """
    check_chain(perturbations)
    result, began = Perturbed(train, train.labels), time.perf_counter()
    for perturbation in perturbations:
        stage = stage_of(perturbation)
        # The true labels are a cleaning's alone to see: its oracle's, and those of its record.
        known = {"clean_labels": result.clean_labels} if stage.cleans else {}
        step = perturbation(result.data, seed=seed, **known)
        # Images are removed before labels change, or by a cleaning.
        clean = step.clean_labels if stage.removes else result.clean_labels
        realised = {**result.realised, name_of(perturbation): step.realised}
        result = Perturbed(step.data, clean, realised, time.perf_counter() - began)
    return result


def check_chain(perturbations: Sequence[Perturbation]) -> None:
    """Raises: InputError when perturbations are not in the order of ORDER, or one or a single stage is given twice."""
    names = [name_of(perturbation) for perturbation in perturbations]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"perturbations must differ, got {twice[0]} twice: its draws would be the same ones again")
    for stage in filter(lambda stage: stage.single, STAGES.values()):
        of_stage = [name_of(each) for each in perturbations if each.stage == stage.name]
        if len(of_stage) > 1:
            raise InputError(f"a chain must have at most one {stage.name}, got {' and '.join(of_stage)}")
    right = [name_of(perturbation) for perturbation in sorted(perturbations, key=_position)]
    if names != right:
        raise InputError(f"perturbations must be in the order {', then '.join(ORDER)}: give {', '.join(right)}")


def stage_of(perturbation: Perturbation | type[Perturbation]) -> Stage:
    """The stage of a perturbation.

    Raises: UnknownNameError for a plug-in's that does not exist.
    """
    return stage_named(perturbation.stage)


def _position(perturbation: Perturbation) -> int:
    return ORDER.index(stage_of(perturbation).name)


def label_noise(perturbations: Sequence[Perturbation]) -> tuple[Perturbation, ...]:
    """The perturbations that change labels; validation labels get them where no clean ones are available."""
    return tuple(perturbation for perturbation in perturbations if stage_of(perturbation).relabels)


def pixel_corruptions() -> list[str]:
    """The names of the registered perturbations that change images alone, of any data set."""
    return [name for name in PERTURBATIONS.names() if stage_of(PERTURBATIONS.get(name)).of_pixels]


def parse_corruptions(texts: Sequence[str], flag: str) -> tuple[Perturbation, ...]:
    """`jpeg:severity=3` texts as pixel corruptions: what test images may be put under. flag: for the error.

    Raises: InputError, UnknownNameError or KnobError.
    """
    corruptions = parse_chain(texts)
    for corruption, text in zip(corruptions, texts, strict=False):
        if not stage_of(corruption).of_pixels:
            raise InputError(f"{flag} takes pixel corruptions, {text} is {corruption.stage}")
    return corruptions


def parse_chain(texts: Sequence[str]) -> tuple[Perturbation, ...]:
    """`symmetric:rate=0.4` texts as perturbations; several knobs are separated by commas.

    One empty text is the empty chain, so that `parse_chain(text_of(x).split(" + "))` gives `x` again.
    Raises: InputError, UnknownNameError or KnobError.
    """
    if list(texts) == [""]:
        return ()
    return tuple(component_of(PERTURBATIONS, text, "--perturb") for text in texts)


def text_of(perturbations: Sequence[Perturbation]) -> str:
    """A chain as its canonical text, every knob in order but tacit ones at their default: what a row stores.

    A file or a plug-in appears in it as NAME@DIGEST, so that a result does not depend on where the file lies.
    """
    return " + ".join(_text(perturbation) for perturbation in perturbations)


def _text(perturbation: Perturbation) -> str:
    (_, name), *knobs = flatten(perturbation, "").items()
    values = {key.removeprefix("."): value for key, value in knobs}
    if PLUGIN in values:  # stands last
        values[PLUGIN] = values.pop(PLUGIN)
    # repr of a float is the shortest text that gives the same float again.
    shown = [f"{knob}={value!r}" if isinstance(value, float) else f"{knob}={value}" for knob, value in values.items()]
    return f"{name}:{','.join(shown)}"
