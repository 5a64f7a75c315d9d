"""Pixel corruption: a subset of Hendrycks & Dietterich's, with their CIFAR constants, and occlusion.

It is a subset, on other data sets: do not call it CIFAR-C. Images keep their labels and their number, so a test split
may be corrupted as well as a training split.
"""

from perturbations.corruption.compression import Jpeg, Pixelate
from perturbations.corruption.defocus import DefocusBlur
from perturbations.corruption.light import Brightness, Contrast
from perturbations.corruption.noise import GaussianNoise, ImpulseNoise, ShotNoise
from perturbations.corruption.occlusion import Occlusion

__all__ = [
    "Brightness",
    "Contrast",
    "DefocusBlur",
    "GaussianNoise",
    "ImpulseNoise",
    "Jpeg",
    "Occlusion",
    "Pixelate",
    "ShotNoise",
]
