"""Pair flipping: each class becomes the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mim4dd.records import ImageData
from mim4dd.registry import knob
from mim4dd.seeding import generator
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.draws import check_classes, uniforms
from perturbations.labels.identifiable import check_identifiable
from perturbations.labels.realised import relabelled


@PERTURBATIONS.add("pairflip")
@dataclass(frozen=True, kw_only=True)
class PairFlip:
    """Exactly round(rate * N) labels i become (i+1) mod C; some papers call this asymmetric.

    The number is exact in total, not per class. Images flipped at one rate are among those flipped at a higher one.
    Source: Co-teaching (Han et al. 2018). Differs: the authors draw each image's label, so that their number varies.
    """

    stage: ClassVar[str] = "label noise"
    rate: float = knob(0.2, low=0.0, high=1.0, search=(0.0, 0.45), help="fraction of the labels that are flipped")
    allow_unidentifiable: bool = knob(False, help="allow rates of 0.5 and more")

    def __post_init__(self) -> None:
        check_identifiable("pairflip", self.rate, self.allow_unidentifiable)

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        check_classes("pairflip", train)
        classes = len(train.classes)
        (order,) = uniforms(generator("label noise", "pairflip", train.source, seed), train)
        chosen = np.argsort(order, kind="stable")[: round(self.rate * len(train))]
        labels = train.labels.copy()
        labels[chosen] = (labels[chosen] + 1) % classes
        requested = (1 - self.rate) * np.eye(classes) + self.rate * np.roll(np.eye(classes), 1, axis=1)
        return relabelled(train, labels, requested)
