"""An oracle: the ConvNet and its training as plain torch, one network at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mim4dd.networks.stacked import Params
from mim4dd.train import Recipe

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "sigmoid": nn.Sigmoid}


class PlainConvNet(nn.Module):
    """Conv 3x3, instance norm (affine), activation, pool 2, as often as asked; a linear head."""

    def __init__(
        self,
        channels: int,
        width: int,
        depth: int,
        pixels: int,
        classes: int,
        *,
        padding: int = 1,
        norm: str = "instance",
        activation: str = "relu",
        pooling: str = "avg",
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for block in range(depth):
            layers: list[nn.Module] = [
                nn.Conv2d(width if block else channels, width, 3, padding=1 if block else padding)
            ]
            if norm == "instance":
                layers.append(nn.InstanceNorm2d(width, affine=True))
            layers += [ACTIVATIONS[activation](), nn.AvgPool2d(2) if pooling == "avg" else nn.MaxPool2d(2)]
            self.blocks.append(nn.Sequential(*layers))
        self.head = nn.Linear(width * pixels, classes)

    def features(self, images: Tensor) -> list[Tensor]:
        found = []
        for block in self.blocks:
            images = block(images)
            found.append(images)
        return found

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images)[-1].flatten(1))

    def take(self, params: Params, g: int) -> PlainConvNet:
        """This network with the weights of network g of the stack."""
        for block, layers in enumerate(self.blocks):
            for layer in layers:
                kind = {nn.Conv2d: "conv", nn.InstanceNorm2d: "norm"}.get(type(layer))
                if kind:
                    layer.weight.data = params[f"{kind}{block}.weight"][g].clone()
                    layer.bias.data = params[f"{kind}{block}.bias"][g].clone()
        self.head.weight.data, self.head.bias.data = params["head.weight"][g].clone(), params["head.bias"][g].clone()
        return self


def train_plain(
    network: PlainConvNet, images: Tensor, labels: Tensor, recipe: Recipe, order: Callable[[int], Tensor]
) -> PlainConvNet:
    """The recipe as the field writes it; order(epoch) says in which order an epoch sees the images."""

    def optimizer(lr: float) -> torch.optim.SGD:
        decay = recipe.weight_decay
        return torch.optim.SGD(network.parameters(), lr=lr, momentum=recipe.momentum, weight_decay=decay)

    sgd = optimizer(recipe.lr)
    for epoch in range(recipe.epochs):
        if epoch and epoch == recipe.epochs // 2:
            if recipe.restart_momentum:
                sgd = optimizer(recipe.lr / 10)
            sgd.param_groups[0]["lr"] = recipe.lr / 10
        for rows in order(epoch).split(recipe.batch):
            sgd.zero_grad()
            nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
            sgd.step()
    return network
