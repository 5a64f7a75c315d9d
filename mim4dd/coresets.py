"""Selections of real images by their embeddings, and their density: pure functions of arrays, one class at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mim4dd.records import Floats, Integers

# Of distances at a time.
CHUNK_MB = 64


def herding(embeddings: Floats, count: int) -> Integers:
    """The rows whose running mean stays nearest the mean of all, in the order in which they are chosen, [count].

    Shapes: embeddings [n, D], n >= count.
    Source: Welling 2009, "Herding dynamical weights to learn", as in Rebuffi et al. 2017 (iCaRL), algorithm 4.
    Differs: the embeddings are not normalised.
    """
    points = embeddings.astype(np.float64)
    mean, total = points.mean(0), np.zeros(points.shape[1])
    squares, left = np.einsum("nd,nd->n", points, points), np.ones(len(points), dtype=bool)
    chosen: list[int] = []
    for k in range(1, count + 1):
        # |mean - (total + x) / k|^2, without what does not depend on x.
        distance = squares - 2 * points @ (k * mean - total)
        chosen.append(int(np.where(left, distance, np.inf).argmin()))
        left[chosen[-1]] = False
        total += points[chosen[-1]]
    return np.array(chosen, dtype=np.int64)


def k_center(embeddings: Floats, count: int) -> Integers:
    """The row nearest the mean, then repeatedly the row farthest from those already chosen, [count].

    Shapes: embeddings [n, D], n >= count.
    Source: the greedy 2-approximation of Gonzalez 1985, as a coreset in Sener & Savarese 2018.
    """
    points = embeddings.astype(np.float64)
    chosen = [int(np.square(points - points.mean(0)).sum(1).argmin())]
    nearest = np.square(points - points[chosen[0]]).sum(1)
    while len(chosen) < count:
        nearest[chosen[-1]] = -1.0  # its duplicates may still be chosen, it may not
        chosen.append(int(nearest.argmax()))
        nearest = np.where(nearest < 0, -1.0, np.minimum(nearest, np.square(points - points[chosen[-1]]).sum(1)))
    return np.array(chosen, dtype=np.int64)


def k_medoids(embeddings: Floats, count: int, seed: int) -> Integers:
    """For each centre of a k-means clustering, the row nearest to it that no earlier centre has taken, [count].

    Shapes: embeddings [n, D], n >= count; centres in the order of their clusters' sizes.
    Source: k-means (scikit-learn, k-means++ starts) with the real images nearest its centres.
    """
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters
        fitted = KMeans(count, n_init=4, random_state=seed % 2**32).fit(embeddings.astype(np.float64))
    sizes = np.bincount(fitted.labels_, minlength=count)
    left, chosen = np.ones(len(embeddings), dtype=bool), []
    for centre in fitted.cluster_centers_[np.argsort(-sizes, kind="stable")]:
        distance = np.square(embeddings - centre).sum(1)
        chosen.append(int(np.where(left, distance, np.inf).argmin()))
        left[chosen[-1]] = False
    return np.array(chosen, dtype=np.int64)


def density(embeddings: Floats, neighbour: int) -> Floats:
    """A Gaussian kernel estimate of the density of points at each of them, up to a factor, from 1 / n to 1, [n].

    The bandwidth is the median distance to the `neighbour`-th nearest point; where that is 0, equal points count alone.
    Shapes: embeddings [n, D].
    """
    from sklearn.metrics import pairwise_distances_chunked

    points, nth = embeddings.astype(np.float64), min(neighbour, len(embeddings) - 1)

    def parts() -> Iterator[Floats]:
        return pairwise_distances_chunked(points, working_memory=CHUNK_MB)

    nearest = [np.partition(part, nth, axis=1)[:, nth].copy() for part in parts()]
    bandwidth = max(float(np.median(np.concatenate(nearest))), np.finfo(np.float64).tiny ** 0.25)
    return np.concatenate([np.exp(-((part / bandwidth) ** 2) / 2).mean(1) for part in parts()])
