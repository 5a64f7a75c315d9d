"""A Gaussian process fitted to the setting means: the surface from which curves, maps and shares are computed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_solve

from mim4dd.seeding import integer

from .design import checked_design
from .means import Array, setting_means

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Kernel

FEWEST = 5
JITTER = 1e-6
LONGEST = 50.0
# Below a tenth of the variance predicted, curves and maps of a surface are pictures of noise.
LEAST_R_SQUARED = 0.1
# What one design of twenty reaches where the settings' means are pure noise, at 16 or 32 settings of 4 knobs (simulated
# with 40 designs each: 0.23 and 0.25; 0.12 at 64 settings).
OF_NOISE = 0.25


@dataclass(frozen=True)
class SurfaceFit:
    """The quality of a surface.

    r_squared: leave-one-out predictive R^2 (1 - sum of squared leave-one-out errors / sum of squares about the mean),
    slightly optimistic since the length scales are fixed; below about 0 the surface predicts no better than the mean.
    length_scales: in units of a knob's range, long for a knob of little effect. noise: typical standard error of a
    setting's mean, in units of y; noise_known: whether it is from the seeds, as opposed to fitted. level_error:
    standard error of the level of the whole surface, due to the n_seeds that all settings share (None with one seed).
    flat: knobs whose length scale is at its upper bound, so that the surface shows no effect. warnings: other warnings
    from the optimizer of the length scales.
    """

    n_settings: int
    n_seeds: int
    lost_settings: int
    lost_sets: int
    r_squared: float
    noise: float
    level_error: float | None
    noise_known: bool
    length_scales: tuple[float, ...]
    flat: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def explains(self) -> bool:
        """Whether the surface predicts a setting from the others at all."""
        return self.r_squared >= LEAST_R_SQUARED


@dataclass(frozen=True)
class Surface:
    """A fitted surface, from which other functions compute results; only `fit` is a result itself.

    Standardised: z [S] = (mean accuracy - centre) / scale, with noise [S] its known variances; posterior mean
    k(., x) @ weights for the most likely kernel.
    """

    names: tuple[str, ...]
    x: Array
    z: Array
    noise: Array
    weights: Array
    kernel: Kernel
    centre: float
    scale: float
    fit: SurfaceFit

    def prior(self, a: Array, b: Array) -> Array:
        """Prior covariance of the standardised surface between points a [n, d] and b [m, d]: [n, m]."""
        return np.asarray(self.kernel(a, b))


def fit_surface(
    x: ArrayLike, y: ArrayLike, names: Sequence[str], *, restarts: int = 2, seed: int = 0
) -> Surface | None:
    """Gaussian process with an anisotropic Matern 5/2 kernel; None below 5 settings or if all means are equal.

    The noise of a setting's mean is known from its seeds (seed effects common to all settings removed); with one seed
    it is fitted as white noise.

    Shapes: x [S, d] in [0, 1]; y [S, R, E], NaN where a trial failed.
    Raises: ValueError if x is not in [0, 1] or names do not fit x.
    Source: Rasmussen & Williams 2006, "Gaussian processes for machine learning", algorithm 2.1, equations 5.10-5.12.
    """
    means = setting_means(y)
    points = checked_design(x, names, settings=len(np.asarray(y)))[means.kept]
    if len(points) < FEWEST or np.ptp(means.values) == 0:
        return None
    centre, scale = float(means.values.mean()), float(means.values.std())
    z = (means.values - centre) / scale
    process, warning_texts = _fitted(points, z, None if means.errors is None else means.errors / scale, restarts, seed)
    noise = process.kernel_(points).diagonal() - process.kernel_(points, points).diagonal() + process.alpha
    scales = _length_scales(process.kernel_, len(names))
    fit = SurfaceFit(
        n_settings=len(points),
        n_seeds=means.seeds,
        lost_settings=means.lost_settings,
        lost_sets=means.lost_sets,
        r_squared=_leave_one_out(process.L_, z),
        noise=float(np.sqrt(np.mean(noise)) * scale),
        level_error=means.level_error,
        noise_known=means.errors is not None,
        length_scales=scales,
        flat=tuple(name for name, scale in zip(names, scales, strict=True) if scale > 0.98 * LONGEST),
        warnings=warning_texts,
    )
    return Surface(tuple(names), points, z, process.alpha, process.alpha_, process.kernel_, centre, scale, fit)


def _fitted(
    x: Array, z: Array, errors: Array | None, restarts: int, seed: int
) -> tuple[GaussianProcessRegressor, tuple[str, ...]]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    d = x.shape[1]
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(np.ones(d), [(0.05, LONGEST)] * d, nu=2.5)
    if errors is None:
        kernel = kernel + WhiteKernel(0.1, (1e-5, 1e1))
    alpha = np.full(len(z), JITTER) if errors is None else errors**2 + JITTER
    process = GaussianProcessRegressor(
        kernel, alpha=alpha, n_restarts_optimizer=restarts, random_state=integer("statistics.surface", seed) % 2**32
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        process.fit(x, z)
    convergence = [warning for warning in caught if issubclass(warning.category, ConvergenceWarning)]
    for other in caught:
        if other not in convergence:
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    messages = {str(warning.message).splitlines()[0] for warning in convergence}
    # A length scale at its upper bound is no failure: that is how the kernel drops a knob (SurfaceFit.flat).
    return process, tuple(sorted(text for text in messages if not ("length_scale" in text and "upper bound" in text)))


def _length_scales(kernel: Kernel, d: int) -> tuple[float, ...]:
    (scales,) = (value for name, value in kernel.get_params().items() if name.endswith("length_scale"))
    return tuple(float(scale) for scale in np.broadcast_to(scales, d))


def _leave_one_out(lower: Array, z: Array) -> float:
    """Errors [K^-1 z]_i / [K^-1]_ii: each setting predicted from the others (Rasmussen & Williams, equation 5.12)."""
    inverse = cho_solve((lower, True), np.eye(len(z)))
    errors = (inverse @ z) / np.diag(inverse)
    return float(1 - (errors**2).sum() / ((z - z.mean()) ** 2).sum())
