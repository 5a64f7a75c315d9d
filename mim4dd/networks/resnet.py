"""ResNet-18 for small images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mim4dd.networks.catalogue import NETWORKS, NORM_CHOICES, Shape, input_shape
from mim4dd.networks.layers import Layers, LayerSize, convolution, layers_from, matrix, norm_parameters
from mim4dd.registry import knob, name_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mim4dd.networks.stacked import Layer, Params


@dataclass(frozen=True)
class Unit:
    """A basic block: two 3x3 convolutions and a shortcut, a 1x1 convolution where the shape changes."""

    name: str
    before: Shape
    after: Shape
    stride: int

    @property
    def projected(self) -> bool:
        return self.before != self.after


@NETWORKS.add("resnet18")
@dataclass(frozen=True, kw_only=True)
class ResNet18:
    """A 3x3 convolution, four stages of two basic blocks, the mean over pixels, a linear head.

    Source: He et al. 2016 in the form for 32x32 images of DC's public code: no pooling after the first convolution,
    widths 64 to 512.
    Differs: the mean over all pixels of the last map (there: an average pooling of 4, the same at 28x28 and 32x32).
    """

    width: int = knob(64, low=1, high=1024, search=(16, 32, 64), help="channels of the first stage; each doubles them")
    norm: str = knob("instance", choices=NORM_CHOICES, help="normalisation after each convolution")
    upsample: bool = knob(False, help="enlarge images below 16x16 (8x8 without instance norm) instead of refusing them")

    @property
    def smallest(self) -> int:
        """The smallest side of an image. 8x8 ends in one pixel, whose instance norm is constant."""
        return 16 if self.norm == "instance" else 8

    def _input_shape(self, shape: Shape) -> Shape:
        return input_shape(name_of(self), shape, self.smallest, upsample=self.upsample)

    def units(self, shape: Shape) -> Iterator[Unit]:
        """The eight basic blocks for images of this shape."""
        before = (self.width, *self._input_shape(shape)[1:])
        for stage in range(4):
            for k in range(2):
                stride = 2 if stage and not k else 1
                height, width = ((side - 1) // stride + 1 for side in before[1:])
                after = (self.width << stage, height, width)
                yield Unit(f"unit{stage}{k}", before, after, stride)
                before = after

    def block_shapes(self, shape: Shape) -> list[Shape]:
        stages = [unit.after for unit in self.units(shape)][1::2]
        return [*stages[:-1], (stages[-1][0], 1, 1)]

    def largest_map(self, shape: Shape) -> int:
        return max(math.prod(unit.after) for unit in self.units(shape))

    def multiply_adds(self, shape: Shape, classes: int) -> int:
        return self.counted_layers(shape, classes).multiply_adds

    def counted_layers(self, shape: Shape, classes: int) -> Layers:
        """What its layers hold, and what passes through them take."""

        def normed(before: Shape, after: Shape, kernel: int, stride: int = 1) -> LayerSize:
            further = norm_parameters(self.norm, after)
            return convolution(before, after, kernel, kernel // 2, stride, further=further)

        taken = self._input_shape(shape)
        sizes = [normed(taken, (self.width, *taken[1:]), 3)]
        for unit in self.units(shape):
            sizes += [normed(unit.before, unit.after, 3, unit.stride), normed(unit.after, unit.after, 3)]
            sizes += [normed(unit.before, unit.after, 1, unit.stride)] if unit.projected else []
        sizes.append(matrix(self.width << 3, classes))
        return layers_from(sizes, self.largest_map(shape), settles=self.norm == "batch")

    def initial(
        self, shape: Shape, classes: int, generators: Sequence[torch.Generator], device: torch.device
    ) -> Params:
        from mim4dd.networks.stacked import Layer, norm_layer, stack_initial

        def convolution(name: str, before: int, after: Shape, kernel: int) -> list[Layer]:
            shape = (after[0], before, kernel, kernel)
            return [Layer(name, shape, "linear"), *norm_layer(f"{name}_norm", self.norm, after)]

        layers = convolution("stem", shape[0], (self.width, *self._input_shape(shape)[1:]), 3)
        for unit in self.units(shape):
            layers += convolution(f"{unit.name}a", unit.before[0], unit.after, 3)
            layers += convolution(f"{unit.name}b", unit.after[0], unit.after, 3)
            if unit.projected:
                layers += convolution(f"{unit.name}c", unit.before[0], unit.after, 1)
        return stack_initial([*layers, Layer("head", (classes, self.width << 3))], generators, device)

    def features(self, params: Params, images: Tensor) -> list[Tensor]:
        from mim4dd.networks.stacked import activate, convolve, enlarge, normalise, side_by_side, split_groups

        groups, channels = params["head.weight"].shape[0], params["stem.weight"].shape[2]

        def convolved(maps: Tensor, name: str, padding: int, stride: int = 1) -> Tensor:
            return normalise(convolve(maps, params, name, padding, stride), params, f"{name}_norm", self.norm)

        maps = activate(convolved(side_by_side(enlarge(images, self.smallest)), "stem", 1), "relu")
        outputs = []
        for position, unit in enumerate(self.units((channels, int(images.shape[-2]), int(images.shape[-1])))):
            inner = activate(convolved(maps, f"{unit.name}a", 1, unit.stride), "relu")
            shortcut = convolved(maps, f"{unit.name}c", 0, unit.stride) if unit.projected else maps
            maps = activate(convolved(inner, f"{unit.name}b", 1) + shortcut, "relu")
            if position % 2:
                outputs.append(split_groups(maps, groups))
        return [*outputs[:-1], outputs[-1].mean((3, 4), keepdim=True)]

    def logits(self, params: Params, features: list[Tensor]) -> Tensor:
        from mim4dd.networks.stacked import scores

        return scores(params, features[-1])
