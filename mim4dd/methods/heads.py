"""Heads: maps from a block's output into the contrastive space, one for both sides."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from mim4dd.networks.precision import product
from mim4dd.seeding import Name, torch_generator

if TYPE_CHECKING:
    from mim4dd.methods.task import DistillationTask


def make_heads(task: DistillationTask, width: int, layers: int, *names: Name) -> list[list[Tensor]]:
    """A Gaussian head for each block, columns of unit expected length: [[F, D]], or with 2 layers [[F, D], [D, D]].

    width: D, the dimension of the contrastive space; names: they seed the draw, with the task's seed.
    """
    stream = torch_generator(*names, task.seed)
    heads = []
    for channels, height, columns in task.network.block_shapes(task.train.shape):
        pairs = itertools.pairwise([channels * height * columns] + [width] * layers)
        heads.append([torch.randn(n, m, generator=stream).div_(math.sqrt(n)).to(task.device) for n, m in pairs])
    return heads


def embed(maps: Tensor, head: list[Tensor]) -> Tensor:
    """L2norm(head(flatten(maps))), [B, D]; an empty head leaves the flattened block unchanged."""
    flat = maps.flatten(1)
    for layer, weight in enumerate(head):
        flat = product(torch.matmul, F.relu(flat) if layer else flat, weight)
    return F.normalize(flat, dim=1)
