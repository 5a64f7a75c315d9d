"""The record of what label noise changed, with the same entries for every kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.records import ImageData, Integers
from perturbations.catalogue import Perturbed

Matrix = npt.NDArray[np.float64]


def relabelled(train: ImageData, labels: Integers, requested: Matrix | None) -> Perturbed:
    """The split with its new labels, the same object where none differs; `requested` is the transition matrix."""
    same = np.array_equal(labels, train.labels)
    data = train if same else replace(train, labels=labels)
    return Perturbed(data, train.labels, realised_noise(train, labels, requested))


def realised_noise(clean: ImageData, labels: Integers, requested: Matrix | None) -> dict[str, Any]:
    """How many labels differ, their rate, labels per class, and the transition matrix (rows: true class).

    The row of a class without images is zero.
    """
    matrix = confusion(clean.labels, labels, len(clean.classes))
    flips = int((labels != clean.labels).sum())
    return {
        "flips": flips,
        "rate": flips / max(1, len(labels)),
        "transition": (matrix / matrix.sum(1, keepdims=True).clip(min=1)).tolist(),
        "asked": None if requested is None else requested.tolist(),
        "counts": matrix.sum(0).tolist(),
    }


def confusion(clean: Integers, labels: Integers, classes: int) -> Integers:
    """How many images of each class (row) have each label (column), [C, C]."""
    return np.bincount(clean * classes + labels, minlength=classes * classes).reshape(classes, classes)
