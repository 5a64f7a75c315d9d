"""Choosing settings: the best, the region of the best, and how much choosing on test would overstate.

A setting that lost a seed is not eligible to be best (a mean of fewer sets varies more); such settings are counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .means import Array, set_means


@dataclass(frozen=True)
class Leak:
    """How much choosing on test overstates: test mean of best-on-test minus test mean of best-on-validation."""

    leak: float | None
    on_test: int | None
    on_validation: int | None
    eligible: int
    ineligible: int


def best_setting(y: ArrayLike) -> int | None:
    """The setting with the highest mean over seeds of those that lost no set, the first of ties; None if all did.

    Shapes: y [S, R, E].
    """
    cells = set_means(y)
    return _argbest(cells, _complete(cells))


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


def one_standard_error_region(y: ArrayLike) -> tuple[int, ...]:
    """The eligible settings whose mean is within one paired standard error of the best.

    The standard error is that of the difference of two settings on the same seeds, from the interaction of settings
    and seeds over all eligible settings; with one seed it is unknown, and only ties remain.

    Shapes: y [S, R, E]; out: indices in ascending order, empty without an eligible setting.
    Source: Breiman et al. 1984, "Classification and regression trees", section 3.4.3 (the 1-SE rule).
    """
    cells = set_means(y)
    eligible = np.flatnonzero(_complete(cells))
    if len(eligible) == 0:
        return ()
    kept, seeds = cells[eligible], cells.shape[1]
    means, spare = kept.mean(axis=1), (len(kept) - 1) * (seeds - 1)
    residual = kept - means[:, None] - kept.mean(axis=0) + kept.mean()
    error = float(np.sqrt(2 * (residual**2).sum() / spare / seeds)) if spare else 0.0
    return tuple(int(i) for i in eligible[means >= means.max() - error])
