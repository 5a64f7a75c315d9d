"""From accuracies of networks to means of sets and of settings, with the number of lost trials.

Everywhere: y [S, R, E] has S settings, R seeds (one synthetic set each) and E evaluation networks nested in a set;
NaN where a trial failed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SettingMeans:
    """Means of the settings that have at least one set.

    Shapes: values [n]; kept [n] indices into the S settings; errors [n] standard errors for comparing settings, or None
    with one seed. level_error: standard error of the level common to all settings, from the spread of the seeds'
    effects (None with one seed). seeds: those with a set. lost_settings: settings without any set; lost_sets: all sets
    without an accuracy.
    """

    values: Array
    errors: Array | None
    kept: NDArray[np.int64]
    level_error: float | None
    seeds: int
    lost_settings: int
    lost_sets: int


def checked(y: ArrayLike) -> Array:
    """y as floats [S, R, E].

    Raises: ValueError if it has other axes or an infinite value.
    """
    scores = np.asarray(y, dtype=float)
    if scores.ndim != 3 or 0 in scores.shape[1:]:
        raise ValueError(
            f"y must be [settings, seeds, networks], with some seeds and networks, got shape {scores.shape}"
        )
    if np.isinf(scores).any():
        raise ValueError("y must be finite, with NaN for a failed trial, got an infinite value")
    return scores


def set_means(y: ArrayLike) -> Array:
    """Means over the networks of each set: [S, R], NaN for a set without any."""
    scores = checked(y)
    present = np.isfinite(scores)
    count = present.sum(axis=2)
    total = np.where(present, scores, 0.0).sum(axis=2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def setting_means(y: ArrayLike) -> SettingMeans:
    """Means over seeds, by least squares of set mean = setting + seed.

    Without lost sets this is the plain mean; with lost sets, it corrects for seeds that are easier than others. The
    error is the residual standard deviation (without seed effects, which shift all settings alike) over sqrt(sets).
    """
    cells = set_means(y)
    present = np.isfinite(cells)
    kept = np.flatnonzero(present.any(axis=1))
    settings, lost = len(cells), int((~present).sum())
    if len(kept) == 0:
        return SettingMeans(np.empty(0), None, kept, None, 0, settings, lost)
    cells, present = cells[kept], present[kept]
    rows, columns = np.nonzero(present)
    target = cells[rows, columns]
    design = np.hstack([np.eye(len(kept))[rows], np.eye(cells.shape[1])[columns]])
    fit, _, rank, _ = np.linalg.lstsq(design, target, rcond=None)
    seeds = fit[len(kept) :][present.any(axis=0)]
    values = fit[: len(kept)] + seeds.mean()
    if np.ptp(values) <= 1e-12 * np.abs(values).max():  # differences from rounding are no effect
        values = np.full(len(kept), values[0])
    level = float(seeds.std(ddof=1) / np.sqrt(len(seeds))) if len(seeds) > 1 else None
    spare = len(target) - int(rank)
    errors = None
    if spare > 0:
        residual = float(((target - design @ fit) ** 2).sum() / spare)
        errors = np.sqrt(residual / present.sum(axis=1))
    return SettingMeans(values, errors, kept, level, len(seeds), settings - len(kept), lost)
