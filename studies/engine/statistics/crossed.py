"""Variance components of a crossed design: settings, seeds, and networks that are the same for every setting of a seed.

    y[s, r, e] = mean + setting_s + seed_r + network_(r)e + (setting x seed)_sr + (setting x network)_s(r)e

Seeds and networks that all settings share cancel when two settings are compared on one seed; what does not cancel is
the paired error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mim4dd.seeding import generator

from .means import Array, checked

DRAWS = 10_000
# Components as weights of the mean squares, to be divided by the number of values that a level of each averages over.
SETTING, SEED, NETWORK, SETTING_SEED, SETTING_NETWORK = "setting", "seed", "network", "setting_seed", "setting_network"


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; the bounds are None where there is none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class CrossedComponents:
    """Standard deviations in the units of y; None where the design cannot separate a component.

    settings, seeds, networks: between them; setting_seed: of a setting on a seed; setting_network: of a network on the
    set of a setting, which includes all that is left. paired: of a set less what all settings share with it, for the
    mean over its networks. effect_to_paired: settings / paired. With one setting, seeds and networks are those of its
    sets. lost: sets left out, with the settings or seeds that lack them.
    """

    settings: Estimate | None
    seeds: Estimate | None
    networks: Estimate | None
    setting_seed: Estimate | None
    setting_network: Estimate | None
    paired: Estimate | None
    effect_to_paired: Estimate | None
    n_settings: int
    n_seeds: int
    n_networks: int
    lost: int


def crossed_components(y: ArrayLike, *, seed: int = 0) -> CrossedComponents:
    """ANOVA estimates from the mean squares, with generalised confidence intervals.

    An estimate below 0 is 0. Interval: each expected mean square is drawn as MS df / chi^2(df); the components of the
    draws have the 2.5th and 97.5th percentile as bounds, negative ones counting as 0. paired has the exact chi-square
    interval, by the same draws. A setting that lacks more than half of its sets is left out, then seeds on which
    another one lacks its set, so that the rest is balanced.

    Shapes: y [S, R, E], NaN where a trial failed.
    Source: Searle, Casella & McCulloch 1992, "Variance components"; Weerahandi 1993 and Hannig, Iyer & Patterson 2006
    for the intervals.
    """
    scores = checked(y)
    balanced = _balanced(scores)
    S, R, E = balanced.shape
    squares = _mean_squares(balanced)
    rng = generator("statistics.crossed_components", seed, S, R, E)
    drawn = {
        name: square * df / rng.chisquare(df, DRAWS) if square > 0 else np.zeros(DRAWS)
        for name, (square, df) in squares.items()
    }
    value, draws = (_variances(table, S, R, E) for table in ({k: np.array(v[0]) for k, v in squares.items()}, drawn))

    def estimate(name: str, other: str = "") -> Estimate | None:
        if name not in value or (other and not value[other] > 0):
            return None
        of_value, of_draws = (np.sqrt(np.maximum(of[name], 0) / (of[other] if other else 1.0)) for of in (value, draws))
        low, high = np.quantile(of_draws, [0.025, 0.975])
        return Estimate(float(of_value), float(low), float(high))

    return CrossedComponents(
        settings=estimate(SETTING),
        seeds=estimate(SEED),
        networks=estimate(NETWORK),
        setting_seed=estimate(SETTING_SEED),
        setting_network=estimate(SETTING_NETWORK),
        paired=estimate("paired"),
        effect_to_paired=estimate(SETTING, "paired") if SETTING in value else None,
        n_settings=S,
        n_seeds=R,
        n_networks=E,
        lost=int(np.isnan(scores).all(axis=2).sum()),
    )


def _balanced(scores: Array) -> Array:
    """The settings, seeds and networks between which nothing is missing: [S, R, E]."""
    present = np.isfinite(scores).any(axis=2)
    kept = scores[present.mean(axis=1) >= 0.5]
    kept = kept[:, np.isfinite(kept).any(axis=2).all(axis=0)]
    return np.asarray(kept[:, :, np.isfinite(kept).all(axis=(0, 1))])


def _mean_squares(y: Array) -> dict[str, tuple[float, int]]:
    """Mean squares with their degrees of freedom, of those sources that have any."""
    if y.size == 0:
        return {}
    S, R, E = y.shape
    of_set, of_network, of_setting, of_seed, mean = (y.mean(axis) for axis in ((2,), (0,), (1, 2), (0, 2), None))
    parts = {
        SETTING: (of_setting - mean, R * E, S - 1),
        SEED: (of_seed - mean, S * E, R - 1),
        NETWORK: (of_network - of_network.mean(-1, keepdims=True), S, R * (E - 1)),
        SETTING_SEED: (of_set - of_setting[:, None] - of_seed + mean, E, (S - 1) * (R - 1)),
        SETTING_NETWORK: (
            y - of_set[:, :, None] - of_network + of_network.mean(-1, keepdims=True),
            1,
            (S - 1) * R * (E - 1),
        ),
    }
    # Rounding errors: equal accuracies have a mean square of 0.
    tiny = (1e-12 * float(np.abs(y).max(initial=0.0))) ** 2
    squares = {name: (float((part**2).sum()) * size / df, df) for name, (part, size, df) in parts.items() if df > 0}
    return {name: (square if square > tiny else 0.0, df) for name, (square, df) in squares.items()}


def _variances(squares: Mapping[str, Array], S: int, R: int, E: int) -> dict[str, Array]:
    """Components from (draws of) expected mean squares.

    E MS_setting = v_sn + E v_sr + R E v_setting; E MS_seed = v_sn + E v_sr + S v_network + S E v_seed;
    E MS_network = v_sn + S v_network; E MS_sr = v_sn + E v_sr; E MS_sn = v_sn. One network a set: v_sr includes v_sn.
    """
    variances: dict[str, Array] = {}
    nothing = np.array(0.0)
    rest = squares.get(SETTING_NETWORK, nothing)
    interaction = squares.get(SETTING_SEED, nothing)
    if SETTING_NETWORK in squares:
        variances[SETTING_NETWORK] = rest
    if NETWORK in squares:
        variances[NETWORK] = (squares[NETWORK] - rest) / S
    if SETTING_SEED in squares:
        variances[SETTING_SEED] = (interaction - rest) / E
        variances["paired"] = interaction / E
        variances[SETTING] = (squares[SETTING] - interaction) / (R * E)
    if SEED in squares and (SETTING_SEED in squares or S == 1):
        of_networks = squares.get(NETWORK, nothing) - rest
        variances[SEED] = (squares[SEED] - interaction - of_networks) / (S * E)
    return variances
