"""Variance components: between settings, between sets (seeds) of a setting, between networks of a set.

Seeds are crossed with settings (a seed has the same initial images everywhere), so the variance between sets of a
setting consists of the seed's effect, common to all settings, and the effect of each pair of setting and seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mim4dd.seeding import generator

from .crossed import Estimate
from .means import Array, checked, set_means


@dataclass(frozen=True)
class VarianceComponents:
    """Standard deviations, in the units of y; None if the design cannot separate a component.

    settings: between settings, noise removed. sets: between sets of one setting. networks: between networks of a set
    (None with one network per set: then `sets` includes its noise). common_seed_share: the share of the variance
    between sets that is common to all settings, in [0, 1]. effect_to_noise: settings / sets.
    """

    settings: Estimate | None
    sets: Estimate | None
    networks: Estimate | None
    common_seed_share: Estimate | None
    effect_to_noise: Estimate | None
    n_settings: int
    n_seeds: int
    lost_settings: int
    lost_sets: int


def variance_components(y: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> VarianceComponents:
    """Nested ANOVA with crossed seeds, by moments: unbiased before clipping at 0, balanced or not.

    For two sets a, b let h = (mean_a - mean_b)^2 / 2 - v_networks (1/E_a + 1/E_b) / 2, and average h over pairs:
      same setting, other seed:  W = v_seed + v_cell    (the nested ANOVA's variance between sets)
      other setting, same seed:  A = v_setting + v_cell
      both other:                T = v_setting + v_seed + v_cell
    so v_setting = T - W, v_seed = T - A, v_cell = W + A - T. In a balanced design these are the ANOVA estimators.
    The bootstrap draws settings, without pairs of a setting with its own copy. Its intervals are conditional on these
    seeds: with 3 to 5 of them, little is known about v_seed for others.

    Shapes: y [S, R, E], NaN where a trial failed.
    Units: those of y.
    """
    scores = checked(y)
    cells = set_means(scores)
    kept = np.asarray(np.isfinite(cells).any(axis=1))
    sums = _pair_sums(scores[kept])
    n = int(kept.sum())
    components = _components(sums, np.ones((1, n)))
    rng = generator("statistics.variance_components", seed, n)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=resamples) if n >= 5 else np.empty((0, n))
    spread = _components(sums, drawn.astype(float))
    settings, sets, networks, share, ratio = (
        _estimate(float(value[0]), draws) for value, draws in zip(components, spread, strict=True)
    )
    return VarianceComponents(
        settings=settings,
        sets=sets,
        networks=networks,
        common_seed_share=share,
        effect_to_noise=ratio,
        n_settings=n,
        n_seeds=int(np.isfinite(cells).any(axis=0).sum()),
        lost_settings=len(kept) - n,
        lost_sets=int(np.isnan(cells).sum()),
    )


def _pair_sums(y: Array) -> dict[str, Array]:
    """Sums over pairs of sets, for every pair of settings: squared differences, 1/E terms and counts of pairs.

    Shapes: same_* and other_* [S, S] (a setting with itself on the diagonal); within, spare [S].
    """
    cells, count = set_means(y), np.isfinite(y).sum(axis=2)
    deviations = np.where(np.isfinite(y), y - cells[:, :, None], 0.0)
    present = count > 0
    inverse = np.where(present, 1 / np.maximum(count, 1), 0.0)
    both = present[:, None, :, None] & present[None, :, None, :]
    gap = np.where(present, cells, 0.0)
    squares = np.where(both, (gap[:, None, :, None] - gap[None, :, None, :]) ** 2 / 2, 0.0)
    noise = np.where(both, (inverse[:, None, :, None] + inverse[None, :, None, :]) / 2, 0.0)
    # Rounding errors: equal accuracies must give 0, not a ratio of rounding errors.
    tiny = np.full(1, (1e-12 * np.abs(gap).max(initial=0.0)) ** 2)
    sums = {"tiny": tiny, "within": (deviations**2).sum(axis=(1, 2)), "spare": (np.maximum(count, 1) - 1.0).sum(axis=1)}
    for name, part in (("square", squares), ("noise", noise), ("count", both.astype(float))):
        same = np.einsum("ijrr->ij", part)
        sums[f"same_{name}"], sums[f"other_{name}"] = same, part.sum(axis=(2, 3)) - same
    return sums


def _components(sums: dict[str, Array], weights: Array) -> tuple[Array, Array, Array, Array, Array]:
    """The five numbers of VarianceComponents for each row of weights [B, S]; NaN if not estimable."""
    with np.errstate(divide="ignore", invalid="ignore"):
        networks = (weights @ sums["within"]) / (weights @ sums["spare"])
        v_networks = np.where(np.isfinite(networks), networks, 0.0)

        def average(kind: str, inside: bool) -> Array:
            def total(name: str) -> Array:
                table = sums[f"{kind}_{name}"]
                if inside:
                    return weights @ np.diag(table)
                return np.einsum("bi,ij,bj->b", weights, table - np.diag(np.diag(table)), weights)

            return np.asarray((total("square") - v_networks * total("noise")) / total("count"))

        between_sets = average("other", inside=True)
        same_seed, neither = average("same", inside=False), average("other", inside=False)
        parts = (neither - between_sets, neither - same_seed, between_sets)
        settings, seeds, sets = (np.where(part <= sums["tiny"], 0.0, part) for part in parts)
        share = np.where(sets > 0, np.minimum(seeds / sets, 1), np.nan)
        ratio = np.where(sets > 0, np.sqrt(settings / sets), np.nan)
    return np.sqrt(settings), np.sqrt(sets), np.sqrt(networks), share, ratio


def _estimate(value: float, draws: Array) -> Estimate | None:
    if not np.isfinite(value):
        return None
    finite = draws[np.isfinite(draws)]
    if len(finite) == 0:
        return Estimate(value, None, None)
    low, high = np.quantile(finite, [0.025, 0.975])
    return Estimate(value, float(low), float(high))
