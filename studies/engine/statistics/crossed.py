"""Variance components of crossed data: settings x seeds, with the evaluation networks nested in seeds.

All settings of a study share the seeds, and network e of seed r starts from the same weights for every setting:

  y[s, r, e] = mean + setting_s + seed_r + network_re + (setting x seed)_sr + (setting x network)_sre

Each component is a linear combination of independent mean squares (analysis of variance by moments). Its interval is a
generalized confidence interval: with U_i ~ chi2(df_i), the combination of MS_i df_i / U_i is drawn, and its 2.5th and
97.5th percentiles are clipped at 0. It is exact for a single mean square. Under normal effects, the coverage is .93 to
.98 at 8 to 64 settings, 3 to 10 seeds and 3 to 10 networks; under skewed ones it is less (docs/results/calibration.md).
Source: Searle, Casella, McCulloch 1992, "Variance components", section 4.3; Weerahandi 1993, "Generalized confidence
intervals"; Burdick & Graybill 1992, "Confidence intervals on variance components", chapter 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from mim4dd.seeding import generator

from .means import Array, checked

DRAWS = 10_000
TAILS = (0.025, 0.975)


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; the bounds are None if the method gives none at this size."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class CrossedComponents:
    """Standard deviations, in the units of y; None if the design cannot separate a component.

    settings: between settings. seeds: between seeds, common to all settings. networks: between networks of a seed,
    common to all settings. setting_by_seed, setting_by_network: the interactions, the latter with the residual. With
    one network per set, `networks` and the interactions are None, and `seeds` includes the network of each seed.
    paired: the noise of one set that does not cancel when settings are compared within a seed,
    sqrt(setting_by_seed^2 + setting_by_network^2 / E); the standard error of a setting's mean over R seeds, for
    comparing settings, is paired / sqrt(R). effect_to_paired: settings / paired, with the exact F interval.
    Of S settings and R seeds, n_settings and n_seeds form the complete table that is analysed; lost_settings and
    lost_seeds were left out. If settings failed because they are bad, `settings` is understated.
    """

    settings: Estimate | None
    seeds: Estimate | None
    networks: Estimate | None
    setting_by_seed: Estimate | None
    setting_by_network: Estimate | None
    paired: Estimate | None
    effect_to_paired: Estimate | None
    n_settings: int
    n_seeds: int
    n_networks: int
    lost_settings: int
    lost_seeds: int


@dataclass(frozen=True)
class SetComponents:
    """Standard deviations of one setting, in the units of y; None if the design cannot separate a component.

    sets: between sets, network noise removed (with one network per set: included). networks: between networks of a set.
    Of R sets, lost_sets have no network.
    """

    sets: Estimate | None
    networks: Estimate | None
    n_sets: int
    lost_sets: int


@dataclass(frozen=True)
class _MeanSquare:
    value: float
    df: int


def crossed_components(y: ArrayLike) -> CrossedComponents:
    """Components of the largest complete table of settings and seeds, found greedily.

    The setting or seed with the largest share of incomplete sets is left out until none is incomplete.
    Shapes: y [S, R, E], NaN where a trial failed.
    Units: those of y.
    """
    scores = checked(y)
    kept = complete_table(scores)
    S, R, E = kept.shape
    lost_settings, lost_seeds = scores.shape[0] - S, scores.shape[1] - R
    if min(S, R) < 2:
        return CrossedComponents(None, None, None, None, None, None, None, S, R, E, lost_settings, lost_seeds)
    setting, seed, network, cell, residual = _mean_squares(np.ascontiguousarray(kept))
    several = E > 1
    return CrossedComponents(
        settings=_component((1 / (R * E), setting), (-1 / (R * E), cell)),
        seeds=_component(
            *((sign / (S * E), square) for sign, square in ((1, seed), (-1, cell), (-1, network), (1, residual)))
        ),
        networks=_component((1 / S, network), (-1 / S, residual)) if several else None,
        setting_by_seed=_component((1 / E, cell), (-1 / E, residual)) if several else None,
        setting_by_network=_component((1, residual)) if several else None,
        paired=_component((1 / E, cell)),
        effect_to_paired=_ratio(setting, cell, R),
        n_settings=S,
        n_seeds=R,
        n_networks=E,
        lost_settings=lost_settings,
        lost_seeds=lost_seeds,
    )


def set_components(y: ArrayLike) -> SetComponents:
    """Components between the sets of one setting and between the networks of a set (one-way analysis of variance).

    With unequal numbers of networks, means of sets are not weighted, and their noise follows the harmonic mean.
    Shapes: y [R, E], NaN where a network is missing.
    Units: those of y.
    Source: Burdick & Graybill 1992, section 4.3 (unweighted sums of squares).
    """
    scores = checked(np.asarray(y, dtype=float)[None])[0]
    present = np.isfinite(scores)
    count = present.sum(axis=1)
    scores, present, count = scores[count > 0], present[count > 0], count[count > 0]
    R, lost = len(count), int((~np.isfinite(np.asarray(y, dtype=float)).any(axis=1)).sum())
    if R == 0:
        return SetComponents(None, None, 0, lost)
    means = np.where(present, scores, 0.0).sum(axis=1) / count
    squares = (np.where(present, scores - means[:, None], 0.0) ** 2).sum()
    spare, harmonic = int((count - 1).sum()), R / (1 / count).sum()
    within = _MeanSquare(float(_rounded(squares, scores[present])) / max(spare, 1), spare)
    between = _MeanSquare(float(_rounded(harmonic * ((means - means.mean()) ** 2).sum(), means)) / max(R - 1, 1), R - 1)
    return SetComponents(
        sets=_component((1 / harmonic, between), (-1 / harmonic, within)) if R > 1 else None,
        networks=_component((1, within)) if spare else None,
        n_sets=R,
        lost_sets=lost,
    )


def complete_table(y: Array) -> Array:
    """The settings and seeds of y whose sets all have every network. Shapes: y [S, R, E]; out [S', R', E']."""
    table = y[:, :, np.isfinite(y).any(axis=(0, 1))]
    if table.shape[2] == 0:
        return y[:0]
    holes = ~np.isfinite(table).all(axis=2)
    while holes.any():
        rows, columns = holes.mean(axis=1), holes.mean(axis=0)
        axis, share = (0, rows) if rows.max() >= columns.max() else (1, columns)
        worst = int(share.argmax())
        table, holes = np.delete(table, worst, axis), np.delete(holes, worst, axis)
    return table


def _mean_squares(y: Array) -> tuple[_MeanSquare, _MeanSquare, _MeanSquare, _MeanSquare, _MeanSquare]:
    """Of settings, seeds, networks of a seed, settings x seeds, and the residual."""
    S, R, E = y.shape
    mean, setting, seed = y.mean(), y.mean(axis=(1, 2)), y.mean(axis=(0, 2))
    network, cell = y.mean(axis=0), y.mean(axis=2)
    residual = y - cell[:, :, None] - network[None] + seed[None, :, None]
    sums = (
        (R * E * ((setting - mean) ** 2).sum(), S - 1),
        (S * E * ((seed - mean) ** 2).sum(), R - 1),
        (S * ((network - seed[:, None]) ** 2).sum(), R * (E - 1)),
        (E * ((cell - setting[:, None] - seed[None] + mean) ** 2).sum(), (S - 1) * (R - 1)),
        ((residual**2).sum(), (S - 1) * R * (E - 1)),
    )
    a, b, c, d, e = (_MeanSquare(float(_rounded(total, y)) / max(df, 1), df) for total, df in sums)
    return a, b, c, d, e


def _rounded(total: float, y: Array) -> float:
    """0 for a sum of squares that is no larger than its rounding errors: equal accuracies must give 0."""
    return 0.0 if total <= y.size * (1e-13 * np.abs(y).max(initial=0.0)) ** 2 else total


def _component(*terms: tuple[float, _MeanSquare]) -> Estimate:
    """The square root of a linear combination of mean squares, clipped at 0. A mean square without df counts as 0."""
    used = [(weight, square) for weight, square in terms if square.df]
    value = sum(weight * square.value for weight, square in used)
    if len(used) == 1:
        ((weight, square),) = used
        low, high = (weight * square.value * square.df / stats.chi2.isf(tail, square.df) for tail in TAILS)
    else:
        draws = np.zeros(DRAWS)
        for position, (weight, square) in enumerate(used):
            draws += weight * square.value * _inverse_chi2(position, square.df)
        low, high = np.quantile(draws, TAILS)
    return Estimate(*(math.sqrt(max(float(one), 0.0)) for one in (value, low, high)))


@lru_cache(maxsize=64)
def _inverse_chi2(position: int, df: int) -> Array:
    """Draws of df / chi2(df): those of one position are independent of another's."""
    return np.asarray(df / generator("statistics.crossed", position, df).chisquare(df, size=DRAWS))


def _ratio(setting: _MeanSquare, cell: _MeanSquare, R: int) -> Estimate | None:
    """settings / paired: MS_setting / MS_cell is (1 + R ratio^2) times an F(df_setting, df_cell) variable."""
    if cell.value == 0:
        return None
    f = setting.value / cell.value
    quantiles = (1.0, *(stats.f.isf(tail, setting.df, cell.df) for tail in TAILS))
    value, low, high = (math.sqrt(max((f / quantile - 1) / R, 0.0)) for quantile in quantiles)
    return Estimate(value, low, high)
