"""The registry of networks, and their interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mim4dd.errors import InputError
from mim4dd.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mim4dd.networks.stacked import Params

Shape = tuple[int, int, int]
"""(channels, H, W)."""

NORM_CHOICES = ("instance", "none", "batch", "layer", "group")


class Network(Protocol):
    """An architecture as a value: its parameters are passed in, so G networks train, or are matched, as one.

    Parameters are a mapping from `layer.weight` and the like to tensors [G, ...]; the last layer is called `head`.
    """

    def block_shapes(self, shape: Shape) -> list[Shape]:
        """(channels, H, W) of every block's output.

        Raises: InputError or KnobError for images that the network cannot take.
        """

    def largest_map(self, shape: Shape) -> int:
        """Numbers in an image's largest map: what a forward pass writes at its widest."""

    def multiply_adds(self, shape: Shape, classes: int) -> int:
        """Multiply-adds of one image's forward pass, norms and activations aside."""

    def initial(
        self, shape: Shape, classes: int, generators: Sequence[torch.Generator], device: torch.device
    ) -> Params:
        """Freshly initialised parameters of one network per generator, [G, ...]."""

    def features(self, params: Params, images: Tensor) -> list[Tensor]:
        """Every block's output, [G, B, channels, h, w], for images [B, ...] seen by all networks or [G, B, ...]."""

    def logits(self, params: Params, features: list[Tensor]) -> Tensor:
        """Class scores from the blocks' outputs, [G, B, C]."""


NETWORKS: Registry[Network] = Registry("network", Network)


def first_padding(shape: Shape) -> int:
    """Padding of the first 3x3 convolution: 3 for 1-channel 28x28 images, as in DC's public code; they become 32x32."""
    return 3 if shape[0] == 1 and shape[1] == 28 else 1


def input_shape(name: str, shape: Shape, least: int, *, upsample: bool) -> Shape:
    """The shape of the images that a network processes: with `upsample` enlarged to at least `least` pixels a side.

    Raises: InputError for smaller images without it.
    """
    if min(shape[1:]) < least and not upsample:
        got = f"{shape[1]}x{shape[2]}"
        raise InputError(
            f"{name} needs images of at least {least}x{least}, got {got}; set its upsample=true to enlarge them"
        )
    return shape[0], max(shape[1], least), max(shape[2], least)
