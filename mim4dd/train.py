"""Trains many networks at once on one set of images, each exactly as it would be trained alone."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mim4dd.data.operations import SIAMESE, check_augment, operations
from mim4dd.errors import InputError
from mim4dd.networks.module import draws, draws_seeded
from mim4dd.networks.passes import TRAINING, Passes, networks_at_once, training_passes
from mim4dd.networks.precision import FLOAT32, PRECISIONS
from mim4dd.pulse import beat
from mim4dd.registry import Registry, knob
from mim4dd.seeding import equal_chances, generator, torch_generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor

    from mim4dd.networks import Network
    from mim4dd.networks.layers import Layers
    from mim4dd.networks.stacked import Params

SAMPLINGS = ("uniform", "balanced")
RECIPES: Registry[Recipe] = Registry("recipe")


@RECIPES.add("standard")
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """SGD with momentum and one drop of the learning rate after half the epochs; the last epoch counts.

    Source: the evaluation of Zhao et al. 2021 (DC) and its public code.
    Differs: the public loop runs one epoch more and drops the rate two later; `restart_momentum` keeps its new
    optimizer at the drop.
    """

    networks: int = knob(5, low=1, high=1000, help="fresh networks that are trained and scored")
    epochs: int = knob(
        1000, low=1, high=1_000_000, search=(100, 1000), log=True, help="300 is usual without augmentation, 1000 with"
    )
    lr: float = knob(0.01, above=0, search=(0.001, 0.1), log=True, help="before the drop")
    drop: float = knob(0.1, above=0, high=1, help="the learning rate's factor after half the epochs; 1 is no drop")
    momentum: float = knob(0.9, low=0, high=0.999, help="of SGD")
    weight_decay: float = knob(5e-4, low=0, help="of SGD")
    batch: int = knob(256, low=1, high=1_000_000, help="images per step")
    augment: str = knob(SIAMESE, help="operations, or none")
    drawn: str = knob(
        "batch",
        choices=("batch", "image"),
        help="one operation per batch (DSA), or one per image, stronger (DC)",
    )
    max_steps: int = knob(0, low=0, high=1_000_000_000, help="limit on the steps, in whole epochs; 0 is no limit")
    restart_momentum: bool = knob(False, help="forget the momentum at the drop, as the public code does")
    precision: str = knob(
        FLOAT32, choices=PRECISIONS, help="of the networks' products on the images that they classify", tacit=True
    )
    sampling: str = knob(
        "uniform",
        choices=SAMPLINGS,
        help="of an epoch's images: each once, or drawn so that all classes are equally likely (balanced)",
        tacit=True,
    )

    def __post_init__(self) -> None:
        check_augment(self.augment)

    def epochs_for(self, images: int) -> int:
        """The epochs that a set of this size is trained for."""
        steps = -(-images // self.batch)
        return min(self.epochs, max(1, self.max_steps // steps)) if self.max_steps else self.epochs

    def passes(self, images: int, layers: Layers, *, settled: bool) -> tuple[Passes, ...]:
        """Those of training the recipe's networks on a set of this size; settled: and of settling them at the end."""
        return training_passes(layers, self.networks, images, self.epochs_for(images), self.batch, settled=settled)


@RECIPES.add("dc")
@dataclass(frozen=True, kw_only=True)
class DCRecipe(Recipe):
    """How DC's public code trains the networks that it evaluates with: a new optimizer at the drop.

    On MNIST it augments each image by itself and trains for 1000 epochs, elsewhere for 300 without augmentation
    (`augment=none`).
    Source: the public code of Zhao et al. 2021 (DC).
    Differs: the public loop runs one epoch more and drops the rate two later; images are scaled by bilinear sampling
    (there: nearest), by the inverse of a uniform factor (there: by it), rotated by any angle, bilinearly (there: whole
    degrees, cubic), moved by up to 4 pixels either way (there: up to 3 to one side); what is moved in is 0, the data
    set's mean (there: the batch's).
    """

    epochs: int = knob(
        300, low=1, high=1_000_000, search=(100, 1000), log=True, help="300 without augmentation, 1000 with"
    )
    augment: str = knob("none", help="operations, or none; crop_scale_rotate on MNIST")
    drawn: str = knob("image", choices=("batch", "image"), help="one operation per batch, or per image, stronger")
    restart_momentum: bool = knob(True, help="forget the momentum at the drop")


