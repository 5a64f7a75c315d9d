"""The share of labels that a noise makes wrong, as far as it is known before the data are."""

from __future__ import annotations

import numpy as np

from perturbations.catalogue import Perturbation
from perturbations.labels.matrix import MatrixNoise
from perturbations.labels.semantic import MAPS, AsymmetricNoise
from perturbations.labels.symmetric import SymmetricNoise


def expected_share(noise: Perturbation, source: str, classes: int | None) -> float | None:
    """The share of wrong labels in a data set whose classes have one size; None where the noise does not tell.

    source: the name whose classes the data have, `cifar10`; classes: their number, None if it is unknown, which
    matters to symmetric noise with `include_own` alone: it leaves one in so many right. Asymmetric noise flips its rate
    of the mapped classes, and human labels are wrong where they are.
    """
    match noise:
        case MatrixNoise():
            return float(1 - np.diag(noise.transition).mean())
        case AsymmetricNoise():
            mapped, mapping = MAPS.get(noise.classes_as or source, (0, {}))
            return noise.rate * len(mapping) / mapped if mapped else None
        case SymmetricNoise(include_own=True):
            return noise.rate * (1 - 1 / classes if classes else 1)
        case _:
            rate = getattr(noise, "rate", None)
            return None if rate is None else float(rate)
