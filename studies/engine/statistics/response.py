"""Response curves and maps: the surface along one or two knobs, averaged over evenly spread values of the others.

The band is the posterior's, over samples of the length scales, times MISFIT: a Gaussian process smooths a step and
shrinks an effect that few settings show, and its own band leaves this bias out. Measured coverage of the pointwise band
at 32 and 64 settings and 3 to 10 seeds is in docs/results/calibration.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from .design import even_points
from .means import Array
from .posterior import posterior_average, posterior_hyperparameters
from .surface import Surface

NORMAL_95 = 1.959963984540054
MISFIT = 1.3


@dataclass(frozen=True)
class ResponseCurve:
    """Mean accuracy along one knob, averaged over the others, with a pointwise 95 % band.

    Shapes: grid (unit-scaled), mean, low, high: 25 values each.
    """

    knob: str
    grid: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class ResponseMap:
    """Mean accuracy over two knobs, averaged over the others; half_width is that of the pointwise 95 % band.

    Shapes: grid 15; mean[i][j] and half_width[i][j] at first = grid[i], second = grid[j].
    """

    first: str
    second: str
    grid: tuple[float, ...]
    mean: tuple[tuple[float, ...], ...]
    half_width: tuple[tuple[float, ...], ...]


def response_curves(
    surface: Surface, *, level: bool = False, points: int = 25, over: int = 128, samples: int = 24
) -> tuple[ResponseCurve, ...]:
    """A curve for each knob, with a pointwise 95 % band.

    Without level, the band is for the shape of the curve, for example the difference between a default and the best: it
    leaves out the error of the level common to all settings, which is due to the seeds. With level, it includes that
    error (SurfaceFit.level_error times the t quantile of the seeds, added in quadrature): only such a band can be
    compared with a fixed value. For a surface of gains (each setting less the base on the same seed) that value is 0.

    Coverage measured on 32 settings x 3 seeds (docs/results/calibration.md): of a narrow peak 89 % of a curve's points.
    Units: those of y on the vertical, the knob's unit scale on the horizontal axis.
    Raises: ValueError for level with one seed, where the error of the level is unknown.
    Source: Zou & Donner 2008, "Construction of confidence limits about effect measures" (squared half-widths add).
    """
    shift = _level_half_width(surface) if level else 0.0
    grid = np.linspace(0.0, 1.0, points)
    thetas = posterior_hyperparameters(surface, samples=samples)
    curves = []
    for column, knob in enumerate(surface.names):
        mean, shape = _averages(surface, thetas, (column,), grid[:, None], over)
        half = np.hypot(shape, shift)
        curves.append(ResponseCurve(knob, _floats(grid), _floats(mean), _floats(mean - half), _floats(mean + half)))
    return tuple(curves)


def _level_half_width(surface: Surface) -> float:
    error, seeds = surface.fit.level_error, surface.fit.n_seeds
    if error is None:
        raise ValueError(f"the error of the level needs two seeds or more, got {seeds}; leave level out")
    return float(stats.t.ppf(0.975, seeds - 1)) * error


def response_maps(surface: Surface, *, points: int = 15, over: int = 64, samples: int = 24) -> tuple[ResponseMap, ...]:
    """A map for each pair of knobs, in the order of itertools.combinations."""
    grid = np.linspace(0.0, 1.0, points)
    mesh = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    thetas = posterior_hyperparameters(surface, samples=samples)
    maps = []
    for pair in combinations(range(len(surface.names)), 2):
        mean, half = (part.reshape(points, points) for part in _averages(surface, thetas, pair, mesh, over))
        first, second = (surface.names[column] for column in pair)
        rows, widths = tuple(map(_floats, mean)), tuple(map(_floats, half))
        maps.append(ResponseMap(first, second, _floats(grid), rows, widths))
    return tuple(maps)


def _averages(surface: Surface, thetas: Array, columns: tuple[int, ...], at: Array, over: int) -> tuple[Array, Array]:
    """Mean and 95 % half-width of the surface's average over the other knobs, in units of y.

    Over samples of the hyperparameters: the mean of the means, and the mean of the variances plus that of the means.
    Shapes: at [G, len(columns)]; out [G], [G].
    """
    points = even_points(over, len(surface.names))
    nodes = np.repeat(points[None], len(at), axis=0)
    nodes[:, :, list(columns)] = at[:, None, :]
    means, variances = np.array([posterior_average(surface, theta, nodes) for theta in thetas]).transpose(1, 0, 2)
    mean = surface.centre + surface.scale * means.mean(axis=0)
    return mean, MISFIT * NORMAL_95 * surface.scale * np.sqrt(variances.mean(axis=0) + means.var(axis=0))


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
