"""Layers of G networks at once: parameters stacked along a leading axis, channels side by side.

Grouped convolutions serve G = 1 as well, so a single network and many are one code path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Params = dict[str, Tensor]


def stack_initial(
    layers: Sequence[tuple[str, tuple[int, ...]]], generators: Sequence[torch.Generator], device: torch.device
) -> Params:
    """Parameters of one network a generator, stacked to [G, ...].

    A layer of one dimension is a norm (weight 1, bias 0); others are drawn like torch's Linear and Conv2d: weight and
    bias uniform in +-1/sqrt(fan_in).
    """
    networks = []
    for generator in generators:
        params: Params = {}
        for name, shape in layers:
            if len(shape) == 1:
                params[f"{name}.weight"], params[f"{name}.bias"] = torch.ones(shape), torch.zeros(shape)
                continue
            bound = 1 / math.sqrt(math.prod(shape[1:]))
            for part, size in (("weight", shape), ("bias", shape[:1])):
                params[f"{name}.{part}"] = torch.empty(size).uniform_(-bound, bound, generator=generator)
        networks.append(params)
    return {name: torch.stack([params[name] for params in networks]).to(device) for name in networks[0]}


def as_groups(images: Tensor, groups: int) -> Tensor:
    """[B, c, H, W] shared by all networks, or [G, B, c, H, W], as [B, G*c, H, W]."""
    if images.ndim == 4:
        return images.repeat(1, groups, 1, 1) if groups > 1 else images
    return images.transpose(0, 1).flatten(1, 2)


def split_groups(maps: Tensor, groups: int) -> Tensor:
    """[B, G*c, H, W] as [G, B, c, H, W]."""
    return maps.unflatten(1, (groups, -1)).transpose(0, 1)


def convolve(maps: Tensor, params: Params, block: int, padding: int) -> Tensor:
    """The block's convolution and, where it has one, its instance norm, on [B, G*c, H, W]."""
    weight, bias = params[f"conv{block}.weight"], params[f"conv{block}.bias"]
    maps = F.conv2d(maps, weight.flatten(0, 1), bias.flatten(), padding=padding, groups=len(weight))
    if f"norm{block}.weight" not in params:
        return maps
    scale, shift = params[f"norm{block}.weight"].flatten(), params[f"norm{block}.bias"].flatten()
    # Instance norm as a group norm of one channel a group: the same numbers, and the faster kernel of the two.
    return F.group_norm(maps, maps.shape[1], scale, shift)


def activate(maps: Tensor, activation: str) -> Tensor:
    """The named activation."""
    apply: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": F.relu,
        "leaky_relu": F.leaky_relu,
        "sigmoid": torch.sigmoid,
    }
    return apply[activation](maps)


def pool(maps: Tensor, pooling: str) -> Tensor:
    """2x2 average or maximum, or the maps as they are; an odd last row or column is left out."""
    if pooling == "max":
        return F.max_pool2d(maps, 2)
    if pooling == "none":
        return maps
    if maps.device.type != "cpu":
        return F.avg_pool2d(maps, 2)
    # On a CPU the kernel for channels-first maps takes six times as long forward, and half as long again back.
    height, width = maps.shape[-2] // 2 * 2, maps.shape[-1] // 2 * 2
    rows = maps[..., 0:height:2, :width] + maps[..., 1:height:2, :width]
    return (rows[..., ::2] + rows[..., 1::2]) * 0.25
