"""Perturbations of a split, each recording what it changed: imbalance, cues, label noise, cleaning, corruption."""

from perturbations.arrays import perturb
from perturbations.catalogue import (
    PERTURBATIONS,
    Perturbation,
    Perturbed,
    chain,
    label_noise,
    parse_chain,
    parse_corruptions,
    pixel_corruptions,
    stage_of,
    text_of,
)
from perturbations.cleaning import NEEDS_CLEANLAB, Dropped
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
from perturbations.cues import ColourCue, CorruptionCue, GreyCue, PlantedCue, cue_of
from perturbations.imbalance import ExponentialImbalance, StepImbalance
from perturbations.labels import (
    AsymmetricNoise,
    HumanNoise,
    InstanceNoise,
    MatrixNoise,
    NotDominantWarning,
    PairFlip,
    SymmetricNoise,
    expected_share,
)
from perturbations.stages import STAGES, Stage

__all__ = [
    "NEEDS_CLEANLAB",
    "PERTURBATIONS",
    "STAGES",
    "AsymmetricNoise",
    "Brightness",
    "ColourCue",
    "Contrast",
    "CorruptionCue",
    "DefocusBlur",
    "Dropped",
    "ExponentialImbalance",
    "GaussianNoise",
    "GreyCue",
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
    "PlantedCue",
    "ShotNoise",
    "Stage",
    "StepImbalance",
    "SymmetricNoise",
    "chain",
    "cue_of",
    "expected_share",
    "label_noise",
    "parse_chain",
    "parse_corruptions",
    "perturb",
    "pixel_corruptions",
    "stage_of",
    "text_of",
]
