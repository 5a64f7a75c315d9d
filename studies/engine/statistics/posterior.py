"""The posterior of a surface with its length scales sampled: a knob that the best ones drop has an uncertainty too."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from mim4dd.seeding import generator

from .means import Array
from .surface import JITTER, Surface

SWEEPS_BEFORE, SWEEPS_BETWEEN, STEP = 20, 3, 0.8
PRIOR_SD = 1.5  # of each log hyperparameter: a length scale of 2 ranges, give or take a factor of 4.5
CENTRES = {"length_scale": np.log(2.0), "constant_value": 0.0, "noise_level": np.log(0.1)}


def posterior_hyperparameters(surface: Surface, *, samples: int, seed: int = 0) -> Array:
    """Samples of the kernel's log hyperparameters given the settings' means, by Metropolis steps along each.

    Shapes: out [samples, hyperparameters], in the order of the kernel's `theta`.
    Source: Rasmussen & Williams 2006, section 5.2 (the posterior over hyperparameters).
    """
    rng = generator("statistics.posterior_hyperparameters", seed)
    centres = _prior_centres(surface)
    theta = np.clip(surface.kernel.theta, centres - 2 * PRIOR_SD, centres + 2 * PRIOR_SD)
    height = _log_posterior(surface, theta, centres)
    drawn = np.empty((samples, len(theta)))
    for sample in range(samples):
        for _ in range(SWEEPS_BETWEEN if sample else SWEEPS_BEFORE):
            theta, height = _sweep(surface, theta, height, centres, rng)
        drawn[sample] = theta
    return drawn


def posterior_surfaces(surface: Surface, nodes: Array, *, samples: int, seed: int = 0) -> Array:
    """Standardised surfaces at the nodes: a joint Gaussian draw for each sample of the hyperparameters.

    Shapes: nodes [n, d]; out [n, samples].
    """
    rng = generator("statistics.posterior_surfaces", seed)
    thetas = posterior_hyperparameters(surface, samples=samples, seed=seed)
    return np.column_stack([_draw(surface, theta, nodes, rng) for theta in thetas])


def posterior_average(surface: Surface, theta: Array, groups: Array) -> tuple[Array, Array]:
    """The standardised posterior mean and variance of the surface's average over each group of nodes, given theta.

    The average m = mean_q f(u_q) is Gaussian: Var m = mean_qq' k(u_q, u_q') - |lower^-1 mean_q k(u_q, x)|^2. The groups
    must be translations of one another: then the first term is the same for all, since the kernel is stationary.

    Shapes: groups [G, Q, d]; out [G], [G].
    """
    kernel, lower = surface.kernel.clone_with_theta(theta), _lower(surface, theta)
    cross = kernel(groups.reshape(-1, groups.shape[2]), surface.x).reshape(*groups.shape[:2], -1).mean(axis=1)
    explained = solve_triangular(lower, cross.T, lower=True)
    variance = kernel(groups[0], groups[0]).mean() - (explained**2).sum(axis=0)
    return cross @ cho_solve((lower, True), surface.z), np.maximum(variance, 0.0)


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
