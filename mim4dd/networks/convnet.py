"""The ConvNet of the dataset-distillation literature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mim4dd.errors import KnobError
from mim4dd.networks.catalogue import NETWORKS
from mim4dd.registry import knob

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mim4dd.networks.stacked import Params


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
    norm: str = knob("instance", choices=("instance", "none"), help="normalisation after each convolution")
    activation: str = knob("relu", choices=("relu", "leaky_relu", "sigmoid"), help="after the normalisation")
    pooling: str = knob("avg", choices=("avg", "max"), help="2x2, at the end of each block")

    def blocks(self, size: int) -> int:
        """How many blocks an image of this height takes.

        Raises: KnobError when the image is too small for the depth asked for.
        """
        depth = self.depth or (2 if size <= 8 else 3 if size <= 32 else 4 if size <= 64 else 5)
        if size >> depth < 1:
            raise KnobError(f"convnet.depth must leave a pixel: {depth} blocks halve {size} pixels to none")
        return depth

    def block_shapes(self, shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """(channels, H, W) after each block, for images of (channels, H, W)."""
        _, height, width = shape
        grow = 2 * (_first_padding(shape) - 1)
        height, width = height + grow, width + grow
        shapes = []
        for _block in range(self.blocks(min(shape[1:]))):
            height, width = height // 2, width // 2
            shapes.append((self.width, height, width))
        return shapes

    def multiply_adds(self, shape: tuple[int, int, int], classes: int) -> int:
        """Multiply-adds of one image's forward pass (convolutions and head)."""
        grow = 2 * (_first_padding(shape) - 1)
        total, channels, height, columns = 0, shape[0], shape[1] + grow, shape[2] + grow
        for width, halved, halved_columns in self.block_shapes(shape):
            total += height * columns * channels * width * 9  # an odd map loses a row only after its convolution
            channels, height, columns = width, halved, halved_columns
        return total + channels * height * columns * classes

    def initial(
        self, shape: tuple[int, int, int], classes: int, generators: Sequence[torch.Generator], device: torch.device
    ) -> Params:
        """Freshly initialised parameters of one network a generator, stacked: torch's own uniform fan-in rule."""
        from mim4dd.networks.stacked import stack_initial

        channels = shape[0]
        layers: list[tuple[str, tuple[int, ...]]] = []
        for block in range(self.blocks(min(shape[1:]))):
            layers.append((f"conv{block}", (self.width, channels, 3, 3)))
            if self.norm == "instance":
                layers.append((f"norm{block}", (self.width,)))
            channels = self.width
        width, height, columns = self.block_shapes(shape)[-1]
        layers.append(("head", (classes, width * height * columns)))
        return stack_initial(layers, generators, device)

    def features(self, params: Params, images: Tensor) -> list[Tensor]:
        """Every block's output.

        Shapes: images [B, channels, H, W], seen by all G networks, or [G, B, channels, H, W], each its own; each output
        [G, B, width, h, w].
        """
        from mim4dd.networks.stacked import activate, as_groups, convolve, pool, split_groups

        groups, channels = params["head.weight"].shape[0], params["conv0.weight"].shape[2]
        padding = _first_padding((channels, *images.shape[-2:]))
        maps, outputs = as_groups(images, groups), []
        for block in range(sum(name.startswith("conv") for name in params) // 2):
            maps = convolve(maps, params, block, padding if block == 0 else 1)
            maps = pool(activate(maps, self.activation), self.pooling)
            outputs.append(split_groups(maps, groups))
        return outputs

    def logits(self, params: Params, features: list[Tensor]) -> Tensor:
        """Class scores from the blocks' outputs, [G, B, C]."""
        flat = features[-1].flatten(2)
        return flat @ params["head.weight"].transpose(1, 2) + params["head.bias"][:, None]


def _first_padding(shape: tuple[int, int, int]) -> int:
    return 3 if shape[0] == 1 and shape[1] == 28 else 1
