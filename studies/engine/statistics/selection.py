"""Choosing a setting and the value of the choice: the best, its 1-SE region, the default's regret, the test leak.

A setting that lost a seed is not eligible to be best (a mean of fewer sets varies more); such settings are counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .intervals import PairedInterval, paired_interval
from .means import Array, set_means


@dataclass(frozen=True)
class Best:
    """The setting with the highest mean over seeds; None if no setting has all its sets. se is None with one seed."""

    index: int | None
    mean: float | None
    se: float | None
    seeds: int
    eligible: int
    ineligible: int


@dataclass(frozen=True)
class Region:
    """Eligible settings whose mean is at least `threshold`, in ascending order of their indices."""

    indices: tuple[int, ...]
    threshold: float | None
    best: Best


@dataclass(frozen=True)
class Regret:
    """Best minus default, in the units of y. choices: the setting chosen without each seed, in the order of seeds."""

    best: int | None
    default: int
    naive: PairedInterval
    cross_fitted: PairedInterval
    choices: tuple[int, ...]


@dataclass(frozen=True)
class Leak:
    """How much choosing on test overstates: test mean of best-on-test minus test mean of best-on-validation."""

    leak: float | None
    on_test: int | None
    on_validation: int | None
    eligible: int
    ineligible: int


def best_setting(y: ArrayLike) -> Best:
    """The highest mean over seeds among settings that lost no set; the first one of ties.

    Shapes: y [S, R, E].
    """
    cells = set_means(y)
    complete = _complete(cells)
    index = _argbest(cells, complete)
    seeds, eligible = cells.shape[1], int(complete.sum())
    if index is None:
        return Best(None, None, None, seeds, 0, len(cells))
    row = cells[index]
    se = float(row.std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else None
    return Best(index, float(row.mean()), se, seeds, eligible, len(cells) - eligible)


def one_standard_error_region(y: ArrayLike) -> Region:
    """Eligible settings with mean >= best mean - SE(best); with one seed the SE is unknown and only ties remain.

    Source: Breiman et al. 1984, "Classification and regression trees", section 3.4.3 (the 1-SE rule).
    """
    best = best_setting(y)
    if best.mean is None:
        return Region((), None, best)
    threshold = best.mean - (best.se or 0.0)
    means = set_means(y).mean(axis=1)  # NaN where a seed was lost, and NaN is never above a threshold
    return Region(tuple(int(i) for i in np.flatnonzero(means >= threshold)), threshold, best)


def regret_of(default: int, y: ArrayLike, *, level: float = 0.95) -> Regret:
    """Best minus default, naive and cross-fitted over seeds.

    naive: paired over seeds, at the setting that is best on these same seeds. It has the winner's curse: it is positive
    on pure noise, and its interval has no guaranteed coverage. cross_fitted: for each seed, choose the best on the
    other seeds and measure its gain over the default on the seed left out, then average: unbiased for the gain of a
    setting chosen on R - 1 seeds, and may be negative. Its t interval is approximate, since it treats R overlapping
    choices as independent.

    Shapes: y [S, R, E]; default is an index into S. Seeds that the default lost are counted in `lost`.
    Raises: ValueError if default is not such an index.
    """
    cells = set_means(y)
    if not 0 <= default < len(cells):
        raise ValueError(f"default must be an index in [0, {len(cells) - 1}], got {default}")
    complete = _complete(cells)
    best = _argbest(cells, complete)
    seeds = cells.shape[1]
    if best is None:
        nothing = PairedInterval(None, None, None, 0, seeds)
        return Regret(None, default, nothing, nothing, ())
    naive = paired_interval(cells[best], cells[default], level)
    if seeds < 2:
        return Regret(best, default, naive, PairedInterval(None, None, None, 0, naive.lost), ())
    choices = [_argbest(np.delete(cells, seed, axis=1), complete) for seed in range(seeds)]
    chosen = tuple(choice for choice in choices if choice is not None)
    held_out = cells[list(chosen), range(seeds)]
    return Regret(best, default, naive, paired_interval(held_out, cells[default], level), chosen)


def selection_leak(validation: ArrayLike, test: ArrayLike) -> Leak:
    """Best-on-test's test mean minus the test mean at best-on-validation: never negative, 0 where they agree.

    Shapes: validation, test [S, R, E], the same settings and seeds.
    Raises: ValueError if settings or seeds differ in number.
    """
    first, second = set_means(validation), set_means(test)
    if first.shape != second.shape:
        raise ValueError(f"validation and test must share settings and seeds, got {first.shape} and {second.shape}")
    complete = _complete(first) & _complete(second)
    on_validation, on_test = _argbest(first, complete), _argbest(second, complete)
    eligible = int(complete.sum())
    if on_validation is None or on_test is None:
        return Leak(None, None, None, 0, len(first))
    leak = float(second[on_test].mean() - second[on_validation].mean())
    return Leak(leak, on_test, on_validation, eligible, len(first) - eligible)


def _complete(cells: Array) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(cells).all(axis=1))


def _argbest(cells: Array, eligible: NDArray[np.bool_]) -> int | None:
    if not eligible.any():
        return None
    return int(np.argmax(np.where(eligible, cells.mean(axis=1), -np.inf)))
