"""Planting a cue: a value of the pixels that is tied to an image's class, in an exact share of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol, cast

import numpy as np

from mim4dd.errors import DataError, InputError
from mim4dd.records import Floats, ImageData, Integers
from mim4dd.registry import name_of
from mim4dd.seeding import generator
from perturbations.catalogue import PERTURBATIONS, Perturbation, Perturbed, parse_chain
from perturbations.draws import check_classes, ranks, uniforms

STAGE = "planted cue"
# The correlation of each way to show test images; None where it is that of an independent cue.
UNBIASED, ALIGNED, CONFLICTING = "unbiased", "aligned", "conflicting"
PARTS = {UNBIASED: None, ALIGNED: 1.0, CONFLICTING: 0.0}


class PlantedCue(Protocol):
    """A cue with values 0..V-1, one of them tied to each class (`own`).

    Of the n_k images of class k exactly round(correlation * n_k) show the value tied to it; the others show the other
    values, evenly (their numbers differ by 1 at most). Images that conflict at one correlation also do at every smaller
    one, with the same value. A correlation of 1/V is an independent cue, the control; 1 leaves no conflict, 0 nothing
    else. Where correlation * n_k is less than one image, as of rare classes, one or none shows it: in as many classes
    as make the share right on average, and exactly where they are of one size. Nothing of the labels changes.
    """

    stage: ClassVar[str] = STAGE
    correlation: float

    def own(self, data: ImageData) -> Integers:
        """The value tied to each class, [C].

        Raises: DataError for data that the cue cannot be planted in.
        """
        ...

    def painted(self, data: ImageData, values: Integers, seed: int) -> Floats:
        """New images that show these values, [N, channels, H, W]. Shapes: values [N]."""
        ...

    def channels(self, channels: int) -> int:
        """The channels of images that show the cue, of images with so many."""
        return channels

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        own, values = self.own(train), values_of(self, train, seed)
        data = replace(train, images=self.painted(train, values, seed))
        return Perturbed(data, train.labels, _realised(train, own, values))


def values_of(cue: PlantedCue, data: ImageData, seed: int) -> Integers:
    """The value that each image shows, [N]."""
    own, classes = cue.own(data), len(data.classes)
    count = int(own.max()) + 1
    rng = generator(STAGE, name_of(cue), data.source, seed)
    # The order in which the conflicting images of a class take the other values, drawn before the images' own draws.
    others = np.stack([rng.permutation(np.delete(np.arange(count), value)) for value in own])
    (draws,) = uniforms(rng, data)
    size = data.counts[data.labels]
    # Counted from the image that conflicts at the largest correlation of all.
    place = size - 1 - ranks(data.labels, classes, draws)
    shares = cue.correlation * data.counts
    # One offset a class for all correlations: an image that conflicts at one does at every smaller one.
    turns = generator(STAGE, name_of(cue), data.source, seed, "rare classes").permutation(classes)
    few = np.floor(shares + (turns + 0.5) / classes)
    aligned = np.where(shares < 1, few, np.round(shares)).astype(np.int64)[data.labels]
    other = others[data.labels, place % (count - 1)]
    values: Integers = np.where(place < size - aligned, other, own[data.labels])
    return values


def _realised(data: ImageData, own: Integers, values: Integers) -> dict[str, Any]:
    """The realised correlation, images that are aligned and that conflict, and images by class and value, [C, V]."""
    count = int(own.max()) + 1
    table = np.bincount(data.labels * count + values, minlength=len(data.classes) * count).reshape(-1, count)
    aligned = int((values == own[data.labels]).sum())
    return {
        "correlation": aligned / max(1, len(data)),
        "aligned": aligned,
        "conflicting": len(data) - aligned,
        "cue_counts": table.tolist(),
    }


def cue_of(perturbations: Sequence[Perturbation]) -> PlantedCue | None:
    """The planted cue of a chain, which has at most one; None without one.

    Raises: InputError for a plug-in of this stage that is no subclass of PlantedCue.
    """
    for each in perturbations:
        if each.stage == STAGE:
            if PlantedCue not in type(each).__mro__:
                raise InputError(f"{name_of(each)} must be a subclass of perturbations.PlantedCue, as a {STAGE}")
            return cast(PlantedCue, each)
    return None


def cue_in(text: str) -> PlantedCue | None:
    """The planted cue of a chain's canonical text, whose other perturbations need not be readable here."""
    parts = [part for part in text.split(" + ") if part]
    return cue_of([one for part in parts if _stage_in(part) == STAGE for one in parse_chain([part])])


def _stage_in(text: str) -> str:
    return PERTURBATIONS.get(text.partition(":")[0]).stage


def values_count(cue: PlantedCue, data: ImageData) -> int:
    """V, the number of the cue's values on a data set."""
    return int(cue.own(data).max()) + 1


def at(cue: PlantedCue, correlation: float) -> PlantedCue:
    """The same cue at another correlation."""
    return replace(cue, correlation=correlation)  # type: ignore[type-var]


def unbiased(cue: PlantedCue, data: ImageData) -> PlantedCue:
    """The same cue, independent of the class of these images."""
    return at(cue, 1 / values_count(cue, data))


def shown(cue: PlantedCue, data: ImageData, part: str = UNBIASED) -> PlantedCue:
    """The cue as a validation or test split shows it. part: a name of PARTS."""
    correlation = PARTS[part]
    return unbiased(cue, data) if correlation is None else at(cue, correlation)


def one_a_class(name: str, data: ImageData, most: int) -> Integers:
    """One value for each class, by its label.

    Raises: DataError with one class only, or more classes than there are values.
    """
    check_classes(name, data)
    if len(data.classes) > most:
        raise DataError(f"{name} has {most} values, one a class, and {data.source} has {len(data.classes)} classes")
    return np.arange(len(data.classes))


def require_channels(name: str, data: ImageData, channels: int, remedy: str) -> None:
    """Raises: DataError for images with another number of channels."""
    if data.shape[0] != channels:
        kind = {1: "grey images (1 channel)", 3: "colour images (3 channels)"}[channels]
        raise DataError(f"{name} needs {kind}, {data.source} has {data.shape[0]}; {remedy}")
