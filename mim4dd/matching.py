"""Distances between a network's embeddings, or gradients, of real and of synthetic images: pure functions."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def class_means(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Mean feature of each class, [C, F]; a class without images has mean 0.

    Shapes: features [B, F]; labels [B].
    """
    member = torch.nn.functional.one_hot(labels, classes).to(features)
    return member.T @ features / member.sum(0).clamp(min=1)[:, None]


def mean_distance(real: Tensor, y_real: Tensor, synthetic: Tensor, y_synthetic: Tensor, classes: int) -> Tensor:
    """Sum over classes of the squared distance between mean embeddings.

    Shapes: real [B, F]; synthetic [M, F].
    Source: DM (Zhao & Bilen 2023), eq. 5, with the public code's sum over dimensions.
    """
    difference = class_means(real, y_real, classes) - class_means(synthetic, y_synthetic, classes)
    return difference.square().sum()


def gradient_distance(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Sum over parameters and their output rows of 1 - cos between two gradients, for G gradients each, [G].

    Shapes: each pair [G, rows, ...]; the dimensions after the rows form one vector.
    Source: DC (Zhao et al. 2021), eq. 10, with the public code's 1e-6 beside the product of the norms; parameters of
    one dimension (biases, norms) are left out there, and must not be passed here.
    """
    distances = []
    for real, synthetic in pairs:
        ours, theirs = real.flatten(2), synthetic.flatten(2)
        product = (ours * theirs).sum(2)
        distances.append((1 - product / (ours.norm(dim=2) * theirs.norm(dim=2) + 1e-6)).sum(1))
    return torch.stack(distances).sum(0)
