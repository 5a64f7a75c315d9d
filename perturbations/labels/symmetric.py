"""Symmetric label noise: any other class, uniformly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mim4dd.errors import KnobError, exact
from mim4dd.records import ImageData
from mim4dd.registry import knob
from mim4dd.seeding import generator
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.draws import check_classes, uniforms
from perturbations.labels.realised import relabelled


@PERTURBATIONS.add("symmetric")
@dataclass(frozen=True, kw_only=True)
class SymmetricNoise:
    """Exactly round(rate * N) labels become another class, uniformly.

    With include_own the new label is drawn over all classes, so the realised rate is about rate * (1 - 1/C).
    Images flipped at one rate are among those flipped at a higher one, with the same new labels. A rate of (C-1)/C
    leaves nothing to learn, and beyond it (0.5 with 2 classes) each wrong label is likelier than the true one.
    Source: the two conventions of Co-teaching (Han et al. 2018, excludes the own class) and DivideMix (Li et al. 2020,
    includes it).
    """

    stage: ClassVar[str] = "label noise"
    rate: float = knob(0.2, low=0.0, high=0.9, search=(0.0, 0.8), help="fraction of the labels that are redrawn")
    include_own: bool = knob(False, help="the new label may be the old one")
    allow_unidentifiable: bool = knob(False, tacit=True, help="allow rates above (C-1)/C, of C classes")

    def require_identifiable(self, classes: int) -> None:
        """Raises: KnobError for a rate at which each wrong label is likelier than the true one, unless allowed."""
        most = (classes - 1) / classes
        if self.rate > most and not (self.include_own or self.allow_unidentifiable):
            raise KnobError(
                f"symmetric.rate must be at most {most:.3g} with {classes} classes, got {exact(self.rate)}: beyond it "
                "each wrong label is likelier than the true one; give allow_unidentifiable=true to run it nevertheless"
            )

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        check_classes("symmetric", train)
        classes = len(train.classes)
        self.require_identifiable(classes)
        order, draws = uniforms(generator("label noise", "symmetric", train.source, seed), train, 2)
        chosen = np.argsort(order, kind="stable")[: round(self.rate * len(train))]
        labels = train.labels.copy()
        if self.include_own:
            labels[chosen] = np.floor(draws[chosen] * classes).astype(np.int64)
        else:
            shift = 1 + np.floor(draws[chosen] * (classes - 1)).astype(np.int64)
            labels[chosen] = (labels[chosen] + shift) % classes
        own = self.rate / classes if self.include_own else 0.0
        requested = np.full((classes, classes), (self.rate - own) / (classes - 1))
        np.fill_diagonal(requested, 1 - self.rate + own)
        return relabelled(train, labels, requested)
