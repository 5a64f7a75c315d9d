"""A small vision transformer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mim4dd.errors import KnobError
from mim4dd.networks.catalogue import NETWORKS, Shape
from mim4dd.networks.layers import Layers, LayerSize, layers_from, matrix, norm_parameters
from mim4dd.registry import knob

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mim4dd.networks.stacked import Params


@NETWORKS.add("vit")
@dataclass(frozen=True, kw_only=True)
class ViT:
    """Patches, learned positions, pre-norm transformer layers, the mean over patches, a linear head.

    Source: Dosovitskiy et al. 2021 (arXiv 2010.11929); the mean over patches instead of a class token and the size
    follow Beyer, Zhai & Kolesnikov 2022 (arXiv 2205.01580).
    Differs: about 1.2 million parameters; patch 0 takes an eighth of the image's side, so about 8x8 patches.
    """

    width: int = knob(128, low=4, high=1024, search=(64, 128, 192), help="numbers per patch")
    depth: int = knob(6, low=1, high=24, search=(2, 4, 6), help="transformer layers")
    heads: int = knob(4, low=1, high=16, help="attention heads; they share the width")
    patch: int = knob(0, low=0, high=64, help="pixels of a patch's side; 0 is an eighth of the image's")

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise KnobError(f"vit.width must be a multiple of vit.heads, got {self.width} and {self.heads}")

    def grid(self, shape: Shape) -> tuple[int, int, int]:
        """(pixels of a patch's side, rows, columns).

        Raises: KnobError when patches do not fill the image.
        """
        side = self.patch or max(1, round(min(shape[1:]) / 8))
        if shape[1] % side or shape[2] % side:
            raise KnobError(f"vit.patch must divide the image's sides, got {side} for {shape[1]}x{shape[2]}")
        return side, shape[1] // side, shape[2] // side

    def block_shapes(self, shape: Shape) -> list[Shape]:
        _, rows, columns = self.grid(shape)
        return [(self.width, rows, columns)] * (self.depth - 1) + [(self.width, 1, 1)]

    def largest_map(self, shape: Shape) -> int:
        _, rows, columns = self.grid(shape)
        return rows * columns * max(4 * self.width, self.heads * rows * columns)

    def multiply_adds(self, shape: Shape, classes: int) -> int:
        return self.counted_layers(shape, classes).multiply_adds

    def counted_layers(self, shape: Shape, classes: int) -> Layers:
        """What its layers hold, and what passes through them take: queries meet keys, and weights values, as maps."""
        side, rows, columns = self.grid(shape)
        patches, width = rows * columns, self.width
        mapped = [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)]
        sizes = [LayerSize(side**2 * shape[0], width, patches, width + patches * width)]
        sizes += [matrix(a, b, patches) for a, b in mapped * self.depth]
        sizes.append(matrix(width, classes))
        layers = layers_from(sizes, self.largest_map(shape))
        return replace(
            layers,
            products=2 * self.depth * patches**2 * width,
            written=layers.written + self.depth * patches * (self.heads * patches + width),
            parameters=layers.parameters + (2 * self.depth + 1) * norm_parameters("instance", (width, rows, columns)),
        )

    def initial(
        self, shape: Shape, classes: int, generators: Sequence[torch.Generator], device: torch.device
    ) -> Params:
        from mim4dd.networks.stacked import Layer, stack_initial

        side, rows, columns = self.grid(shape)
        width = self.width
        layers = [
            Layer("patches", (width, shape[0], side, side)),
            Layer("positions", (rows * columns, width), "position"),
        ]
        for k in range(self.depth):
            layers += [Layer(f"attention_norm{k}", (width,), "norm"), Layer(f"attention{k}", (3 * width, width))]
            layers += [Layer(f"joined{k}", (width, width)), Layer(f"mlp_norm{k}", (width,), "norm")]
            layers += [Layer(f"wide{k}", (4 * width, width)), Layer(f"narrow{k}", (width, 4 * width))]
        layers += [Layer("last_norm", (width,), "norm"), Layer("head", (classes, width))]
        return stack_initial(layers, generators, device)

    def features(self, params: Params, images: Tensor) -> list[Tensor]:
        import torch.nn.functional as F

        from mim4dd.networks.stacked import convolve, side_by_side, split_groups

        groups = params["head.weight"].shape[0]
        side = params["patches.weight"].shape[-1]
        maps = split_groups(convolve(side_by_side(images), params, "patches", 0, side), groups)
        rows, columns = maps.shape[-2:]
        # [G, B, patches, width] from here on.
        tokens = maps.flatten(3).transpose(2, 3) + params["positions.weight"][:, None]
        outputs = []
        for k in range(self.depth):
            tokens = tokens + self._attended(_normed(tokens, params, f"attention_norm{k}"), params, k)
            wide = F.gelu(_mapped(_normed(tokens, params, f"mlp_norm{k}"), params, f"wide{k}"))
            tokens = tokens + _mapped(wide, params, f"narrow{k}")
            outputs.append(tokens.transpose(2, 3).unflatten(3, (rows, columns)))
        outputs[-1] = _normed(tokens, params, "last_norm").mean(2)[..., None, None]
        return outputs

    def _attended(self, tokens: Tensor, params: Params, k: int) -> Tensor:
        """Self-attention, written out: the fused kernels have no second derivative."""
        mixed = _mapped(tokens, params, f"attention{k}").unflatten(3, (3, self.heads, -1))
        query, key, value = mixed.permute(3, 0, 1, 4, 2, 5)  # each [G, B, heads, patches, width / heads]
        weights = (query @ key.transpose(-1, -2) * (self.width / self.heads) ** -0.5).softmax(-1)
        return _mapped((weights @ value).transpose(2, 3).flatten(3), params, f"joined{k}")

    def logits(self, params: Params, features: list[Tensor]) -> Tensor:
        from mim4dd.networks.stacked import scores

        return scores(params, features[-1])


def _mapped(tokens: Tensor, params: Params, name: str) -> Tensor:
    from mim4dd.networks.stacked import dense

    return dense(tokens.flatten(1, 2), params, name).unflatten(1, tokens.shape[1:3])


def _normed(tokens: Tensor, params: Params, name: str) -> Tensor:
    import torch.nn.functional as F

    weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
    return F.layer_norm(tokens, tokens.shape[-1:]) * weight[:, None, None] + bias[:, None, None]
