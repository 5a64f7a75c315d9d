"""How a cost grows with the size of its input: y = a + b x^p, fitted to each repeat.

A cost is a constant (code, weights, passes over what does not grow) and a part that grows, so the slope of log y over
log x is no exponent: where the constant is most of y, it calls a quadratic flat. With the constant in the fit, p is
that of the part that grows. Errors of a cost are shares of it, hence least squares of relative errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .intervals import Interval, mean_interval

Array = NDArray[np.float64]
LOWEST, HIGHEST = 0.05, 4.0
FEWEST = 4  # distinct x: three coefficients, and one to contradict them
# A curve that rises by less than so many residual standard deviations is flat: simulated noise around a constant at 4
# to 8 points is called growth in 3 to 9% of cases, and 20% of growth under 3% noise in 95%.
STANDARD_DEVIATIONS = 3.0
ROUNDING = 1e-9  # relative; less is no growth, however small the residuals


@dataclass(frozen=True)
class Growth:
    """y = a + b x^p, a >= 0, b >= 0. p: in [LOWEST, HIGHEST], None where the data are flat (then b is 0).

    misfit: the largest |fit / y - 1| of the points.
    """

    a: float
    b: float
    p: float | None
    misfit: float

    @property
    def exponent(self) -> float | None:
        """p as an estimate: None where the data are flat, or where p is at an end of its range and a bound at most."""
        inside = self.p is not None and LOWEST < self.p < HIGHEST
        return self.p if inside else None

    def at(self, x: ArrayLike) -> Array:
        """The fitted y."""
        values = np.asarray(x, dtype=float)
        return np.full(values.shape, self.a) if self.p is None else self.a + self.b * values**self.p


@dataclass(frozen=True)
class GrowthEstimate:
    """The growth of repeats measured at the same x.

    fits: of each repeat, None with too few points; of_means: of the geometric means over repeats. exponent: the mean
    of p over the repeats that have one, with its t interval; lost: the number of the others. Simulated with 5 repeats,
    3% noise and ranges of 4 to 50 the interval covers p in 87 to 96% (least where a is 0, its bound) while fewer than
    half are lost; where most are, those that are left do not stand for all. change: of each repeat,
    log(y at the largest x / y at the smallest), NaN where one is missing; 0 where the cost does not grow.
    """

    fits: tuple[Growth | None, ...]
    of_means: Growth | None
    exponent: Interval
    lost: int
    change: tuple[float, ...]


def growth(x: ArrayLike, runs: ArrayLike) -> GrowthEstimate:
    """Fit every repeat by itself: the spread of p over repeats holds what all its sources of noise do to it.

    Shapes: x [X], in ascending order; runs [n, X], NaN for a missing value.
    Raises: ValueError as `power_fit`, and for other shapes.
    """
    at, y = np.asarray(x, dtype=float), np.asarray(runs, dtype=float)
    if at.ndim != 1 or y.ndim != 2 or y.shape[1] != len(at) or (np.diff(at) <= 0).any():
        raise ValueError(f"runs must be [n, X] over X ascending x, got shapes {y.shape} and {at.shape}; sort by x")
    fits = tuple(power_fit(at, run) for run in y)
    exponents = [np.nan if fit is None or fit.exponent is None else fit.exponent for fit in fits]
    interval = mean_interval(exponents)
    present = np.isfinite(y)
    logs, counts = np.log(np.where(present, y, 1.0)).sum(axis=0), present.sum(axis=0)
    means = np.where(counts > 0, np.exp(logs / np.maximum(counts, 1)), np.nan)
    change = tuple(float(value) for value in np.log(y[:, -1] / y[:, 0]))
    return GrowthEstimate(fits, power_fit(at, means), interval, len(fits) - interval.n, change)


def power_fit(x: ArrayLike, y: ArrayLike) -> Growth | None:
    """Least squares of (a + b x^p) / y - 1 over a, b >= 0 and p, by its profile over p; None with fewer than FEWEST x.

    Shapes: x, y [X], NaN for a missing y.
    Raises: ValueError for an x or y that is not above 0.
    """
    at, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    present = np.isfinite(at) & np.isfinite(values)
    at, values = at[present], values[present]
    if (at <= 0).any() or (values <= 0).any():
        raise ValueError(f"x and y must be above 0, got {at.min()} and {values.min()}; leave such points out")
    if len(np.unique(at)) < FEWEST:
        return None
    scale = at.max()
    exponents, step = np.linspace(LOWEST, HIGHEST, 80), (HIGHEST - LOWEST) / 79
    while True:
        a, b, residuals = _profile(at / scale, values, exponents)
        best = int((residuals**2).sum(axis=1).argmin())
        if step < 1e-5:
            break
        around = exponents[best] + np.linspace(-step, step, 21)
        exponents, step = np.clip(around, LOWEST, HIGHEST), step / 10
    p, errors = float(exponents[best]), residuals[best]
    rise = b[best] * (1 - (at.min() / scale) ** p) / (a[best] + b[best] * (at.min() / scale) ** p)
    noise = float(np.sqrt((errors**2).sum() / max(1, len(at) - 3)))
    if rise <= max(STANDARD_DEVIATIONS * noise, ROUNDING):
        flat = float((1 / values).sum() / (1 / values**2).sum())
        return Growth(flat, 0.0, None, float(np.abs(flat / values - 1).max()))
    return Growth(float(a[best]), float(b[best] / scale**p), p, float(np.abs(errors).max()))


def _profile(x: Array, y: Array, exponents: Array) -> tuple[Array, Array, Array]:
    """The best a and b >= 0 for each p, [P], and their relative errors, [P, X]. x: [X], at most 1.

    With two columns, where the free solution has a negative coefficient, the best one has it at 0.
    """
    ones, powers = 1 / y, x ** exponents[:, None] / y
    aa, ab, bb = (ones**2).sum(), (ones * powers).sum(axis=1), (powers**2).sum(axis=1)
    to_a, to_b = ones.sum(), powers.sum(axis=1)
    determinant = aa * bb - ab**2
    a, b = (bb * to_a - ab * to_b) / determinant, (aa * to_b - ab * to_a) / determinant
    a, b = np.where(a < 0, 0.0, np.where(b < 0, to_a / aa, a)), np.where(b < 0, 0.0, np.where(a < 0, to_b / bb, b))
    return a, b, a[:, None] * ones + b[:, None] * powers - 1
