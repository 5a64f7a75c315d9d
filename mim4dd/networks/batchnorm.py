"""Statistics for batch norms, without hidden state in a network.

Parameters without statistics normalise by the current batch, as in training. `settle` adds the statistics of images: a
trained network is settled with its training images before it classifies, a network that distils with real images.
A `ModuleNetwork` runs in train mode until it is settled, and then in eval mode, whether it has batch norms or not.
Source: population statistics after training instead of running averages, as "precise BN" in Wu & Johnson 2021
(arXiv 2105.07576); fixed statistics of 16 real images per class while distilling, from the public code of DC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mim4dd.networks.module import ModuleNetwork
from mim4dd.networks.passes import SETTLING_IMAGES
from mim4dd.networks.stacked import SETTLED, STATISTICS, Params, Recording

if TYPE_CHECKING:
    from mim4dd.networks.catalogue import Network, Shape


def has_batch_norm(network: Network, shape: Shape) -> bool:
    """Whether a network's outputs for images of this shape depend on what else is in the batch."""
    return network.has_batch_norm(shape) if isinstance(network, ModuleNetwork) else _names_batch_norm(network)


def needs_settling(network: Network) -> bool:
    """Whether `settle` changes how a network runs."""
    return isinstance(network, ModuleNetwork) or _names_batch_norm(network)


def _names_batch_norm(network: Network) -> bool:
    return getattr(network, "norm", "") == "batch"


def settle(network: Network, params: Params, images: Tensor) -> Params:
    """Add these images' statistics to the parameters, or nothing where nothing needs them.

    Shapes: images [B, channels, H, W], of which evenly spaced ones are taken when there are more than 1,000, or
    [G, B, channels, H, W].
    """
    if not needs_settling(network):
        return params
    if images.ndim == 4 and len(images) > SETTLING_IMAGES:
        images = images[torch.linspace(0, len(images) - 1, SETTLING_IMAGES).long()]
    if isinstance(network, ModuleNetwork):
        return network.settled(unsettled(params), images)
    recording = Recording(unsettled(params))
    with torch.no_grad():
        network.features(recording, images)
    return {**unsettled(params), **recording.statistics}


def unsettled(params: Params) -> Params:
    """The parameters without statistics."""
    return {
        name: tensor for name, tensor in params.items() if not (name.endswith(STATISTICS) or name.startswith(SETTLED))
    }