@dataclass(frozen=True)
class Streams:
    """The names that seed a group of networks: each network has its own stream, whichever train beside it."""

    purpose: str
    seed: int
    networks: tuple[int, ...]

    @staticmethod
    def first(purpose: str, seed: int, count: int) -> Streams:
        return Streams(purpose, seed, tuple(range(count)))


def fresh_networks(
    network: Network, shape: tuple[int, int, int], classes: int, streams: Streams, device: torch.device
) -> Params:
    """Freshly initialised parameters, stacked, one network per stream."""
    stream = [torch_generator(streams.purpose, "initial", streams.seed, g) for g in streams.networks]
    return network.initial(shape, classes, stream, device)


class Training:
    """Stacked networks that are trained on the same images, each in its own order and with its own augmentation.

    It can stop after any epoch, be saved, and continue bit for bit. Dropout, of a `ModuleNetwork`, is seeded for each
    epoch and step, and networks that draw train one by one; see `draws` for what is not seen.
    Shapes: params [G, ...]; images [M, channels, H, W]; labels [M], or probabilities [M, C].
    source: the images' source, which decides whether they may be flipped. The caller's parameters are not changed.
    """

    def __init__(
        self,
        network: Network,
        params: Params,
        images: Tensor,
        labels: Tensor,
        recipe: Recipe,
        streams: Streams,
        source: str,
    ) -> None:
        import torch

        from mim4dd.networks.batchnorm import unsettled

        if recipe.sampling == "balanced" and labels.ndim > 1:
            raise InputError("sampling=balanced draws images by their class; these have probabilities as labels")
        self.network, self.images, self.labels = network, images, labels
        self.recipe, self.streams, self.source = recipe, streams, source
        self.epoch, self.epochs = 0, recipe.epochs_for(len(images))
        self.size = _networks_at_once(network, params, images, recipe.batch)
        self.piece = _images_at_once(network, images, recipe.batch)
        # Each group of networks is one computation; the groups run one after the other.
        pieces = zip(*(tensor.detach().split(self.size) for tensor in unsettled(params).values()), strict=True)
        self.groups = [
            {name: tensor.clone().requires_grad_() for name, tensor in zip(unsettled(params), piece, strict=True)}
            for piece in pieces
        ]
        self.optimizer = torch.optim.SGD(
            [tensor for group in self.groups for tensor in group.values()],
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            # One kernel for all tensors: the same numbers, a twentieth of an epoch of small networks sooner.
            fused=True,
        )

    @property
    def weights(self) -> Params:
        """A copy of the networks' current parameters, without batch norms' statistics."""
        import torch

        detached = [_detached(group) for group in self.groups]
        return {name: torch.cat([group[name] for group in detached]) for name in detached[0]}

    @property
    def params(self) -> Params:
        """The current networks, without gradients, settled with the images that they are trained on."""
        import torch

        from mim4dd.networks.batchnorm import settle

        settled = [settle(self.network, _detached(group), self.images) for group in self.groups]
        return {name: torch.cat([group[name] for group in settled]) for name in settled[0]}

    def advance(self, until: int) -> None:
        """Train up to an epoch, at most to the recipe's last."""
        while self.epoch < min(until, self.epochs):
            self._train_epoch()
            self.epoch += 1

    def _train_epoch(self) -> None:
        if self.epoch == self.epochs // 2 and self.epoch:
            self.optimizer.param_groups[0]["lr"] = self.recipe.lr * self.recipe.drop
            if self.recipe.restart_momentum:
                self.optimizer.state.clear()
        streams = self.streams
        batches = _batches(self.images, self.labels, self.recipe, streams, self.source, self.epoch)
        for step, (batch, targets) in enumerate(batches):
            self.optimizer.zero_grad(set_to_none=True)
            for position, group in enumerate(self.groups):
                own = slice(position * self.size, (position + 1) * self.size)
                images, labels = batch if batch.ndim == 4 else batch[own], targets[own]
                names = streams.purpose, "dropout", streams.seed, streams.networks[own][0], self.epoch, step
                with draws_seeded(self.network, images.device, *names):
                    self._backward(group, images, labels)
            self.optimizer.step()

    def _backward(self, group: Params, images: Tensor, labels: Tensor) -> None:
        import torch.nn.functional as F

        for piece, piece_labels in zip(images.split(self.piece, -4), labels.split(self.piece, 1), strict=True):
            logits = self.network.logits(group, self.network.features(group, piece))
            # The sum over networks of each one's mean: no network's gradient depends on another.
            loss = F.cross_entropy(logits.flatten(0, 1), piece_labels.flatten(0, 1), reduction="sum")
            (loss / labels.shape[1]).backward()
            beat()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue bit for bit: tensors, numbers and lists of them."""
        return {
            "epoch": self.epoch,
            "groups": [{name: tensor.clone() for name, tensor in _detached(group).items()} for group in self.groups],
            "optimizer": deepcopy(self.optimizer.state_dict()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned; everything else must be the same."""
        import torch

        with torch.no_grad():
            for group, saved in zip(self.groups, state["groups"], strict=True):
                for name, tensor in group.items():
                    tensor.copy_(saved[name])
        self.optimizer.load_state_dict(deepcopy(state["optimizer"]))
        self.epoch = state["epoch"]


