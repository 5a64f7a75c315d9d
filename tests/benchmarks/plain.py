"""The plain way: one network, one class at a time, as torch modules. What our batched code is held against."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = dict[str, Tensor]
Augment = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]


class PlainConvNet(nn.Module):
    """The literature's ConvNet as a module: conv 3x3, instance norm, ReLU, average pool, then a linear head."""

    def __init__(self, channels: int, width: int, depth: int, size: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for block in range(depth):
            padding = 3 if block == 0 and channels == 1 and size == 28 else 1
            layers += [
                nn.Conv2d(channels if block == 0 else width, width, 3, padding=padding),
                nn.GroupNorm(width, width),
                nn.ReLU(),
                nn.AvgPool2d(2),
            ]
        self.blocks = nn.Sequential(*layers)
        side = (32 if channels == 1 and size == 28 else size) >> depth
        self.head = nn.Linear(width * side * side, classes)

    def embed(self, images: Tensor) -> Tensor:
        return torch.flatten(self.blocks(images), 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embed(images))
        return logits


def train_one_by_one(networks: list[PlainConvNet], images: Tensor, labels: Tensor, epochs: int) -> None:
    """Full-batch SGD of each network after the other."""
    for network in networks:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        for _ in range(epochs):
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()


def train_by_vmap(networks: list[PlainConvNet], images: Tensor, labels: Tensor, epochs: int) -> None:
    """All networks at once through torch.func: stacked parameters, vmap over grad."""
    from torch.func import functional_call, grad, stack_module_state, vmap

    params, buffers = stack_module_state(networks)  # type: ignore[arg-type]
    template = networks[0]

    def loss(weights: dict[str, Tensor], state: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(template, (weights, state), (images,)), labels)

    gradients = vmap(grad(loss))
    params = {name: tensor.detach() for name, tensor in params.items()}
    momentum = {name: torch.zeros_like(tensor) for name, tensor in params.items()}
    for _ in range(epochs):
        for name, gradient in gradients(params, buffers).items():
            momentum[name].mul_(0.9).add_(gradient + 5e-4 * params[name])
            params[name] -= 0.01 * momentum[name]


def dm_iteration(network: PlainConvNet, real: Tensor, synthetic: Tensor, classes: int) -> Tensor:
    """The distribution-matching loss one class at a time, as in the public code, without augmentation.

    Shapes: real [C * B, ...] and synthetic [C * ipc, ...], ordered by class.
    """
    loss = synthetic.new_zeros(())
    for ours, theirs in zip(synthetic.chunk(classes), real.chunk(classes), strict=True):
        loss = loss + (network.embed(theirs).detach().mean(0) - network.embed(ours).mean(0)).square().sum()
    return loss


def dc_iteration(
    network: PlainConvNet, real: Tensor, synthetic: Tensor, classes: int, augment: Augment | None
) -> Tensor:
    """The gradient-matching loss one class at a time, as in the public code of DC, and of DSA with an augmentation.

    Shapes: real [C * B, ...] and synthetic [C * ipc, ...], ordered by class.
    """
    params, loss = list(network.parameters()), synthetic.new_zeros(())
    for label, (ours, theirs) in enumerate(zip(synthetic.chunk(classes), real.chunk(classes), strict=True)):
        if augment:
            ours, theirs = augment(ours, theirs, label)
        found = []
        for images, graph in ((theirs, False), (ours, True)):
            target = torch.full((len(images),), label)
            entropy = F.cross_entropy(network(images), target)
            found.append(torch.autograd.grad(entropy, params, create_graph=graph))
        for of_real, of_synthetic in zip(*found, strict=True):
            if of_real.ndim > 1:
                a, b = of_real.flatten(1), of_synthetic.flatten(1)
                loss = loss + (1 - (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6)).sum()
    return loss


def mtt_iteration(
    network: PlainConvNet, start: Weights, target: Weights, synthetic: Tensor, labels: Tensor, steps: int, rate: Tensor
) -> Tensor:
    """The trajectory-matching loss with the student's steps written out, all images a step, without augmentation."""
    from torch.func import functional_call

    student = {name: weight.clone().requires_grad_() for name, weight in start.items()}
    for _ in range(steps):
        entropy = F.cross_entropy(functional_call(network, student, (synthetic,)), labels)
        gradients = torch.autograd.grad(entropy, list(student.values()), create_graph=True)
        student = {
            name: weight - rate * gradient for (name, weight), gradient in zip(student.items(), gradients, strict=True)
        }
    apart = torch.stack([(student[name] - target[name]).square().sum() for name in target]).sum()
    return apart / torch.stack([(start[name] - target[name]).square().sum() for name in target]).sum()
