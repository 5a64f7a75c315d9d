"""Choosing a setting and the value of the choice: the best, its 1-SE region, the default's regret, the test leak.

A setting that lost a seed is not eligible to be best (a mean of fewer sets varies more); such settings are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .crossed import crossed_components
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
class SplitChoice:
    """A choice on some seeds, to be judged on the others: no seed has a part in both.

    best: the highest mean over the choosing seeds, None if no setting has all of their sets. region: the settings whose
    mean is within `error` of it, in ascending order, the best included. error: the standard error of the difference of
    two settings' means over the choosing seeds (None with one of them, where only ties remain). judging: the indices of
    the other seeds.
    """

    best: int | None
    region: tuple[int, ...]
    error: float | None
    judging: tuple[int, ...]


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
    setting chosen on R - 1 seeds, and may be negative. Its t interval does not hold, since it treats R overlapping
    choices as independent: where all of 8 or 16 settings are equal, it excludes 0 in 7 to 9 % of studies of 5 seeds and
    16 % of 10, and the more seeds, the more often. `split_choice` has no such error.

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


def split_choice(y: ArrayLike, choosing: Sequence[int]) -> SplitChoice:
    """Choose a region of settings on the choosing seeds only.

    error = sqrt(2 MS / k), for the mean square of settings x seeds over the k choosing seeds: paired, since seeds shift
    all settings alike, and pooled over settings, since a setting's own k differences say little about their spread.
    A setting that lost a choosing seed cannot be chosen.

    Shapes: y [S, R, E]; choosing: indices into R.
    Raises: ValueError if choosing is empty, repeats a seed, holds an index outside R, or leaves no seed to judge on.
    Source: Breiman et al. 1984, section 3.4.3 (the 1-SE rule); Stone 1974, "Cross-validatory choice" (the split).
    """
    cells = set_means(y)
    seeds, chosen = cells.shape[1], list(choosing)
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) < set(range(seeds)):
        raise ValueError(f"choosing must name some but not all of seeds 0 to {seeds - 1}, each once, got {chosen}")
    judging = tuple(seed for seed in range(seeds) if seed not in chosen)
    seen = cells[:, chosen]
    best = _argbest(seen, _complete(seen))
    if best is None:
        return SplitChoice(None, (), None, judging)
    paired = crossed_components(seen[:, :, None]).paired
    error = None if paired is None else float(np.sqrt(2 / len(chosen)) * paired.value)
    means = seen.mean(axis=1)  # NaN where a choosing seed was lost, and NaN is never above a threshold
    region = np.flatnonzero(means >= means[best] - (error or 0.0))
    return SplitChoice(best, tuple(int(index) for index in region), error, judging)


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
