"""Architectures: `NETWORKS` lists them; `Network` is what each offers."""

from mim4dd.networks.catalogue import NETWORKS, Network
from mim4dd.networks.convnet import ConvNet

__all__ = ["NETWORKS", "ConvNet", "Network"]
