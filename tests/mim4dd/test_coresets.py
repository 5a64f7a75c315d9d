"""Selections by embedding, against the dumbest possible loops, and what they do with classes that are short."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from mim4dd.coresets import herding, k_center, k_medoids
from mim4dd.methods import METHODS
from mim4dd.methods.loop import Distillation
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import ConvNet
from mim4dd.records import Splits

Points = npt.NDArray[np.float64]


def drawn(n: int, seed: int = 0) -> Points:
    return np.random.default_rng(seed).standard_normal((n, 3))


def loop_herding(points: Points, count: int) -> list[int]:
    chosen: list[int] = []
    for _ in range(count):
        left = [i for i in range(len(points)) if i not in chosen]
        apart = {i: np.linalg.norm(points.mean(0) - points[[*chosen, i]].mean(0)) for i in left}
        chosen.append(min(apart, key=lambda i: apart[i]))
    return chosen


def loop_k_center(points: Points, count: int) -> list[int]:
    chosen = [min(range(len(points)), key=lambda i: np.linalg.norm(points[i] - points.mean(0)))]
    while len(chosen) < count:
        left = [i for i in range(len(points)) if i not in chosen]
        chosen.append(max(left, key=lambda i: min(np.linalg.norm(points[i] - points[j]) for j in chosen)))
    return chosen


@pytest.mark.parametrize("count", [1, 2, 7, 20])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_herding_and_k_center_equal_a_loop(count: int, seed: int) -> None:
    points = drawn(20, seed)
    assert herding(points, count).tolist() == loop_herding(points, count)
    assert k_center(points, count).tolist() == loop_k_center(points, count)


def test_medoids_are_the_images_nearest_the_centres_of_clear_clusters_largest_first() -> None:
    centres = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0]])
    sizes = (5, 9, 7)
    offsets = [
        np.zeros(3),
        *[sign * np.eye(3)[k] for k in range(3) for sign in (1, -1)],
        *(np.ones((2, 3)) * [[0.5], [-0.5]]),
    ]
    points = np.concatenate([centre + np.array(offsets[:n]) for centre, n in zip(centres, sizes, strict=True)])
    chosen = k_medoids(points, 3, seed=0)
    assert points[chosen].round().tolist() == centres[[1, 2, 0]].tolist()


@pytest.mark.parametrize("choose", [herding, k_center, lambda points, n: k_medoids(points, n, 0)])
def test_no_image_is_chosen_twice_even_among_equal_ones(choose: Callable[[Points, int], npt.NDArray[np.int64]]) -> None:
    points = np.ones((6, 2))
    assert sorted(choose(points, 6).tolist()) == list(range(6))
    assert sorted(choose(drawn(9), 9).tolist()) == list(range(9))


@pytest.mark.parametrize("name", ["herding", "k_center", "k_medoids"])
def test_a_class_with_fewer_images_gives_them_again(name: str, digits: Splits) -> None:
    rows = np.concatenate([np.flatnonzero(digits.train.labels == c)[: 2 if c == 3 else 6] for c in range(10)])
    task = DistillationTask(digits.train.take(rows), ConvNet(width=4), 5, 0, torch.device("cpu"))
    found = Distillation(task, METHODS.build(name, {"epochs": 2})).synthetic()
    assert found.labels.tolist() == [c for c in range(10) for _ in range(5)]
    distinct = [len({image.tobytes() for image in found.images[found.labels == c]}) for c in range(10)]
    assert distinct == [2 if c == 3 else 5 for c in range(10)]
    for image, label in zip(found.pixels, found.labels, strict=True):
        own = task.train.images[task.train.labels == label]
        assert np.abs(own - image).max((1, 2, 3)).min() < 1e-5
