"""Heads: maps from a block's output into the contrastive space, one for both sides."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from mim4dd.seeding import Name, torch_generator

if TYPE_CHECKING:
    from mim4dd.methods.mim import Mim
    from mim4dd.methods.problem import Problem


def make_heads(mim: Mim, problem: Problem, *names: Name) -> list[list[Tensor]]:
    """A Gaussian head for each block: [[F, D]], or [[F, D], [D, D]] for an mlp; columns of unit expected length."""
    stream = torch_generator(*names, problem.seed)
    heads = []
    for channels, height, width in problem.network.block_shapes(problem.train.shape):
        sizes = [channels * height * width, mim.embedding] + ([mim.embedding] if mim.head == "mlp" else [])
        pairs = itertools.pairwise(sizes)
        heads.append([(torch.randn(n, m, generator=stream) / math.sqrt(n)).to(problem.device) for n, m in pairs])
    return heads


def embed(maps: Tensor, head: list[Tensor]) -> Tensor:
    """L2norm(head(flatten(maps))), [B, D]; an empty head leaves the flattened block as it is."""
    flat = maps.flatten(1)
    for layer, weight in enumerate(head):
        flat = (F.relu(flat) if layer else flat) @ weight
    return F.normalize(flat, dim=1)
