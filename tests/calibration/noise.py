"""Simulated studies: the crossed model with the standard deviations of the studies on digits, in points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.normal(size=shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """An exponential's negative, mean 0 and variance 1: some runs fail badly, none succeeds as well."""
    return 1 - rng.exponential(size=shape)


@dataclass(frozen=True)
class Noise:
    """Standard deviations of the effects, in points, and their law."""

    name: str
    seed: float
    network: float
    setting_by_seed: float
    setting_by_network: float
    law: Callable[[np.random.Generator, tuple[int, ...]], Array]

    def paired(self, networks: int) -> float:
        """The standard deviation of a set's mean that stays when settings are compared within a seed."""
        return float(np.sqrt(self.setting_by_seed**2 + self.setting_by_network**2 / networks))

    def scores(self, rng: np.random.Generator, effects: Array, seeds: int, networks: int) -> Array:
        """Accuracies [S, seeds, networks] of settings with these effects [S]."""
        settings = len(effects)
        return np.asarray(
            effects[:, None, None]
            + self.seed * self.law(rng, (1, seeds, 1))
            + self.network * self.law(rng, (1, seeds, networks))
            + self.setting_by_seed * self.law(rng, (settings, seeds, 1))
            + self.setting_by_network * self.law(rng, (settings, seeds, networks))
        )


NORMAL = Noise("normal", 0.9, 0.5, 0.3, 0.3, normal)
SKEWED = Noise("skewed", 0.9, 0.5, 0.3, 0.3, skewed)
NETWORKS = Noise("networks", 0.9, 1.9, 0.1, 0.65, normal)
NOISES = (NORMAL, SKEWED, NETWORKS)
