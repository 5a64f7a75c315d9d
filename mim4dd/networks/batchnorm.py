"""Statistics for batch norms, without state that hides in a network.

Parameters without statistics normalise by the batch at hand, as in training. `settle` adds those of given images: a
trained network is settled with what it was trained on before it classifies, a network that distils with real images.
Source: population statistics after training instead of running averages, as "precise BN" in Wu & Johnson 2021
(arXiv 2105.07576); fixed statistics of 16 real images a class while distilling, from the public code of DC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mim4dd.networks.stacked import Params, Recording

if TYPE_CHECKING:
    from mim4dd.networks.catalogue import Network

STATISTICS = (".mean", ".variance")
# So many images fix a mean and variance well enough, and one forward pass takes them.
IMAGES = 1_000


def has_batch_norm(network: Network) -> bool:
    """Whether a network's outputs depend on what else is in the batch."""
    return getattr(network, "norm", "") == "batch"


def settle(network: Network, params: Params, images: Tensor) -> Params:
    """The parameters with the statistics that these images have; as they are where there is no batch norm.

    Shapes: images [B, channels, H, W], of which evenly spaced ones are taken when there are more than 1,000, or
    [G, B, channels, H, W].
    """
    if not has_batch_norm(network):
        return params
    recording = Recording(unsettled(params))
    if images.ndim == 4 and len(images) > IMAGES:
        images = images[torch.linspace(0, len(images) - 1, IMAGES).long()]
    with torch.no_grad():
        network.features(recording, images)
    return {**unsettled(params), **recording.met}


def unsettled(params: Params) -> Params:
    """The parameters without statistics."""
    return {name: tensor for name, tensor in params.items() if not name.endswith(STATISTICS)}
