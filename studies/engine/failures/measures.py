"""Measures of a trial, taken at its end while its networks and images are in memory; failure detectors read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mim4dd.records import Floats, ImageData, Integers, Synthetic
from mim4dd.seeding import generator

if TYPE_CHECKING:
    from mim4dd.information import Reference
    from mim4dd.networks import Network
    from mim4dd.networks.stacked import Params
    from perturbations import Perturbed

# The distance from the clean range, in standard deviations, that a learned pixel may have.
BEYOND = 3.0
FLIPPED_IMAGES = 1_000
TERM_MEASURES = ("gradient_ratio", "effective_weight")


def synthetic_measures(synthetic: Synthetic, reference: Reference, clean: ImageData) -> dict[str, float]:
    """Measures of a synthetic set by the reference network, which was trained on clean data.

    effective_rank, mean_cosine: of the classes' mean embeddings; rejected_share: the share of images whose label the
    reference does not predict; outside_share: the share of pixels more than BEYOND standard deviations outside the
    clean range.
    """
    embeddings, guesses = reference.embeddings(synthetic.pixels), reference.posteriors(synthetic.pixels).argmax(1)
    means = np.stack([embeddings[synthetic.labels == label].mean(0) for label in np.unique(synthetic.labels)])
    return {
        "effective_rank": effective_rank(means),
        "mean_cosine": mean_cosine(means),
        "rejected_share": float((guesses != synthetic.labels).mean()),
        "outside_share": outside_share(synthetic.pixels, clean.images, reference.std),
    }


def term_measures(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Measures of the MI term along a run, each the median over its records; empty without the term.

    gradient_ratio: the norm of the weighted term's pixel gradient over that of the base's; effective_weight: the factor
    of the term's loss, which a balanced term sets anew at each update. A base whose gradient is 0 makes the ratio
    infinite; such records are left out, because they do not depend on the term.
    """
    medians = {}
    for name in TERM_MEASURES:
        values = [record[f"{name}/mim"] for record in history if f"{name}/mim" in record]
        finite = [value for value in values if np.isfinite(value)]
        if finite:
            medians[name] = float(np.median(finite))
    return medians


def effective_rank(embeddings: Floats) -> float:
    """The exponential of the entropy of the normalised singular values: the number of directions that are used.

    Shapes: embeddings [C, D], not centred; from 1, if all are parallel, to min(C, D); 0 if all are 0.
    Source: Roy & Vetterli 2007, "The effective rank".
    """
    values = np.linalg.svd(embeddings.astype(np.float64), compute_uv=False)
    shares = values[values > 0] / values.sum() if values.any() else values[:0]
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def mean_cosine(embeddings: Floats) -> float:
    """The mean cosine of all pairs of embeddings [C, D]; 1 if all have the same direction, or there is only one."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True).clip(min=1e-12)
    count = len(unit)
    if count < 2:
        return 1.0
    total = unit.sum(0, dtype=np.float64)
    return float((total @ total - count) / (count * (count - 1)))


def outside_share(pixels: Floats, clean: Floats, std: Floats) -> float:
    """The share of pixels more than BEYOND standard deviations outside the clean images' range, channel by channel.

    Shapes: pixels [M, channels, H, W]; clean [N, channels, H, W]; std [channels], of the clean pixels.
    """
    low, high, margin = clean.min((0, 2, 3)), clean.max((0, 2, 3)), BEYOND * std
    values = np.moveaxis(pixels, 1, -1)
    return float(((values < low - margin) | (values > high + margin)).mean())


def flipped_agreement(params: Params, network: Network, synthetic: Synthetic, perturbed: Perturbed) -> dict[str, float]:
    """How networks trained on the synthetic set classify real images with a flipped label, at most FLIPPED_IMAGES.

    flipped_agreement: the share to which they give the wrong label; flipped_corrected: the true label. Empty without
    flips.
    """
    from mim4dd.evaluation import classify

    rows: Integers = np.flatnonzero(perturbed.flipped)
    if len(rows) == 0:
        return {}
    if len(rows) > FLIPPED_IMAGES:
        rows = np.sort(generator("flipped agreement").permutation(rows)[:FLIPPED_IMAGES])
    flipped = perturbed.data.take(rows)
    guesses: npt.NDArray[np.int64] = classify(params, network, synthetic, flipped)
    return {
        "flipped_agreement": float((guesses == flipped.labels).mean()),
        "flipped_corrected": float((guesses == perturbed.clean_labels[rows]).mean()),
    }
