"""The register of networks, and what a network must offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mim4dd.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mim4dd.networks.stacked import Params


class Network(Protocol):
    """An architecture as a value: its parameters are passed in, so G networks train, or are matched, as one."""

    def block_shapes(self, shape: tuple[int, int, int]) -> list[tuple[int, int, int]]: ...

    def multiply_adds(self, shape: tuple[int, int, int], classes: int) -> int: ...

    def initial(
        self, shape: tuple[int, int, int], classes: int, generators: Sequence[torch.Generator], device: torch.device
    ) -> Params: ...

    def features(self, params: Params, images: Tensor) -> list[Tensor]: ...

    def logits(self, params: Params, features: list[Tensor]) -> Tensor: ...


NETWORKS: Registry[Network] = Registry("network")
