"""Perturbations of the training split: label noise and class imbalance, each recording what it realised."""

from perturbations.catalogue import PERTURBATIONS, Perturbation, Perturbed, chain, parse_chain
from perturbations.imbalance import ExponentialImbalance
from perturbations.label_noise import SymmetricNoise

__all__ = [
    "PERTURBATIONS",
    "ExponentialImbalance",
    "Perturbation",
    "Perturbed",
    "SymmetricNoise",
    "chain",
    "parse_chain",
]
