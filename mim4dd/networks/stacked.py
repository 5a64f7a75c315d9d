"""Layers of G networks at once: parameters stacked along a leading axis, channels side by side.

Grouped convolutions serve G = 1 as well, so a single network and many are one code path. Maps are [B, G*c, H, W],
vectors [G, B, F].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mim4dd.networks.precision import product

Params = dict[str, Tensor]
NORMS = ("instance", "none", "batch", "layer", "group")
GROUPS = 4  # of a group norm
# How the names of a batch norm's statistics end, and how those that settle an `nn.Module` begin: no parameter's name
# has an empty part between two dots.
STATISTICS = (".mean", ".variance")
SETTLED = "buffers.."


@dataclass(frozen=True)
class Layer:
    """One layer's parameters and their initialisation.

    kind: `affine` (weight and bias uniform in +-1/sqrt(fan_in), as torch's Linear and Conv2d), `linear` (the same
    without a bias), `norm` (weight 1, bias 0), `position` (a Gaussian of standard deviation 0.02).
    """

    name: str
    shape: tuple[int, ...]
    kind: str = "affine"


def stack_initial(layers: Sequence[Layer], generators: Sequence[torch.Generator], device: torch.device) -> Params:
    """Parameters of one network per generator, stacked to [G, ...]."""
    networks = [_initial(layers, generator) for generator in generators]
    return {name: torch.stack([params[name] for params in networks]).to(device) for name in networks[0]}


def _initial(layers: Sequence[Layer], generator: torch.Generator) -> Params:
    params: Params = {}
    for layer in layers:
        if layer.kind == "norm":
            params[f"{layer.name}.weight"] = torch.ones(layer.shape)
            params[f"{layer.name}.bias"] = torch.zeros(layer.shape)
        elif layer.kind == "position":
            params[f"{layer.name}.weight"] = 0.02 * torch.randn(layer.shape, generator=generator)
        else:
            bound = 1 / math.sqrt(math.prod(layer.shape[1:]))
            parts = (
                {"weight": layer.shape, "bias": layer.shape[:1]} if layer.kind == "affine" else {"weight": layer.shape}
            )
            for part, size in parts.items():
                params[f"{layer.name}.{part}"] = torch.empty(size).uniform_(-bound, bound, generator=generator)
    return params


def norm_layer(name: str, norm: str, shape: tuple[int, int, int]) -> list[Layer]:
    """The parameters of a norm over maps of (channels, H, W): one per channel, or one per pixel for a layer norm."""
    if norm == "none":
        return []
    return [Layer(name, shape if norm == "layer" else shape[:1], "norm")]


def side_by_side(images: Tensor) -> Tensor:
    """[G, B, c, H, W], each network's own, as [B, G*c, H, W]; [B, c, H, W], shared by all networks, unchanged."""
    return images if images.ndim == 4 else images.transpose(0, 1).flatten(1, 2)


def as_vectors(images: Tensor, groups: int) -> Tensor:
    """[B, c, H, W] shared by all networks, or [G, B, c, H, W], as [G, B, c*H*W]."""
    if images.ndim == 4:
        return images.flatten(1).expand(groups, -1, -1)
    return images.flatten(2)


def split_groups(maps: Tensor, groups: int) -> Tensor:
    """[B, G*c, H, W] as [G, B, c, H, W]."""
    return maps.unflatten(1, (groups, -1)).transpose(0, 1)


def convolve(maps: Tensor, params: Params, name: str, padding: int, stride: int = 1) -> Tensor:
    """A convolution, on [B, G*c, H, W], or on [B, c, H, W] that all networks share."""
    weight, bias = params[f"{name}.weight"], params.get(f"{name}.bias")
    flat = None if bias is None else bias.flatten()
    # Shared maps pass all networks' kernels as one plain convolution, which is faster than a group for each.
    groups = maps.shape[1] // weight.shape[2]
    convolution = partial(F.conv2d, stride=stride, padding=padding, groups=groups)
    return product(convolution, maps, weight.flatten(0, 1), flat)


def dense(vectors: Tensor, params: Params, name: str) -> Tensor:
    """A linear layer, on [G, B, F]."""
    products = product(torch.matmul, vectors, params[f"{name}.weight"].transpose(1, 2))
    bias = params.get(f"{name}.bias")
    return products if bias is None else products + bias[:, None]


