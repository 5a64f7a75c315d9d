"""Perturbations of a split: class imbalance and label noise, each recording what it realised."""

from perturbations.catalogue import PERTURBATIONS, Perturbation, Perturbed, chain, label_noise, parse_chain, text_of
from perturbations.imbalance import ExponentialImbalance, StepImbalance
from perturbations.labels import PairFlip, SymmetricNoise

__all__ = [
    "PERTURBATIONS",
    "ExponentialImbalance",
    "PairFlip",
    "Perturbation",
    "Perturbed",
    "StepImbalance",
    "SymmetricNoise",
    "chain",
    "label_noise",
    "parse_chain",
    "text_of",
]
