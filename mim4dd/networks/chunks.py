"""Forward passes without gradients in pieces that stay in the cache.

One pass over thousands of images writes activations of hundreds of megabytes a layer; in pieces of a few megabytes the
same numbers took 2.5 times less time on one AVX2 core (2,048 28x28 images, three networks of width 16).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mim4dd.networks.catalogue import Network
from mim4dd.networks.passes import WITHOUT_GRADIENTS, images_at_once
from mim4dd.networks.stacked import Params
from mim4dd.pulse import beat


def pieces(network: Network, params: Params, images: Tensor) -> Iterator[list[Tensor]]:
    """Yield every block's output [G, b, width, h, w] for each piece of the images in turn, without gradients."""
    networks = next(iter(params.values())).shape[0]
    with torch.no_grad():
        for piece in images.split(piece_size(network, images.shape, WITHOUT_GRADIENTS, networks)):
            yield network.features(params, piece)
            beat()


def piece_size(network: Network, shape: torch.Size, numbers: int, networks: int = 1) -> int:
    """How many images of `shape` pass at once through each of the networks, for a largest map of `numbers` numbers."""
    return images_at_once(network.largest_map(shape_of(shape)), numbers, networks)


def shape_of(shape: torch.Size) -> tuple[int, int, int]:
    """(channels, H, W) of images [..., channels, H, W]."""
    return shape[-3], shape[-2], shape[-1]


def features_without_graph(network: Network, params: Params, images: Tensor, *, last: bool = False) -> list[Tensor]:
    """Every block's output for all images, or the last one's alone, [G, B, width, h, w] a block."""
    outputs = (blocks[-1:] if last else blocks for blocks in pieces(network, params, images))
    return [torch.cat(parts, 1) for parts in zip(*outputs, strict=True)]


def predict(network: Network, params: Params, images: Tensor) -> Tensor:
    """Class scores of every network for every image, [G, N, C], without gradients.

    One network after the other: more images of each pass at once, and stay in the cache (docs/results/bench.md).
    """

    def scored(own: Params) -> Tensor:
        return torch.cat([network.logits(own, features) for features in pieces(network, own, images)], 1)

    with torch.no_grad():
        networks = range(len(next(iter(params.values()))))
        return torch.cat([scored({name: tensor[g : g + 1] for name, tensor in params.items()}) for g in networks])
