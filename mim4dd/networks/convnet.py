"""The ConvNet of the dataset-distillation literature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mim4dd.errors import KnobError
from mim4dd.networks.catalogue import NETWORKS, NORM_CHOICES, first_padding
from mim4dd.networks.layers import Layers, convolution, layers_from, matrix, norm_parameters
from mim4dd.registry import knob

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mim4dd.networks.stacked import Layer, Params


@NETWORKS.add("convnet")
@dataclass(frozen=True, kw_only=True)
class ConvNet:
    """Blocks of conv 3x3, norm, activation and pool 2, then a linear head; many networks run as one.

    Parameters of G networks are stacked along a leading axis and their convolutions run as one grouped convolution.
    Source: Gidaris & Komodakis 2018 by way of Zhao et al. 2021 (DC): 3 blocks, width 128, instance norm, ReLU, average
    pool. 1-channel 28x28 images are padded by 3 at the first convolution, so maps are 32, 16, 8, 4.
    Differs: depth 0 follows the image (8x8: 2 blocks, up to 32x32: 3, 64x64: 4); the literature fixes 3 up to 32x32.
    """

    width: int = knob(128, low=1, high=4096, search=(16, 32, 64, 128), help="channels of every block")
    depth: int = knob(0, low=0, high=6, search=(1, 2, 3), help="blocks; 0 follows the image size")
    norm: str = knob("instance", choices=NORM_CHOICES, help="normalisation after each convolution; group: of 4 groups")
    activation: str = knob("relu", choices=("relu", "leaky_relu", "sigmoid"), help="after the normalisation")
    pooling: str = knob("avg", choices=("avg", "max", "none"), help="2x2, at the end of each block")

    def __post_init__(self) -> None:
        if self.norm == "group" and self.width % 4:
            raise KnobError(f"convnet.width must be a multiple of 4 for norm=group, got {self.width}")

    def blocks(self, size: int) -> int:
        """How many blocks an image of this height takes.

        Raises: KnobError when the image is too small for the requested depth.
        """
        depth = self.depth or (2 if size <= 8 else 3 if size <= 32 else 4 if size <= 64 else 5)
        if self.pooling != "none" and size >> depth < 1:
            raise KnobError(f"convnet.depth must leave a pixel: {depth} blocks halve {size} pixels to none")
        return depth

    def _convolved(self, shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """(channels, H, W) after each convolution, before the pooling."""
        _, height, width = shape
        grow = 2 * (first_padding(shape) - 1)
        height, width, shapes = height + grow, width + grow, []
        for _block in range(self.blocks(min(shape[1:]))):
            shapes.append((self.width, height, width))
            if self.pooling != "none":
                height, width = height // 2, width // 2
        return shapes

    def block_shapes(self, shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """(channels, H, W) after each block, for images of (channels, H, W)."""
        halve = 1 if self.pooling == "none" else 2
        return [(channels, height // halve, width // halve) for channels, height, width in self._convolved(shape)]

    def largest_map(self, shape: tuple[int, int, int]) -> int:
        """Numbers in an image's largest map."""
        _, height, width = self._convolved(shape)[0]
        return self.width * height * width

    def multiply_adds(self, shape: tuple[int, int, int], classes: int) -> int:
        """Multiply-adds of one image's forward pass (convolutions and head)."""
        return self.counted_layers(shape, classes).multiply_adds

    def counted_layers(self, shape: tuple[int, int, int], classes: int) -> Layers:
        """What its layers hold, and what passes through them take."""
        blocks, convolved, padding = self.block_shapes(shape), self._convolved(shape), first_padding(shape)
        paddings = [padding] + [1] * len(blocks)
        sizes = [
            convolution(before, after, 3, around, further=self.width + norm_parameters(self.norm, after))
            for before, after, around in zip([shape, *blocks], convolved, paddings, strict=False)
        ]
        return layers_from(
            [*sizes, matrix(math.prod(blocks[-1]), classes)], self.largest_map(shape), settles=self.norm == "batch"
        )

    def initial(
        self, shape: tuple[int, int, int], classes: int, generators: Sequence[torch.Generator], device: torch.device
    ) -> Params:
        """Freshly initialised parameters of one network per generator, stacked: torch's own uniform fan-in rule."""
        from mim4dd.networks.stacked import Layer, norm_layer, stack_initial

        channels = shape[0]
        layers: list[Layer] = []
        for block, convolved in enumerate(self._convolved(shape)):
            layers.append(Layer(f"conv{block}", (self.width, channels, 3, 3)))
            layers += norm_layer(f"norm{block}", self.norm, convolved)
            channels = self.width
        width, height, columns = self.block_shapes(shape)[-1]
        layers.append(Layer("head", (classes, width * height * columns)))
        return stack_initial(layers, generators, device)

    def features(self, params: Params, images: Tensor) -> list[Tensor]:
        """Every block's output.

        Shapes: images [B, channels, H, W], seen by all G networks, or [G, B, channels, H, W], each its own; each output
        [G, B, width, h, w].
        """
        from mim4dd.networks.stacked import activate, convolve, normalise, pool, side_by_side, split_groups

        groups, channels = params["head.weight"].shape[0], params["conv0.weight"].shape[2]
        padding = first_padding((channels, *images.shape[-2:]))
        maps, outputs = side_by_side(images), []
        for block in range(self.blocks(min(images.shape[-2:]))):
            maps = convolve(maps, params, f"conv{block}", padding if block == 0 else 1)
            maps = activate(normalise(maps, params, f"norm{block}", self.norm), self.activation)
            maps = pool(maps, self.pooling)
            outputs.append(split_groups(maps, groups))
        return outputs

    def logits(self, params: Params, features: list[Tensor]) -> Tensor:
        """Class scores from the blocks' outputs, [G, B, C]."""
        from mim4dd.networks.stacked import scores

        return scores(params, features[-1])
