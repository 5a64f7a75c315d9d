"""Label noise: some labels are wrong."""

from perturbations.labels.expected import expected_share
from perturbations.labels.human import HumanNoise
from perturbations.labels.instance import InstanceNoise
from perturbations.labels.matrix import MatrixNoise, NotDominantWarning
from perturbations.labels.pairflip import PairFlip
from perturbations.labels.semantic import AsymmetricNoise
from perturbations.labels.symmetric import SymmetricNoise

__all__ = [
    "AsymmetricNoise",
    "HumanNoise",
    "InstanceNoise",
    "MatrixNoise",
    "NotDominantWarning",
    "PairFlip",
    "SymmetricNoise",
    "expected_share",
]
