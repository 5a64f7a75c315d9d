"""Architectures: `NETWORKS` lists them; `Network` is their interface."""

from mim4dd.networks.catalogue import NETWORKS, Network
from mim4dd.networks.classic import MLP, VGG11, AlexNet, LeNet
from mim4dd.networks.convnet import ConvNet
from mim4dd.networks.module import ModuleNetwork, from_module
from mim4dd.networks.resnet import ResNet18
from mim4dd.networks.vit import ViT

__all__ = [
    "MLP",
    "NETWORKS",
    "VGG11",
    "AlexNet",
    "ConvNet",
    "LeNet",
    "ModuleNetwork",
    "Network",
    "ResNet18",
    "ViT",
    "from_module",
]
