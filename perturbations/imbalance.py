"""Class imbalance: some classes have fewer images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mim4dd.errors import DataError
from mim4dd.records import ImageData, Integers
from mim4dd.registry import knob
from mim4dd.seeding import generator
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.draws import check_classes, ranks, uniforms


@PERTURBATIONS.add("exponential")
@dataclass(frozen=True, kw_only=True)
class ExponentialImbalance:
    """Class k of C keeps floor(n_max * factor^(-k/(C-1))) images, at least 1; n_max is the smallest class's count.

    A factor of 1 on classes of unequal size would cut them to n_max; instead it leaves the data unchanged, as the
    control. Images kept at one factor are among those kept at a smaller one.
    Source: Cui et al. 2019, "Class-balanced loss based on effective number of samples"; factor = n_max / n_min.
    """

    stage: ClassVar[str] = "imbalance"
    factor: float = knob(50.0, low=1.0, search=(1.0, 200.0), log=True, help="largest class count over the smallest")
    order: str = knob("label", choices=("label", "random"), help="which class is rare: the last by label, or seeded")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        if self.factor == 1:
            return Perturbed(train, train.labels, realised_counts(train))
        most, classes = largest(train, "exponential"), len(train.classes)
        counts = [at_least_one(most * self.factor ** (-rank / (classes - 1))) for rank in range(classes)]
        return keep(train, counts, self.order, generator("imbalance", "exponential", train.source, seed))


@PERTURBATIONS.add("step")
@dataclass(frozen=True, kw_only=True)
class StepImbalance:
    """round(minority * C) of the classes, 1 to C-1, keep floor(n_max / factor) images, at least 1; the others n_max.

    n_max is the smallest class's count; a factor of 1 leaves the data unchanged. Images kept at one factor are among
    those kept at a smaller one.
    Source: Buda et al. 2018, "A systematic study of the class imbalance problem in convolutional neural networks".
    """

    stage: ClassVar[str] = "imbalance"
    factor: float = knob(10.0, low=1.0, search=(1.0, 200.0), log=True, help="largest class count over the smallest")
    minority: float = knob(0.5, low=0.0, high=1.0, search=(0.1, 0.9), help="fraction of the classes that are rare")
    order: str = knob("label", choices=("label", "random"), help="which classes are rare: the last by label, or seeded")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        if self.factor == 1:
            return Perturbed(train, train.labels, realised_counts(train))
        most, classes = largest(train, "step"), len(train.classes)
        rare = min(max(round(self.minority * classes), 1), classes - 1)
        counts = [most] * (classes - rare) + [at_least_one(most / self.factor)] * rare
        return keep(train, counts, self.order, generator("imbalance", "step", train.source, seed))


def largest(train: ImageData, name: str) -> int:
    """n_max: the count that every class can reach.

    Raises: DataError when there is only one class, or one with fewer than two images: all are cut to it first, and
    nothing is left to be unequal.
    """
    check_classes(name, train)
    empty = [label for label, count in zip(train.classes, train.counts, strict=True) if not count]
    if empty:
        raise DataError(f"{name} needs an image of every class, {train.source} has none of {', '.join(empty[:5])}")
    most = int(train.counts.min())
    if most < 2:
        least = train.classes[int(train.counts.argmin())]
        raise DataError(
            f"{name} first cuts every class to the smallest, and class {least} of {train.source} has 1 image; "
            "leave that class out"
        )
    return most


def at_least_one(exact: float) -> int:
    """The exact count rounded down, but to no less than 1."""
    # The margin undoes the rounding of floats where the exact value is whole, as at both ends.
    return max(1, math.floor(exact * (1 + 1e-12)))


def keep(train: ImageData, counts: list[int], order: str, rng: np.random.Generator) -> Perturbed:
    """Keep `counts` images of the classes, from the most frequent to the rarest, in the order of the split."""
    classes = len(train.classes)
    # Always drawn, and first, so that its position in the stream depends on nothing.
    permutation = rng.permutation(classes)
    rank: Integers = permutation if order == "random" else np.arange(classes)
    (draws,) = uniforms(rng, train)
    wanted = np.array(counts)[rank][train.labels]
    data = train.take(np.flatnonzero(ranks(train.labels, classes, draws) < wanted))
    return Perturbed(data, data.labels, realised_counts(data))


def realised_counts(data: ImageData) -> dict[str, Any]:
    """Images per class, and the largest count over the smallest (None where a class has none)."""
    counts = data.counts.tolist()
    return {"counts": counts, "factor": max(counts) / min(counts) if min(counts) else None}
