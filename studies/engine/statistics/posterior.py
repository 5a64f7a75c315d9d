"""Samples of surfaces from the posterior, with their length scales sampled too.

With fixed, best length scales the 95 % interval of a weak interaction's share covered the truth in 12 % of simulated
studies of 16 settings (46 % with sampled ones), and that of a strong knob's share in 83 % of studies of 64 (95 %): a
knob that the best length scales drop would have no uncertainty.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from mim4dd.seeding import generator

from .means import Array
from .surface import JITTER, Surface

SWEEPS_BEFORE, SWEEPS_BETWEEN, STEP = 20, 3, 0.8
PRIOR_SD = 1.5  # of each log hyperparameter: a length scale of 2 ranges, give or take a factor of 4.5
CENTRES = {"length_scale": np.log(2.0), "constant_value": 0.0, "noise_level": np.log(0.1)}


def posterior_surfaces(surface: Surface, nodes: Array, *, samples: int, seed: int = 0) -> Array:
    """Standardised surfaces at the nodes: Metropolis steps for each log hyperparameter, then a joint Gaussian draw.

    Shapes: nodes [n, d]; out [n, samples].
    """
    rng = generator("statistics.posterior_surfaces", seed)
    centres = _prior_centres(surface)
    theta = np.clip(surface.kernel.theta, centres - 2 * PRIOR_SD, centres + 2 * PRIOR_SD)
    height = _log_posterior(surface, theta, centres)
    drawn = np.empty((len(nodes), samples))
    for sample in range(samples):
        for _ in range(SWEEPS_BETWEEN if sample else SWEEPS_BEFORE):
            theta, height = _sweep(surface, theta, height, centres, rng)
        drawn[:, sample] = _draw(surface, theta, nodes, rng)
    return drawn


def _sweep(
    surface: Surface, theta: Array, height: float, centres: Array, rng: np.random.Generator
) -> tuple[Array, float]:
    for index in range(len(theta)):
        proposal = theta.copy()
        proposal[index] += STEP * rng.standard_normal()
        new = _log_posterior(surface, proposal, centres)
        if np.log(rng.random()) < new - height:
            theta, height = proposal, new
    return theta, height


def _log_posterior(surface: Surface, theta: Array, centres: Array) -> float:
    """log p(z | theta) - |theta - centres|^2 / (2 PRIOR_SD^2), up to a constant; -inf if numerically singular."""
    try:
        lower = _lower(surface, theta)
    except np.linalg.LinAlgError:
        return -np.inf
    white = solve_triangular(lower, surface.z, lower=True)
    prior = ((theta - centres) ** 2).sum() / PRIOR_SD**2
    return float(-0.5 * (white @ white) - np.log(np.diag(lower)).sum() - 0.5 * prior)


def _draw(surface: Surface, theta: Array, nodes: Array, rng: np.random.Generator) -> Array:
    kernel, lower = surface.kernel.clone_with_theta(theta), _lower(surface, theta)
    cross = kernel(nodes, surface.x)
    explained = solve_triangular(lower, cross.T, lower=True)
    prior = kernel(nodes, nodes)
    covariance = prior - explained.T @ explained
    covariance[np.diag_indices_from(covariance)] += JITTER * prior[0, 0]
    mean = cross @ cho_solve((lower, True), surface.z)
    return np.asarray(mean + np.linalg.cholesky(covariance) @ rng.standard_normal(len(nodes)))


def _lower(surface: Surface, theta: Array) -> Array:
    covariance = surface.kernel.clone_with_theta(theta)(surface.x)
    covariance[np.diag_indices_from(covariance)] += surface.noise
    return np.asarray(np.linalg.cholesky(covariance))


def _prior_centres(surface: Surface) -> Array:
    return np.concatenate(
        [
            np.full(part.n_elements, next(centre for name, centre in CENTRES.items() if part.name.endswith(name)))
            for part in surface.kernel.hyperparameters
        ]
    )
