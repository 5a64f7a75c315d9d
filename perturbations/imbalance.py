"""Class imbalance: some classes have fewer training images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mim4dd.records import ImageData
from mim4dd.registry import knob
from mim4dd.seeding import generator
from perturbations.catalogue import PERTURBATIONS, Perturbed


@PERTURBATIONS.add("exponential")
@dataclass(frozen=True, kw_only=True)
class ExponentialImbalance:
    """Class k of C keeps floor(n_max * factor^(-k/(C-1))) images, at least 1; n_max is the smallest class's count.

    A factor of 1 on classes of unequal size would cut them to n_max; it leaves the data as they are instead, so that it
    is the control.
    Source: Cui et al. 2019, "Class-balanced loss based on effective number of samples"; factor = n_max / n_min.
    """

    stage: ClassVar[str] = "imbalance"
    factor: float = knob(50.0, low=1.0, search=(1.0, 200.0), log=True, help="largest class count over the smallest")
    order: str = knob("label", choices=("label", "random"), help="which class is rare: the last by label, or seeded")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        if self.factor == 1:
            return Perturbed(train, {"counts": train.counts.tolist()})
        rng = generator("imbalance", "exponential", train.source, seed)
        classes, most = len(train.classes), int(train.counts.min())
        rank = rng.permutation(classes) if self.order == "random" else np.arange(classes)
        rows = []
        for label in range(classes):
            # The margin undoes rounding where the exact value is whole, as at both ends.
            exact = most * self.factor ** (-int(rank[label]) / (classes - 1))
            kept = max(1, math.floor(exact + 1e-9))
            members = np.flatnonzero(train.labels == label)
            rows.append(rng.permutation(members)[:kept])
        data = train.take(np.sort(np.concatenate(rows)))
        return Perturbed(data, {"counts": data.counts.tolist()})
