"""Corruption as a cue: images of a class are mostly under one kind of pixel corruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mim4dd.records import Floats, ImageData, Integers
from mim4dd.registry import knob
from perturbations.catalogue import PERTURBATIONS, Perturbation
from perturbations.corruption import (
    Brightness,
    Contrast,
    DefocusBlur,
    GaussianNoise,
    ImpulseNoise,
    Jpeg,
    Occlusion,
    Pixelate,
    ShotNoise,
)
from perturbations.cues.planting import PlantedCue, one_a_class

# Kinds that look different come first, for data of few classes; the tenth value is no corruption at all.
KINDS: tuple[Callable[..., Perturbation], ...] = (
    *(GaussianNoise, DefocusBlur, Occlusion, Contrast, Brightness),
    *(ImpulseNoise, Pixelate, Jpeg, ShotNoise),
)


@PERTURBATIONS.add("corruption_cue")
@dataclass(frozen=True, kw_only=True)
class CorruptionCue(PlantedCue):
    """Class k is tied to the k-th of gaussian_noise, defocus_blur, occlusion, contrast, brightness, impulse_noise,
    pixelate, jpeg, shot_noise and no corruption.

    On 8 x 8 pixels several of them hardly differ: see how well the cue is decoded.
    Source: ours, after Hendrycks & Dietterich 2019 (the corruptions) and Nam et al. 2020, "Learning from failure"
    (corruptions tied to CIFAR-10's classes).
    """

    correlation: float = knob(
        0.9, low=0.0, high=1.0, search=(0.1, 1.0), help="share of images under their class's corruption"
    )
    strength: int = knob(5, low=1, high=5, help="the corruptions' severity")

    def own(self, data: ImageData) -> Integers:
        return one_a_class("corruption_cue", data, len(KINDS) + 1)

    def painted(self, data: ImageData, values: Integers, seed: int) -> Floats:
        images = data.images.copy()
        for value, kind in enumerate(KINDS):
            rows = np.flatnonzero(values == value)
            images[rows] = kind(severity=self.strength)(data.take(rows), seed=seed).data.images
        return images
