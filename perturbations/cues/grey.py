"""Greyness as a cue: images of half of the classes are mostly grey, those of the other half in colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mim4dd.records import Floats, ImageData, Integers
from mim4dd.registry import knob
from perturbations.catalogue import PERTURBATIONS
from perturbations.cues.planting import PlantedCue, require_channels
from perturbations.draws import check_classes

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
GREY, COLOUR = 0, 1


@PERTURBATIONS.add("grey")
@dataclass(frozen=True, kw_only=True)
class GreyCue(PlantedCue):
    """The first half of the classes are grey, the others in colour, each in `correlation` of its images.

    Grey images keep their three channels, all equal to the luminance .299 R + .587 G + .114 B. On CIFAR-10 at 0.95 it
    is CIFAR-10-S. At correlations 1 and 0 every image is in the one version, and in the other.
    Source: Wang et al. 2020, "Towards fairness in visual recognition", section 3 (CIFAR-10-S). Differs: classes by
    label (0 to 4 are grey), exact counts.
    """

    correlation: float = knob(
        0.9, low=0.0, high=1.0, search=(0.5, 1.0), help="share of images in their class's version"
    )

    def own(self, data: ImageData) -> Integers:
        require_channels("grey", data, 3, "grey images can take the cue colour or corruption_cue")
        check_classes("grey", data)
        classes = len(data.classes)
        return np.where(np.arange(classes) < classes // 2, GREY, COLOUR)

    def painted(self, data: ImageData, values: Integers, seed: int) -> Floats:
        images = data.images.copy()
        rows = np.flatnonzero(values == GREY)
        images[rows] = np.einsum("nchw,c->nhw", data.images[rows], LUMINANCE)[:, None]
        return images
