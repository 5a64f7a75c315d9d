"""Perturbations of a split: class imbalance, label noise and pixel corruption, each recording what it changed."""

from perturbations.arrays import perturb
from perturbations.catalogue import PERTURBATIONS, Perturbation, Perturbed, chain, label_noise, parse_chain, text_of
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
from perturbations.imbalance import ExponentialImbalance, StepImbalance
from perturbations.labels import (
    AsymmetricNoise,
    HumanNoise,
    InstanceNoise,
    MatrixNoise,
    NotDominantWarning,
    PairFlip,
    SymmetricNoise,
)

__all__ = [
    "PERTURBATIONS",
    "AsymmetricNoise",
    "Brightness",
    "Contrast",
    "DefocusBlur",
    "ExponentialImbalance",
    "GaussianNoise",
    "HumanNoise",
    "ImpulseNoise",
    "InstanceNoise",
    "Jpeg",
    "MatrixNoise",
    "NotDominantWarning",
    "Occlusion",
    "PairFlip",
    "Perturbation",
    "Perturbed",
    "Pixelate",
    "ShotNoise",
    "StepImbalance",
    "SymmetricNoise",
    "chain",
    "label_noise",
    "parse_chain",
    "perturb",
    "text_of",
]
