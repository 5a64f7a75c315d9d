"""Gradients of a network's loss, one for each class, without a copy of the network for each.

A class is a group: its images pass through an expanded view of the parameters, so that one backward pass gives every
class of a chunk a gradient of its own. Chunks bound the memory: no map of the real images has more than
`WITH_GRADIENTS` numbers, whatever the batch, and no chunk's gradients much more. Only the synthetic side keeps a graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mim4dd.matching import gradient_distance
from mim4dd.networks.catalogue import Network
from mim4dd.networks.chunks import piece_size, shape_of
from mim4dd.networks.passes import WITH_GRADIENTS, classes_at_once
from mim4dd.networks.precision import FLOAT32, multiplying
from mim4dd.networks.stacked import Params
from mim4dd.pulse import beat
from mim4dd.records import Integers


@dataclass(frozen=True)
class Side:
    """Images of classes in order, and how many each class has. Shapes: images [B, channels, H, W]; counts [C]."""

    images: Tensor
    counts: Integers

    def of(self, first: int, last: int) -> Tensor:
        """The images of the classes first..last-1, which have equally many: [classes, n, channels, H, W]."""
        begin, end = int(self.counts[:first].sum()), int(self.counts[:last].sum())
        return self.images[begin:end].unflatten(0, (last - first, -1))


@dataclass(frozen=True)
class Matched:
    """The distance summed over classes, and each side's block outputs [B or M, channels, h, w] where requested."""

    distance: Tensor
    real_features: list[Tensor]
    synthetic_features: list[Tensor]


def match_gradients(
    network: Network, params: Params, real: Side, synthetic: Side, *, features: bool, precision: str = FLOAT32
) -> Matched:
    """Distance between the gradients of a class's real images and of its synthetic ones, summed over classes.

    Each gradient is of the mean cross-entropy over the class's images. The real side has no graph.
    params: one network's, [1, ...]. features: keep every block's outputs. precision: of the real side's products.
    """
    distances, kept_real, kept_synthetic = [], [], []
    for first, last in chunks(network, params, real, synthetic):
        with multiplying(precision):
            expected, real_blocks = real_gradients(network, params, real.of(first, last), first, features=features)
        copies = grouped(params, last - first)
        blocks = network.features(copies, synthetic.of(first, last))
        loss = class_losses(network.logits(copies, blocks), first).sum()
        inputs = [copies[name] for name in expected]
        gradients = torch.autograd.grad(loss, inputs, create_graph=True, materialize_grads=True)
        distances.append(gradient_distance(zip(expected.values(), gradients, strict=True)).sum())
        kept_real.append(real_blocks)
        kept_synthetic.append([maps.flatten(0, 1) for maps in blocks] if features else [])
    joined = ([torch.cat(maps) for maps in zip(*kept, strict=True)] for kept in (kept_real, kept_synthetic))
    return Matched(torch.stack(distances).sum(), *joined)


def real_gradients(
    network: Network, params: Params, images: Tensor, first: int, *, features: bool
) -> tuple[Params, list[Tensor]]:
    """Each class's gradient by name, [g, ...], of matrices and convolutions alone, and the block outputs [g * n, ...].

    Shapes: images [g, n, channels, H, W], of the classes from `first` on.
    """
    groups, count = images.shape[:2]
    copies = grouped(params, groups)
    names = [name for name, tensor in copies.items() if tensor.ndim > 2]
    total: list[Tensor] = []
    kept = []
    for piece in images.split(piece_size(network, images.shape, WITH_GRADIENTS, groups), 1):
        blocks = network.features(copies, piece)
        loss = class_losses(network.logits(copies, blocks), first).sum() * (piece.shape[1] / count)
        gradients = torch.autograd.grad(loss, [copies[name] for name in names], materialize_grads=True)
        total = [ours + more for ours, more in zip(total, gradients, strict=True)] if total else list(gradients)
        kept.append([maps.detach() for maps in blocks] if features else [])
        beat()
    joined = [torch.cat(maps, 1).flatten(0, 1) for maps in zip(*kept, strict=True)]
    return dict(zip(names, total, strict=True)), joined


def grouped(params: Params, groups: int) -> Params:
    """One network's parameters as those of `groups` networks, each with a gradient of its own."""
    return {name: tensor.detach().expand(groups, *tensor.shape[1:]).requires_grad_() for name, tensor in params.items()}


def class_losses(logits: Tensor, first: int) -> Tensor:
    """Mean cross-entropy of each class's images, [g], for logits [g, n, C] of the classes from `first` on."""
    groups, count, _ = logits.shape
    labels = torch.arange(first, first + groups, device=logits.device).repeat_interleave(count)
    return F.cross_entropy(logits.flatten(0, 1), labels, reduction="none").unflatten(0, (groups, count)).mean(1)


def chunks(network: Network, params: Params, real: Side, synthetic: Side) -> Iterator[tuple[int, int]]:
    """Ranges of neighbouring classes with equally many images on each side, as many as a pass takes.

    A class that has none on a side is skipped.
    """
    first, classes, numbers = 0, len(real.counts), sum(tensor.numel() for tensor in params.values())
    while first < classes:
        counts = real.counts[first], synthetic.counts[first]
        largest = network.largest_map(shape_of(real.images.shape))
        most = classes_at_once(largest, numbers, max(counts), WITH_GRADIENTS)
        last = first + 1
        while last < classes and last - first < most and (real.counts[last], synthetic.counts[last]) == counts:
            last += 1
        if min(counts):
            yield first, last
        first = last
