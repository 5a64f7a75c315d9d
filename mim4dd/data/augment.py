"""Siamese augmentation: one draw transforms real and synthetic images alike, and passes gradients to the pixels.

Source: Zhao & Bilen 2021, "Dataset Condensation with Differentiable Siamese Augmentation" (arXiv 2102.08259), and its
public code for the strengths.
Differs: the draws of all groups (classes, or images) are applied in one batch per operation instead of one call per
class; scale draws its two factors uniformly in [1/1.2, 1.2], as there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Strengths:
    """The strengths of the operations that move an image.

    scale: the ends of the factors that stretch each axis of the sampling grid, drawn independently; rotate: degrees, to
    either side; crop: the padding, as a share of a side.
    """

    scale: tuple[float, float]
    rotate: float
    crop: float


SIAMESE_STRENGTHS = Strengths(scale=(1 / 1.2, 1.2), rotate=15, crop=1 / 8)
# What DC's public code trains MNIST networks with: 4 of 28 pixels, a fifth, 45 degrees.
DC_STRENGTHS = Strengths(scale=(1 / 1.2, 1 / 0.8), rotate=45, crop=1 / 7)


@dataclass(frozen=True, eq=False)
class Draw:
    """One operation and its magnitudes for each group.

    Shapes: operation [groups], an index into `operations`; uniform [groups, 4], in [0, 1).
    """

    operations: tuple[str, ...]
    operation: npt.NDArray[np.int64]
    uniform: npt.NDArray[np.float32]
    strengths: Strengths = SIAMESE_STRENGTHS


def draw_siamese(names: tuple[str, ...], groups: int, rng: np.random.Generator) -> Draw:
    """An operation and magnitudes for each group of images (a class), to be applied to its real and synthetic ones."""
    uniform = rng.random((groups, 4), dtype=np.float32)
    return Draw(names, rng.integers(0, max(1, len(names)), groups), uniform)


def draw_single(names: tuple[str, ...], images: int, rng: np.random.Generator) -> Draw:
    """One operation for the whole batch with magnitudes of its own for each image: how networks are trained."""
    uniform = rng.random((images, 4), dtype=np.float32)
    return Draw(names, np.full(images, rng.integers(0, max(1, len(names)))), uniform)


def draw_apart(names: tuple[str, ...], images: int, rng: np.random.Generator) -> Draw:
    """An operation and magnitudes for each image, at the strengths with which DC trains MNIST networks."""
    return replace(draw_siamese(names, images, rng), strengths=DC_STRENGTHS)


def augment_images(images: Tensor, draw: Draw, groups: Sequence[int] | npt.NDArray[np.int64]) -> Tensor:
    """Transform each image by its group's draw; differentiable in the images.

    Shapes: images [B, channels, H, W]; groups [B], each image's row of the draw.
    """
    if not draw.operations:
        return images
    rows = np.asarray(groups)
    chosen = draw.operation[rows]
    order = np.argsort(chosen, kind="stable")
    uniform = torch.from_numpy(draw.uniform[rows[order]]).to(images)
    parts, start = [], 0
    sorted_images = images[torch.from_numpy(order).to(images.device)]
    for index, count in zip(*np.unique(chosen, return_counts=True), strict=True):
        apply = _APPLY[draw.operations[int(index)]]
        members = slice(start, start + int(count))
        parts.append(apply(sorted_images[members], uniform[members], draw.strengths))
        start += int(count)
    return torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(images.device)]


def _color(images: Tensor, uniform: Tensor, strengths: Strengths) -> Tensor:
    bright, saturate, contrast = (uniform[:, k, None, None, None] for k in range(3))
    images = images + (bright - 0.5)
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (2 * saturate) + grey
    middle = images.mean((1, 2, 3), keepdim=True)
    return (images - middle) * (contrast + 0.5) + middle


def _crop(images: Tensor, uniform: Tensor, strengths: Strengths) -> Tensor:
    height, width = images.shape[2:]
    pad = (int(height * strengths.crop + 0.5), int(width * strengths.crop + 0.5))
    shift = [(uniform[:, k] * (2 * pad[k] + 1)).long() for k in (0, 1)]
    padded = F.pad(images, (pad[1], pad[1], pad[0], pad[0]))
    rows = (shift[0][:, None] + torch.arange(height, device=images.device))[:, None, :, None]
    columns = (shift[1][:, None] + torch.arange(width, device=images.device))[:, None, None, :]
    batch, channels = (torch.arange(n, device=images.device) for n in images.shape[:2])
    return padded[batch[:, None, None, None], channels[:, None, None], rows, columns]


def _cutout(images: Tensor, uniform: Tensor, strengths: Strengths) -> Tensor:
    keep = images.new_ones(())
    for axis, size in ((0, images.shape[2]), (1, images.shape[3])):
        hole = int(size / 2 + 0.5)
        centre = (uniform[:, axis] * (size + (1 - hole % 2))).long()[:, None]
        pixels = torch.arange(size, device=images.device)
        inside = (pixels >= centre - hole // 2) & (pixels < centre - hole // 2 + hole)
        keep = keep * (inside[:, None, :, None] if axis == 0 else inside[:, None, None, :]).to(images)
    return images * (1 - keep)


def _flip(images: Tensor, uniform: Tensor, strengths: Strengths) -> Tensor:
    return torch.where(uniform[:, 0, None, None, None] < 0.5, images.flip(3), images)


def _affine(images: Tensor, matrix: Tensor) -> Tensor:
    theta = torch.cat([matrix, matrix.new_zeros(len(matrix), 2, 1)], 2)
    return F.grid_sample(images, F.affine_grid(theta, list(images.shape), align_corners=True), align_corners=True)


def _scale(images: Tensor, uniform: Tensor, strengths: Strengths) -> Tensor:
    low, high = strengths.scale
    factors = uniform[:, :2] * (high - low) + low
    return _affine(images, torch.diag_embed(factors))


def _rotate(images: Tensor, uniform: Tensor, strengths: Strengths) -> Tensor:
    angle = (uniform[:, 0] - 0.5) * 2 * math.radians(strengths.rotate)
    sine, cosine = angle.sin(), angle.cos()
    return _affine(images, torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1))


_APPLY = {"color": _color, "crop": _crop, "cutout": _cutout, "flip": _flip, "scale": _scale, "rotate": _rotate}
