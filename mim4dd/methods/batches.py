"""Draws of an update: real and synthetic images under the same augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mim4dd.data.augment import Draw, augment_images, draw_siamese
from mim4dd.data.operations import operations
from mim4dd.methods.task import within
from mim4dd.seeding import generator, torch_generator

if TYPE_CHECKING:
    from mim4dd.methods.task import DistillationTask
    from mim4dd.records import Floats


def initial_images(task: DistillationTask, init: str, shares: str) -> Tensor:
    """First synthetic images, standardised: random real ones or unit Gaussian noise, [M, channels, H, W].

    shares: of the classes, equal or proportional.
    """
    if init == "real":
        return task.take(task.random_rows(shares))
    shape = (len(task.labels(shares)), *task.train.shape)
    return torch.randn(shape, generator=torch_generator("initial noise", task.seed)).to(task.device)


def siamese_batch(
    task: DistillationTask,
    pixels: Tensor,
    labels: Tensor,
    batch_real: int,
    augment: str,
    iteration: int,
    step: int = 0,
    shares: str = "equal",
    weights: Floats | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Real images, their labels, and the synthetic images, under one draw of the augmentation for each class.

    Gradients reach the synthetic pixels. batch_real: real images of each class, shares: of the classes in the batch,
    weights: how likely each real image is in its class; step: the update in the iteration.
    """
    real, y_real, draw = real_batch(task, batch_real, augment, iteration, step, shares, weights)
    return real, y_real, augment_images(pixels, draw, labels.cpu().numpy())


def real_batch(
    task: DistillationTask,
    count: int,
    augment: str,
    iteration: int,
    step: int = 0,
    shares: str = "equal",
    weights: Floats | None = None,
) -> tuple[Tensor, Tensor, Draw]:
    """Real images, `count` of each class, augmented, their labels, and the draw, which synthetic images share.

    shares: of the classes in the batch; weights: how likely each image is in its class.
    """
    real, y_real = task.real_batch(count, iteration, step, shares, weights)
    names = operations(augment, task.train.source)
    stream = generator("siamese augmentation", task.seed, *within(iteration, step))
    draw = draw_siamese(names, task.classes, stream)
    with torch.no_grad():
        return augment_images(real, draw, y_real.cpu().numpy()), y_real, draw
