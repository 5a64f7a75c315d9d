"""Statistics for batch norms, without hidden state in a network.

Parameters without statistics normalise by the current batch, as in training. `settle` adds the statistics of images: a
trained network is settled with its training images before it classifies, a network that distils with real images.
Source: population statistics after training instead of running averages, as "precise BN" in Wu & Johnson 2021
(arXiv 2105.07576); fixed statistics of 16 real images per class while distilling, from the public code of DC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mim4dd.networks.stacked import Params, Recording

if TYPE_CHECKING:
    from mim4dd.networks.catalogue import Network

STATISTICS = (".mean", ".variance")
# Enough images for a good mean and variance, and few enough for one forward pass.
IMAGES = 1_000


def has_batch_norm(network: Network) -> bool:
    """Whether a network's outputs depend on what else is in the batch."""
    return getattr(network, "norm", "") == "batch"


def settle(network: Network, params: Params, images: Tensor) -> Params:
    """Add these images' statistics to the parameters, or nothing where there is no batch norm.

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
    return {**unsettled(params), **recording.statistics}


def unsettled(params: Params) -> Params:
    """The parameters without statistics."""
    return {name: tensor for name, tensor in params.items() if not name.endswith(STATISTICS)}
