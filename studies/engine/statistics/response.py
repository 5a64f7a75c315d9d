"""Response curves and maps: the surface along one or two knobs, averaged over evenly spread values of the others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .design import even_points
from .means import Array
from .surface import Surface

NORMAL_95 = 1.959963984540054


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


def response_curves(surface: Surface, *, points: int = 25, over: int = 256) -> tuple[ResponseCurve, ...]:
    """A curve for each knob, with the band of the average's joint posterior, given the length scales.

    The band is for the shape of the curve, for example the difference between a default and the best: it does not
    include the error of the level common to all settings, which is due to the seeds (SurfaceFit.level_error).

    Units: those of y on the vertical, the knob's unit scale on the horizontal axis.
    """
    grid = np.linspace(0.0, 1.0, points)
    curves = []
    for column, knob in enumerate(surface.names):
        mean, half = _averages(surface, (column,), grid[:, None], over)
        curves.append(ResponseCurve(knob, _floats(grid), _floats(mean), _floats(mean - half), _floats(mean + half)))
    return tuple(curves)


def response_maps(surface: Surface, *, points: int = 15, over: int = 128) -> tuple[ResponseMap, ...]:
    """A map for each pair of knobs, in the order of itertools.combinations."""
    grid = np.linspace(0.0, 1.0, points)
    mesh = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    maps = []
    for pair in combinations(range(len(surface.names)), 2):
        mean, half = (part.reshape(points, points) for part in _averages(surface, pair, mesh, over))
        first, second = (surface.names[column] for column in pair)
        rows, widths = tuple(map(_floats, mean)), tuple(map(_floats, half))
        maps.append(ResponseMap(first, second, _floats(grid), rows, widths))
    return tuple(maps)


def _averages(surface: Surface, columns: tuple[int, ...], at: Array, over: int) -> tuple[Array, Array]:
    """Posterior mean and 95 % half-width of the surface's average over the other knobs, in units of y.

    m(t) = mean_q f(t, u_q) is one Gaussian: Var m = mean_qq' k(u_q, u_q') - |lower^-1 mean_q k((t, u_q), x)|^2. The
    first term is the same for every t, since the kernel is stationary.

    Shapes: at [G, len(columns)]; out [G], [G].
    """
    points = even_points(over, len(surface.names))
    nodes = np.repeat(points[None], len(at), axis=0)
    nodes[:, :, list(columns)] = at[:, None, :]
    cross = surface.prior(nodes.reshape(-1, nodes.shape[2]), surface.x).reshape(len(at), over, -1).mean(axis=1)
    prior = surface.prior(nodes[0], nodes[0]).mean()
    variance = np.maximum(prior - (surface.explained(cross) ** 2).sum(axis=0), 0.0)
    mean = surface.centre + surface.scale * (cross @ surface.weights)
    return mean, NORMAL_95 * surface.scale * np.sqrt(variance)


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
