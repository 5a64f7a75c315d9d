"""Plain stacks of layers: MLP, LeNet, AlexNet, VGG-11, as the field's public code has them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mim4dd.networks.catalogue import NETWORKS, NORM_CHOICES, Shape, input_shape
from mim4dd.networks.layers import Layers, convolution, layers_from, matrix, norm_parameters
from mim4dd.registry import knob, name_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mim4dd.networks.stacked import Layer, Params


@NETWORKS.add("mlp")
@dataclass(frozen=True, kw_only=True)
class MLP:
    """Linear layers with ReLU, then a linear head.

    Source: the MLP of Zhao et al. 2021 (DC): two hidden layers of 128.
    """

    width: int = knob(128, low=1, high=65_536, search=(64, 128, 256), help="of every hidden layer")
    depth: int = knob(2, low=1, high=16, search=(1, 2, 3), help="hidden layers")

    def block_shapes(self, shape: Shape) -> list[Shape]:
        return [(self.width, 1, 1)] * self.depth

    def largest_map(self, shape: Shape) -> int:
        return max(math.prod(shape), self.width)

    def multiply_adds(self, shape: Shape, classes: int) -> int:
        return self.counted_layers(shape, classes).multiply_adds

    def counted_layers(self, shape: Shape, classes: int) -> Layers:
        """What its layers hold, and what passes through them take."""
        widths = itertools.pairwise([math.prod(shape), *[self.width] * self.depth, classes])
        return layers_from([matrix(a, b) for a, b in widths], self.largest_map(shape))

    def initial(
        self, shape: Shape, classes: int, generators: Sequence[torch.Generator], device: torch.device
    ) -> Params:
        from mim4dd.networks.stacked import Layer, stack_initial

        sizes = [math.prod(shape), *[self.width] * self.depth]
        layers = [Layer(f"fc{k}", (after, before)) for k, (before, after) in enumerate(itertools.pairwise(sizes))]
        return stack_initial([*layers, Layer("head", (classes, self.width))], generators, device)

    def features(self, params: Params, images: Tensor) -> list[Tensor]:
        from mim4dd.networks.stacked import activate, as_vectors, dense

        vectors, outputs = as_vectors(images, len(params["head.weight"])), []
        for k in range(self.depth):
            vectors = activate(dense(vectors, params, f"fc{k}"), "relu")
            outputs.append(vectors[..., None, None])
        return outputs

    def logits(self, params: Params, features: list[Tensor]) -> Tensor:
        from mim4dd.networks.stacked import scores

        return scores(params, features[-1])


@dataclass(frozen=True)
class Conv:
    """A convolution with its norm and ReLU; pool: whether a maximum over 2x2 follows and ends a block."""

    width: int
    kernel: int
    padding: int
    pool: bool


class Stack:
    """Convolutions in a row, then hidden linear layers, then a linear head: what the classic networks share."""

    least: ClassVar[int] = 8
    hidden: ClassVar[tuple[int, ...]] = ()
    norm: str = "none"
    upsample: bool = False

    def convolutions(self, shape: Shape) -> list[Conv]:
        """The convolutions for images of this shape."""
        raise NotImplementedError

    def smallest(self, shape: Shape) -> int:
        """The smallest side of an image of which a pixel is left after the pooling."""
        return self.least

    def _input_shape(self, shape: Shape) -> Shape:
        """The shape of the first convolution's images.

        Raises: InputError for images that are too small, unless `upsample` is set.
        """
        return input_shape(name_of(self), shape, self.smallest(shape), upsample=self.upsample)

    def _shapes(self, shape: Shape) -> list[tuple[Conv, Shape, Shape]]:
        """Each convolution with the shapes before it and after it, before the pooling."""
        before, shapes = self._input_shape(shape), []
        for conv in self.convolutions(before):
            height, width = (side + 2 * conv.padding - conv.kernel + 1 for side in before[1:])
            after = (conv.width, height, width)
            shapes.append((conv, before, after))
            before = (conv.width, height // 2, width // 2) if conv.pool else after
        return shapes

    def block_shapes(self, shape: Shape) -> list[Shape]:
        pooled = [(after[0], after[1] // 2, after[2] // 2) for conv, _, after in self._shapes(shape) if conv.pool]
        return pooled + [(width, 1, 1) for width in self.hidden]

    def largest_map(self, shape: Shape) -> int:
        return max(math.prod(after) for _, _, after in self._shapes(shape))

    def multiply_adds(self, shape: Shape, classes: int) -> int:
        return self.counted_layers(shape, classes).multiply_adds

    def counted_layers(self, shape: Shape, classes: int) -> Layers:
        """What its layers hold, and what passes through them take."""
        sizes = [
            convolution(
                before, after, conv.kernel, conv.padding, further=conv.width + norm_parameters(self.norm, after)
            )
            for conv, before, after in self._shapes(shape)
        ]
        sizes += [matrix(a, b) for a, b in itertools.pairwise(self._sizes(shape, classes))]
        return layers_from(sizes, self.largest_map(shape), settles=self.norm == "batch")

    def _sizes(self, shape: Shape, classes: int) -> list[int]:
        """The sizes before, between and after the linear layers."""
        pooled = self.block_shapes(shape)[: -len(self.hidden) or None]
        return [math.prod(pooled[-1]), *self.hidden, classes]

    def initial(
        self, shape: Shape, classes: int, generators: Sequence[torch.Generator], device: torch.device
    ) -> Params:
        from mim4dd.networks.stacked import Layer, norm_layer, stack_initial

        layers: list[Layer] = []
        for k, (conv, before, after) in enumerate(self._shapes(shape)):
            layers.append(Layer(f"conv{k}", (conv.width, before[0], conv.kernel, conv.kernel)))
            layers += norm_layer(f"norm{k}", self.norm, after)
        sizes = self._sizes(shape, classes)
        names = [f"fc{k}" for k in range(len(self.hidden))] + ["head"]
        layers += [Layer(name, (b, a)) for name, (a, b) in zip(names, itertools.pairwise(sizes), strict=True)]
        return stack_initial(layers, generators, device)

    def features(self, params: Params, images: Tensor) -> list[Tensor]:
        from mim4dd.networks.stacked import (
            activate,
            convolve,
            dense,
            enlarge,
            normalise,
            pool,
            side_by_side,
            split_groups,
        )

        groups, channels = params["head.weight"].shape[0], params["conv0.weight"].shape[2]
        shape = (channels, int(images.shape[-2]), int(images.shape[-1]))
        maps, outputs = side_by_side(enlarge(images, self.smallest(shape))), []
        for k, conv in enumerate(self.convolutions(self._input_shape(shape))):
            maps = normalise(convolve(maps, params, f"conv{k}", conv.padding), params, f"norm{k}", self.norm)
            maps = activate(maps, "relu")
            if conv.pool:
                maps = pool(maps, "max")
                outputs.append(split_groups(maps, groups))
        vectors = outputs[-1].flatten(2)
        for k in range(len(self.hidden)):
            vectors = activate(dense(vectors, params, f"fc{k}"), "relu")
            outputs.append(vectors[..., None, None])
        return outputs

    def logits(self, params: Params, features: list[Tensor]) -> Tensor:
        from mim4dd.networks.stacked import scores

        return scores(params, features[-1])


@NETWORKS.add("lenet")
@dataclass(frozen=True, kw_only=True)
class LeNet(Stack):
    """Two convolutions of 5x5 with maximum pooling, two hidden linear layers, a linear head.

    Source: LeCun et al. 1998 as in the public code of DC: ReLU, maximum pooling; 1-channel images are padded by 2.
    """

    upsample: bool = knob(False, help="enlarge images below 16x16 (grey: 12x12) instead of refusing them")

    hidden: ClassVar[tuple[int, ...]] = (120, 84)

    def smallest(self, shape: Shape) -> int:
        return 12 if shape[0] == 1 else 16

    def convolutions(self, shape: Shape) -> list[Conv]:
        return [Conv(6, 5, 2 if shape[0] == 1 else 0, pool=True), Conv(16, 5, 0, pool=True)]


@NETWORKS.add("alexnet")
@dataclass(frozen=True, kw_only=True)
class AlexNet(Stack):
    """Five convolutions with three maximum poolings, then a linear head.

    Source: Krizhevsky et al. 2012 in the small form of DC's public code: 128, 192, 256, 192, 192 channels, no hidden
    linear layers, 1-channel images padded by 4 first.
    """

    upsample: bool = knob(False, help="enlarge images below 8x8 instead of refusing them")

    def convolutions(self, shape: Shape) -> list[Conv]:
        first = Conv(128, 5, 4 if shape[0] == 1 else 2, pool=True)
        rest = [Conv(256, 3, 1, pool=False), Conv(192, 3, 1, pool=False), Conv(192, 3, 1, pool=True)]
        return [first, Conv(192, 5, 2, pool=True), *rest]


@NETWORKS.add("vgg11")
@dataclass(frozen=True, kw_only=True)
class VGG11(Stack):
    """Eight convolutions of 3x3 with five maximum poolings, then a linear head.

    Source: Simonyan & Zisserman 2015, configuration A, as in DC's public code: a norm after each convolution, one
    linear layer; 1-channel images are padded by 3 first.
    Differs: only 28x28 ones are, which become 32x32; images above 32x32 keep their last map's pixels.
    """

    norm: str = knob("instance", choices=NORM_CHOICES, help="normalisation after each convolution")
    upsample: bool = knob(False, help="enlarge images below 32x32 (grey: 28x28) instead of refusing them")

    def smallest(self, shape: Shape) -> int:
        return 28 if shape[0] == 1 else 32

    def convolutions(self, shape: Shape) -> list[Conv]:
        first = 3 if shape[0] == 1 and min(shape[1:]) < 32 else 1
        stages = ((64,), (128,), (256, 256), (512, 512), (512, 512))
        convolutions = [Conv(w, 3, 1, pool=k == len(stage) - 1) for stage in stages for k, w in enumerate(stage)]
        return [Conv(64, 3, first, pool=True), *convolutions[1:]]
