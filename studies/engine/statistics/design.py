"""Coordinates of settings: checks of unit-scaled coordinates, and evenly spread points to average over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import qmc

from mim4dd.seeding import Name, generator

from .means import Array


def checked_design(x: ArrayLike, names: Sequence[str], *, settings: int, dummy: str | None = None) -> Array:
    """x as floats [S, d] in [0, 1].

    Raises: ValueError if x is not [settings, len(names)] or not in [0, 1], or if dummy is not among the names.
    """
    points = np.asarray(x, dtype=float)
    if points.shape != (settings, len(names)) or len(names) == 0:
        raise ValueError(f"x must be [settings, knobs] = [{settings}, {len(names)}], got shape {points.shape}")
    if len(set(names)) != len(names):
        raise ValueError(f"names must differ, got {list(names)}")
    if not ((points >= 0) & (points <= 1)).all():
        raise ValueError(
            f"x must be unit-scaled into [0, 1], got {points.min()} to {points.max()}; scale log knobs by their "
            "logarithm"
        )
    if dummy is not None and dummy not in names:
        raise ValueError(f"dummy must be one of {list(names)}, got {dummy!r}")
    return points


def even_points(count: int, d: int, *seed: Name) -> Array:
    """A Sobol sequence [count, d] in [0, 1) shifted at random (modulo 1); count a power of 2."""
    shift = generator("statistics.even_points", d, *seed).random(d)
    return np.asarray((qmc.Sobol(d, scramble=False).random(count) + shift) % 1.0)
