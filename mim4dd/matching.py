"""Distances between what a network makes of real and of synthetic images: pure functions."""

from __future__ import annotations

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