def normalise(maps: Tensor, params: Params, name: str, norm: str) -> Tensor:
    """The named norm, on [B, G*c, H, W].

    A batch norm uses the current batch's statistics unless `params` has some; see `mim4dd.networks.batchnorm`.
    """
    if norm == "none":
        return maps
    weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
    scale, shift = weight.flatten(), bias.flatten()
    if norm == "instance":
        # As a group norm of one channel per group: the same numbers, and the faster kernel of the two.
        return F.group_norm(maps, maps.shape[1], scale, shift)
    if norm == "group":
        return F.group_norm(maps, GROUPS * len(weight), scale, shift)
    if norm == "layer":
        return F.group_norm(maps, len(weight)) * weight.flatten(0, 1) + bias.flatten(0, 1)
    mean, variance = params.get(f"{name}.mean"), params.get(f"{name}.variance")
    if mean is None or variance is None:
        if isinstance(params, Recording):
            params.record(name, maps, len(weight))
        return F.batch_norm(maps, None, None, scale, shift, training=True)
    # Not differentiated, whoever asks: torch refuses statistics that require a gradient.
    return F.batch_norm(maps, mean.detach().flatten(), variance.detach().flatten(), scale, shift)


class Recording(Params):
    """Parameters that record the batch norms' statistics of a forward pass, by layer."""

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self.statistics: Params = {}

    def record(self, name: str, maps: Tensor, groups: int) -> None:
        """Record a batch's mean and variance of each channel, [G, c]."""
        variance, mean = torch.var_mean(maps.detach(), (0, 2, 3), correction=0)
        self.statistics |= {
            f"{name}.mean": mean.unflatten(0, (groups, -1)),
            f"{name}.variance": variance.unflatten(0, (groups, -1)),
        }


def activate(maps: Tensor, activation: str) -> Tensor:
    """The named activation; without a graph it takes the place of the maps, which nothing else may then read."""
    apply: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": F.relu,
        "leaky_relu": F.leaky_relu,
        "sigmoid": torch.sigmoid,
    }
    in_place: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": torch.relu_,
        "leaky_relu": F.leaky_relu_,
        "sigmoid": torch.sigmoid_,
    }
    return (apply if maps.requires_grad else in_place)[activation](maps)


def pool(maps: Tensor, pooling: str) -> Tensor:
    """2x2 average or maximum, or the maps unchanged; an odd last row or column is left out."""
    if pooling == "max":
        return F.max_pool2d(maps, 2)
    if pooling == "none":
        return maps
    if maps.device.type != "cpu":
        return F.avg_pool2d(maps, 2)
    pooled: Tensor = MeanPool.apply(maps)
    return pooled


class MeanPool(torch.autograd.Function):
    """2x2 average pooling by slices, and its gradients of any order.

    On a CPU, torch's kernel for channels-first maps takes six times as long forward; autograd's backward of the
    slices fills a whole map with zeros four times.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ctx.shape = maps.shape
        height, width = maps.shape[-2] // 2 * 2, maps.shape[-1] // 2 * 2
        rows = maps[..., 0:height:2, :width] + maps[..., 1:height:2, :width]
        return (rows[..., ::2] + rows[..., 1::2]) * 0.25

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        spread: Tensor = MeanSpread.apply(gradient, ctx.shape)
        return spread


class MeanSpread(torch.autograd.Function):
    """The gradient of `MeanPool`: a quarter of each number for the four that it averages; its own gradient pools."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, shape: torch.Size) -> Tensor:
        quarter, (height, width) = gradient * 0.25, (shape[-2] // 2 * 2, shape[-1] // 2 * 2)
        whole = gradient.new_empty(shape)
        whole[..., height:, :] = 0
        whole[..., width:] = 0
        rows = whole[..., 0:height:2, :width]
        rows[..., ::2] = quarter
        rows[..., 1::2] = quarter
        whole[..., 1:height:2, :width] = rows
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        pooled: Tensor = MeanPool.apply(gradient)
        return pooled, None


def enlarge(images: Tensor, least: int) -> Tensor:
    """Images [..., c, H, W] with sides of at least `least` pixels, by bilinear interpolation."""
    height, width = images.shape[-2:]
    if min(height, width) >= least:
        return images
    size = max(height, least), max(width, least)
    enlarged = F.interpolate(images.flatten(0, -4), size, mode="bilinear", align_corners=False)
    return enlarged.unflatten(0, images.shape[:-3])


def scores(params: Params, features: Tensor) -> Tensor:
    """The linear head `head` on the last block's output: [G, B, c, h, w] to [G, B, C]."""
    return dense(features.flatten(2), params, "head")
