"""Instance-dependent label noise: which images are mislabelled, and as what, depends on their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mim4dd.records import Floats, ImageData, Integers
from mim4dd.registry import knob
from mim4dd.seeding import generator
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.draws import check_classes, uniforms
from perturbations.labels.realised import Matrix, relabelled

SPREAD = 0.1
BATCH = 1024


@PERTURBATIONS.add("instance")
@dataclass(frozen=True, kw_only=True)
class InstanceNoise:
    """Image i of class y is mislabelled with chance q_i, as class j with chance softmax(x_i W_y, without y)_j.

    q_i ~ normal(rate, 0.1) truncated to [0, 1]; W_y ~ N(0, 1), [d, C], one for each true class; x_i are the d pixels,
    standardised by this split's channels. So p = q_i * softmax, p_y = 1 - q_i. The realised rate is about `rate`: above
    it near 0, where the truncation moves the mean. A rate of 0 is the control and flips nothing.
    One uniform decides whether an image is flipped and another one to which class, both by inverse CDF: images flipped
    at one rate are among those flipped at a higher one, with the same new labels. W depends on the seed: to give two
    splits the noise of one annotator, give them one seed: their images' draws differ by `index` anyway.
    Source: Xia et al. 2020, "Part-dependent label noise: towards instance-dependent label noise", algorithm 2 and code.
    Differs: there each image's label is one draw of p, the same distribution; x as their data loader scales it.
    """

    stage: ClassVar[str] = "label noise"
    rate: float = knob(0.2, low=0.0, high=0.9, search=(0.0, 0.5), help="mean of the flip rates before truncation")

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        check_classes("instance", train)
        if self.rate == 0:
            return relabelled(train, train.labels, None)
        annotator, images = generator("label noise", "instance", train.source, seed).spawn(2)
        location, flip, which = uniforms(images, train, 3)
        flipped = flip < flip_chances(self.rate, location)
        labels, classes = train.labels.copy(), len(train.classes)
        mean, scale = _standardisation(train.images)
        for label in range(classes):
            # Drawn for every class, so that one without images does not shift the others'.
            weights = annotator.standard_normal((train.images[0].size, classes), dtype=np.float32)
            rows = np.flatnonzero(flipped & (train.labels == label))
            for start in range(0, len(rows), BATCH):
                part = rows[start : start + BATCH]
                pixels = ((train.images[part] - mean) * scale).reshape(len(part), -1)
                labels[part] = _mistaken(pixels @ weights.astype(np.float64), label, which[part])
        return relabelled(train, labels, None)


def flip_chances(rate: float, location: Matrix) -> Matrix:
    """q, [N]: uniforms as quantiles of the normal(rate, SPREAD) truncated to [0, 1]."""
    from scipy.special import ndtr, ndtri

    low, high = ndtr(-rate / SPREAD), ndtr((1 - rate) / SPREAD)
    chances: Matrix = np.clip(rate + SPREAD * ndtri(low + location * (high - low)), 0, 1)
    return chances


def _mistaken(scores: Matrix, label: int, which: Matrix) -> Integers:
    """A class other than `label` for each row of scores, the uniform's quantile of their softmax, [n]."""
    others = np.delete(scores, label, axis=1)
    chances = np.exp(others - others.max(1, keepdims=True))
    below = np.cumsum(chances, axis=1)
    other = (below <= which[:, None] * below[:, -1:]).sum(1).clip(max=others.shape[1] - 1)
    return other + (other >= label)


def _standardisation(images: Floats) -> tuple[Matrix, Matrix]:
    """Mean and 1 / std of each channel, [channels, 1, 1] in float64: no label depends on the order of sums."""
    moments = np.zeros((2, images.shape[1]))
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH].astype(np.float64)
        moments += part.sum((0, 2, 3)), (part**2).sum((0, 2, 3))
    mean, square = moments / max(1, images[:, 0].size)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
    return mean[:, None, None], scale[:, None, None]