def _networks_at_once(network: Network, params: Params, images: Tensor, batch: int) -> int:
    """How many of the stacked networks are trained as one computation."""
    shape = images.shape[1], images.shape[2], images.shape[3]
    if draws(network, shape):
        return 1
    parameters = sum(tensor[0].numel() for tensor in params.values())
    networks = len(next(iter(params.values())))
    return networks_at_once(network.largest_map(shape), parameters, networks, min(batch, len(images)))


def _images_at_once(network: Network, images: Tensor, batch: int) -> int:
    """How many images of a batch pass at once on a CPU, their gradients summed; all on a GPU, or under a batch norm."""
    from mim4dd.networks.batchnorm import has_batch_norm
    from mim4dd.networks.chunks import piece_size, shape_of

    if images.device.type != "cpu" or has_batch_norm(network, shape_of(images.shape)):
        return batch
    return min(batch, piece_size(network, images.shape, TRAINING))


def _detached(params: Params) -> Params:
    return {name: tensor.detach() for name, tensor in params.items()}


def train_networks(
    network: Network, params: Params, images: Tensor, labels: Tensor, recipe: Recipe, streams: Streams, source: str
) -> Params:
    """Train to the end without a stop, see `Training`; returns new parameters."""
    training = Training(network, params, images, labels, recipe, streams, source)
    training.advance(training.epochs)
    return training.params


def _batches(
    images: Tensor, labels: Tensor, recipe: Recipe, streams: Streams, source: str, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of (images [B, ...] shared or [G, B, ...], labels [G, B] or [G, B, C])."""
    import numpy as np
    import torch

    from mim4dd.data.augment import augment_images, draw_apart, draw_single

    names, count, groups = operations(recipe.augment, source), len(images), len(streams.networks)
    balanced = recipe.sampling == "balanced"
    if count <= recipe.batch and not names and not balanced:
        yield images, labels.expand(groups, *labels.shape)
        return
    rngs = [generator(streams.purpose, "order", streams.seed, g, epoch) for g in streams.networks]
    chances = equal_chances(labels.cpu().numpy()) if balanced else None
    drawn = [rng.permutation(count) if chances is None else rng.choice(count, count, p=chances) for rng in rngs]
    orders = torch.from_numpy(np.stack(drawn)).to(images.device)
    for start in range(0, count, recipe.batch):
        rows = orders[:, start : start + recipe.batch]
        batch = images[rows]
        if names:
            positions = np.arange(rows.shape[1])
            draw = draw_single if recipe.drawn == "batch" else draw_apart
            draws = [draw(names, len(positions), rng) for rng in rngs]
            batch = torch.stack([augment_images(b, d, positions) for b, d in zip(batch, draws, strict=True)])
        yield batch, labels[rows]
