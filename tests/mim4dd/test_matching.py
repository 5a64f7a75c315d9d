"""Distances between real and synthetic features, against loops."""

from __future__ import annotations

import pytest
import torch

from mim4dd.matching import class_means, mean_distance


def test_mean_distance_equals_a_loop_over_classes() -> None:
    stream = torch.Generator().manual_seed(0)
    real, synthetic = (torch.randn(n, 5, generator=stream, dtype=torch.float64) for n in (9, 4))
    y_real, y_synthetic = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2]), torch.tensor([2, 0, 1, 1])
    expected = 0.0
    for c in range(3):
        a, b = (
            [x for x, y in zip(*side, strict=True) if y == c] for side in ((real, y_real), (synthetic, y_synthetic))
        )
        for d in range(5):
            expected += float(sum(x[d] for x in a) / len(a) - sum(x[d] for x in b) / len(b)) ** 2
    assert float(mean_distance(real, y_real, synthetic, y_synthetic, 3)) == pytest.approx(expected, rel=1e-12)


def test_a_set_is_at_no_distance_from_itself() -> None:
    features, labels = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 1, 1, 2, 2])
    shuffled = torch.tensor([5, 3, 1, 0, 2, 4])
    found = mean_distance(features, labels, features[shuffled], labels[shuffled], 3)
    assert float(found) == pytest.approx(0, abs=1e-12)


def test_a_class_without_images_has_mean_0() -> None:
    means = class_means(torch.ones(2, 3), torch.tensor([0, 2]), 3)
    assert means.tolist() == [[1.0] * 3, [0.0] * 3, [1.0] * 3]


def test_gradient_is_the_numerical_one() -> None:
    stream = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, 4, 3, generator=stream, dtype=torch.float64)
    real, synthetic = (side.clone().requires_grad_() for side in drawn)
    labels = torch.tensor([0, 0, 1, 2])
    assert torch.autograd.gradcheck(lambda a, b: mean_distance(a, labels, b, labels.flip(0), 3), (real, synthetic))
