"""Label noise: some training labels are wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mim4dd.records import ImageData
from mim4dd.registry import knob
from mim4dd.seeding import generator
from perturbations.catalogue import PERTURBATIONS, Perturbed


@PERTURBATIONS.add("symmetric")
@dataclass(frozen=True, kw_only=True)
class SymmetricNoise:
    """Exactly round(rate * N) labels become another class, uniformly.

    With include_own the new label is drawn over all classes, so the realised rate is about rate * (1 - 1/C).
    Images flipped at one rate are among those flipped at a higher one, with the same new labels.
    Source: the two conventions of Co-teaching (Han et al. 2018, excludes the own class) and DivideMix (Li et al. 2020,
    includes it).
    """

    stage: ClassVar[str] = "label noise"
    rate: float = knob(0.2, low=0.0, high=0.9, search=(0.0, 0.8), help="fraction of the labels that are redrawn")
    include_own: bool = knob(False, help="the new label may be the old one")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        count, classes = len(train), len(train.classes)
        rng = generator("label noise", "symmetric", train.source, seed)
        order, draws = rng.permutation(count), rng.random(count)
        chosen = order[: round(self.rate * count)]
        labels = train.labels.copy()
        if self.include_own:
            labels[chosen] = np.floor(draws[chosen] * classes).astype(np.int64)
        else:
            shift = 1 + np.floor(draws[chosen] * (classes - 1)).astype(np.int64)
            labels[chosen] = (labels[chosen] + shift) % classes
        return Perturbed(replace(train, labels=labels), realised_noise(train, labels))


def realised_noise(clean: ImageData, labels: np.ndarray) -> dict[str, object]:
    """What label noise did: how many labels differ, their rate, and the transition matrix (rows: true class)."""
    classes = len(clean.classes)
    matrix = np.zeros((classes, classes))
    np.add.at(matrix, (clean.labels, labels), 1)
    flips = int((labels != clean.labels).sum())
    return {
        "flips": flips,
        "rate": flips / max(1, len(labels)),
        "transition": (matrix / matrix.sum(1, keepdims=True).clip(min=1)).tolist(),
        "counts": np.bincount(labels, minlength=classes).tolist(),
    }
