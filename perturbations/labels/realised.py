"""What label noise did, in the same words for every kind of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.records import ImageData, Integers
from perturbations.catalogue import Perturbed

Matrix = npt.NDArray[np.float64]


def relabelled(train: ImageData, labels: Integers, asked: Matrix | None) -> Perturbed:
    """The split under its new labels, the very same object where none differs; `asked` is the matrix aimed at."""
    same = np.array_equal(labels, train.labels)
    data = train if same else replace(train, labels=labels)
    return Perturbed(data, train.labels, realised_noise(train, labels, asked))


def realised_noise(clean: ImageData, labels: Integers, asked: Matrix | None) -> dict[str, Any]:
    """How many labels differ, their rate, labels per class, and the transition matrix (rows: true class).

    The row of a class without images is zero.
    """
    matrix = confusion(clean.labels, labels, len(clean.classes))
    flips = int((labels != clean.labels).sum())
    return {
        "flips": flips,
        "rate": flips / max(1, len(labels)),
        "transition": (matrix / matrix.sum(1, keepdims=True).clip(min=1)).tolist(),
        "asked": None if asked is None else asked.tolist(),
        "counts": matrix.sum(0).tolist(),
    }


def confusion(clean: Integers, labels: Integers, classes: int) -> Integers:
    """How many images of each class (row) bear each label (column), [C, C]."""
    return np.bincount(clean * classes + labels, minlength=classes * classes).reshape(classes, classes)
