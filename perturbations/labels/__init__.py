"""Label noise: some labels are wrong."""

from perturbations.labels.pairflip import PairFlip
from perturbations.labels.symmetric import SymmetricNoise

__all__ = ["PairFlip", "SymmetricNoise"]
