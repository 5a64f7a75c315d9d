"""A ConvNet that counts the images which pass forward."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from mim4dd.networks import ConvNet
from mim4dd.networks.stacked import Params


@dataclass(frozen=True, kw_only=True)
class Counting(ConvNet):
    """met: the images of each pass so far."""

    met: list[int] = field(default_factory=list)

    def features(self, params: Params, images: Tensor) -> list[Tensor]:
        self.met.append(images.shape[:-3].numel())
        return super().features(params, images)
