"""Colour as a cue: what is drawn, or what it is drawn on, has the colour of its class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mim4dd.records import Floats, ImageData, Integers
from mim4dd.registry import knob
from perturbations.catalogue import PERTURBATIONS
from perturbations.cues.planting import PlantedCue, one_a_class, require_channels

# Red, green, blue of ten colours, none of them so light that white ink is lost on it.
COLOURS = np.array(
    [
        *((0.90, 0.10, 0.10), (0.05, 0.55, 0.10), (0.15, 0.25, 0.95), (0.85, 0.75, 0.00), (0.85, 0.10, 0.85)),
        *((0.00, 0.75, 0.80), (0.95, 0.50, 0.05), (0.40, 0.10, 0.65), (0.50, 0.30, 0.10), (0.50, 0.55, 0.60)),
    ],
    np.float32,
)


@PERTURBATIONS.add("colour")
@dataclass(frozen=True, kw_only=True)
class ColourCue(PlantedCue):
    """Grey images become colour images: the foreground is x * c on black, or white on the background c, x + (1-x) * c.

    Ten fixed colours c, the k-th tied to class k; data of C classes have the first C of them.
    Source: ours, after Kim et al. 2019, "Learning not to learn" (colours tied to MNIST's digits), and Nam et al. 2020,
    "Learning from failure" (a fixed colour a class, a stated share of conflicting images). Differs: the colours are
    not jittered, the counts are exact.
    """

    correlation: float = knob(
        0.9, low=0.0, high=1.0, search=(0.1, 1.0), help="share of images with their class's colour"
    )
    of: str = knob("foreground", choices=("foreground", "background"), help="what has the colour")

    def channels(self, channels: int) -> int:
        return COLOURS.shape[1]

    def own(self, data: ImageData) -> Integers:
        require_channels("colour", data, 1, "colour images can take the cue grey or corruption_cue")
        return one_a_class("colour", data, len(COLOURS))

    def painted(self, data: ImageData, values: Integers, seed: int) -> Floats:
        ink, colours = data.images, COLOURS[values][:, :, None, None]
        painted: Floats = ink * colours if self.of == "foreground" else ink + (1 - ink) * colours
        return painted
