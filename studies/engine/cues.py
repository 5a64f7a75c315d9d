"""What a planted cue does to a trial: what its splits show, how networks follow it, whether its set has it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mim4dd.records import Floats, ImageData, Integers, Splits, Synthetic
from mim4dd.seeding import sampled_rows
from perturbations.cues.planting import ALIGNED, CONFLICTING, PlantedCue, shown, unbiased, values_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mim4dd.networks import Network
    from mim4dd.networks.stacked import Params

# The real images from which the values of a cue are learnt, at most.
DECODER_IMAGES = 2_000
# The share of the statistics' covariance that is replaced by their mean variance, so that it can be inverted.
SHRINKAGE = 0.05


def seen(splits: Splits, cue: PlantedCue | None, seed: int) -> Splits:
    """The splits as a trial under a chain with this cue sees them: validation and test images have it too, unbiased.

    The training images are as they were: the chain perturbs them. Without a cue, the same object.
    """
    if cue is None:
        return splits
    validation, test = (unbiased(cue, part)(part, seed=seed).data for part in (splits.validation, splits.test))
    return replace(splits, validation=validation, test=test)


def scored_by_part(
    params: Params, network: Network, synthetic: Synthetic, test: ImageData, cue: PlantedCue | None, seed: int
) -> dict[str, dict[str, Any]]:
    """The scores on test images that are all aligned with their class, and all in conflict with it; none without a cue.

    test: without the cue. `cue_followed`: the share of conflicting images that each network gives a class of their cue.
    """
    from studies.engine.measuring import scored

    if cue is None:
        return {}
    own, found = cue.own(test), dict[str, dict[str, Any]]()
    for part in (ALIGNED, CONFLICTING):
        planted = shown(cue, test, part)
        data = planted(test, seed=seed).data
        predictions, found[part] = scored(params, network, synthetic, data, "test")
        if part == CONFLICTING:
            followed = own[predictions] == values_of(planted, test, seed)
            found[part]["cue_followed"] = followed.mean(axis=1).tolist()
    return found


def decoded(synthetic: Synthetic, splits: Splits, cue: PlantedCue, seed: int) -> dict[str, float]:
    """How far the cue can be read from a synthetic set.

    cue_decoded: the share of its images, their pixels clipped to [0, 1], in which a decoder reads the value tied to
    their class; cue_decoder_accuracy: the share of validation images whose value it reads. The decoder learns from real
    images whose class says nothing about the cue. splits: without the cue.
    """
    train, validation = (_some(part, seed) for part in (splits.train, splits.validation))
    planted = unbiased(cue, train)
    read = decoder(planted(train, seed=seed).data.images, values_of(planted, train, seed))
    held_out, values = planted(validation, seed=seed).data.images, values_of(planted, validation, seed)
    own = cue.own(train)[synthetic.labels]
    return {
        "cue_decoded": float((read(np.clip(synthetic.pixels, 0, 1)) == own).mean()),
        "cue_decoder_accuracy": float((read(held_out) == values).mean()),
    }


def _some(data: ImageData, seed: int) -> ImageData:
    """At most DECODER_IMAGES of a split."""
    return data.take(sampled_rows(len(data), DECODER_IMAGES, "cue decoder", seed))


def decoder(images: Floats, values: Integers) -> Callable[[Floats], Integers]:
    """The linear discriminant of a cue's values in `statistics` of images: reads the value of each image, [n].

    It reads values that are among those alone. Shapes: images [N, channels, H, W]; values [N].
    Source: Fisher's discriminant for several classes of equal weight, its covariance shrunk (Friedman 1989).
    """
    found = statistics(images)
    scale = found.std(axis=0).clip(min=1e-9)
    found = found / scale
    present, place = np.unique(values, return_inverse=True)
    means = np.array([found[values == value].mean(axis=0) for value in present])
    covariance = np.cov(found - means[place], rowvar=False)
    size = len(covariance)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * max(np.trace(covariance) / size, 1e-6) * np.eye(size)
    weights = np.linalg.solve(covariance, means.T)
    offset = 0.5 * (means * weights.T).sum(axis=1)

    def read(pixels: Floats) -> Integers:
        return np.asarray(present[(statistics(pixels) / scale @ weights - offset).argmax(axis=1)])

    return read


def statistics(images: Floats) -> npt.NDArray[np.float64]:
    """Mean, deviation, mean step down and across of each channel, how far channels differ: [N, 4 * channels + 1]."""
    values = images.astype(np.float64)
    steps = [np.abs(np.diff(values, axis=axis)).mean(axis=(2, 3)) for axis in (2, 3)]
    apart = values.std(axis=1).mean(axis=(1, 2))[:, None]
    return np.concatenate([values.mean(axis=(2, 3)), values.std(axis=(2, 3)), *steps, apart], axis=1)
