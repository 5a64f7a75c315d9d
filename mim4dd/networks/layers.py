"""What a network's layers hold and what a pass through them takes, counted by hand and without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mim4dd.networks.catalogue import Shape


@dataclass(frozen=True)
class LayerSize:
    """A layer with weights: each of `channels` numbers at each of `pixels` places is a sum of `inputs` products.

    further: parameters besides the weights, of the bias and of the norm that follows. unasked: of a convolution, see
    `Layers`; 0 for a matrix.
    """

    inputs: int
    channels: int
    pixels: int = 1
    further: int = 0
    unasked: int = 0

    @property
    def written(self) -> int:
        """Numbers that it writes for an image."""
        return self.channels * self.pixels

    @property
    def multiply_adds(self) -> int:
        """Of one image's forward pass."""
        return self.inputs * self.written

    @property
    def parameters(self) -> int:
        return self.inputs * self.channels + self.further


def matrix(inputs: int, channels: int, pixels: int = 1) -> LayerSize:
    """A linear layer with a bias, at each of `pixels` places."""
    return LayerSize(inputs, channels, pixels, further=channels)


def convolution(
    before: Shape, after: Shape, kernel: int, padding: int, stride: int = 1, *, further: int = 0
) -> LayerSize:
    """A convolution between maps of these shapes."""
    pixels = after[1] * after[2]
    # Torch takes the weights' gradient at all offsets that the padded map has room for, more than the kernel's where
    # the stride leaves pixels out, and cuts the rest off.
    offsets = [side + 2 * padding - stride * (kept - 1) for side, kept in zip(before[1:], after[1:], strict=True)]
    unasked = math.prod(offsets) * before[0] * after[0] * pixels
    return LayerSize(kernel**2 * before[0], after[0], pixels, further, unasked)


@dataclass(frozen=True)
class Layers:
    """A network for images of one shape, in numbers that are the same for each of its images.

    Multiply-adds of an image's forward pass, apart by what their gradients take: `first`, of the layer that takes the
    image (its input has a gradient only where pixels have one); `convolved` and `dense`, of the further convolutions
    and matrices up to the last block; `head`, of the class scores after it; `products`, of maps with each other as in
    attention (their gradients need both maps, whether weights are fixed or not).
    unasked: multiply-adds towards the weights when the gradient of a convolution's input is differentiated, which torch
    computes whether the weights need them or not: `convolved`, or more where a stride is 2.
    written: numbers in the outputs of all these layers. largest: in an image's largest map. parameters: of one network.
    settles: whether `settle` passes images, see `mim4dd.networks.batchnorm`. draws: see `mim4dd.networks.module.draws`.
    """

    first: int = 0
    convolved: int = 0
    dense: int = 0
    head: int = 0
    products: int = 0
    unasked: int = 0
    written: int = 0
    largest: int = 1
    parameters: int = 0
    settles: bool = False
    draws: bool = False

    @property
    def multiply_adds(self) -> int:
        """Of one image's forward pass to the class scores."""
        return self.first + self.convolved + self.dense + self.head + self.products


# So small that whatever passes, passes at once: for what is the same for all networks.
SMALLEST = Layers()


def layers_from(sizes: Sequence[LayerSize], largest: int, *, settles: bool = False) -> Layers:
    """Layers in the order of a pass: the first takes the image, the last gives the class scores."""
    first, *inner, head = sizes
    return Layers(
        first=first.multiply_adds,
        convolved=sum(one.multiply_adds for one in inner if one.unasked),
        dense=sum(one.multiply_adds for one in inner if not one.unasked),
        head=head.multiply_adds,
        unasked=sum(one.unasked for one in inner),
        written=sum(one.written for one in sizes),
        largest=largest,
        parameters=sum(one.parameters for one in sizes),
        settles=settles,
    )


def norm_parameters(norm: str, shape: Shape) -> int:
    """How many a norm over maps of (channels, H, W) has."""
    return 0 if norm == "none" else 2 * (math.prod(shape) if norm == "layer" else shape[0])
