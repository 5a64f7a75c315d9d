"""What methods cost in operations: formulas by hand, which need no torch, and what torch counts, to hold them against.

One multiply-add is two floating-point operations. Those of convolutions and matrix products are counted, as torch's
counter does; sums, norms, activations, losses, optimizers and augmentation are not: few operations, though not little
time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mim4dd.methods.catalogue import Method, real_images_a_batch
from mim4dd.methods.mim import Mim
from mim4dd.methods.work import CountedPreparation, Work, tells_work, work_of
from mim4dd.networks.catalogue import Network, Shape
from mim4dd.networks.counting import counted_flops
from mim4dd.networks.layers import Layers
from mim4dd.networks.passes import WITHOUT_GRADIENTS, Passes, images_at_once, parts

if TYPE_CHECKING:
    from mim4dd.methods.task import Preparation
    from mim4dd.train import Recipe

__all__ = [
    "Operations",
    "classification_operations",
    "counted_flops",
    "iteration_operations",
    "layers_of",
    "preparation_operations",
    "training_operations",
]


@dataclass(frozen=True)
class Operations:
    """Multiply-adds, and three numbers that a model of time needs besides.

    network: of all passes. heads: of the term's embeddings of both sides, gradients included. critic: of its scores and
    their gradients. matching: of the method's own distance (DM's means of embeddings).
    steps: passes that are launched one after the other; a forward one, a gradient, a gradient of a gradient and each
    part of one that does not pass at once count 1. activations: numbers that the passes write, where a gradient writes
    as often as the forward passes that it costs. drawn: random numbers, of fresh networks (the constants of norms with
    them) and of heads that are redrawn with them.
    """

    network: float = 0.0
    heads: float = 0.0
    critic: float = 0.0
    matching: float = 0.0
    steps: int = 0
    activations: float = 0.0
    drawn: float = 0.0

    @property
    def flops(self) -> float:
        """Floating-point operations."""
        return 2 * (self.network + self.heads + self.critic + self.matching)


def iteration_operations(method: Method, network: Network, shape: Shape, classes: int, ipc: int) -> Operations:
    """Of one iteration of a method, its reports aside, on data whose classes all have enough images.

    network = sum over passes of their images x what their kind takes of the layers' multiply-adds, see the method's
    `work` and `mim4dd.networks.passes.KINDS`. heads, critic: once for each update of the images, see `_with_term`.
    Shapes: images (channels, H, W), after the data set's resizing.
    """
    layers = layers_of(network, shape, classes)
    work = work_of(method, classes, ipc, layers=layers)
    operations = _of_work(work, layers)
    if work.sums:
        operations = replace(operations, matching=work.sums * _last_block(network, shape, classes))
    if isinstance(method, Mim) and method.weight:
        blocks = [math.prod(block) for block in network.block_shapes(shape)]
        operations = _with_term(operations, method, blocks, classes, ipc, work.updates)
    return operations


def _last_block(network: Network, shape: Shape, classes: int) -> int:
    """Numbers in the last block's output; a network whose last block may be its class scores says so itself."""
    told = getattr(network, "last_block", None)
    return math.prod(network.block_shapes(shape)[-1]) if told is None else int(told(shape, classes))


def _with_term(
    operations: Operations, term: Mim, blocks: list[int], classes: int, ipc: int, updates: int
) -> Operations:
    """With the term's own work, for blocks of F_k numbers, M = C ipc synthetic and R = C B real images.

    A head of W weights (F D; mlp: F D + D D) takes (R + M) W forward and M W towards the maps; a learned one (R + M) W
    towards its weights and, between its two layers, R D D on the real side too. Scores take M R D forward, M R D
    towards the synthetic embeddings and, with a learned head, M R D towards the real ones, R those that `positives`
    leaves; D = F_k without a head.
    What a critic does with its M R scores is no product and not counted: exponentials, and for `triplet` one for each
    of M B (R - B) triplets, computed again in the backward pass.
    """
    real, synthetic, width = classes * real_images_a_batch(term), classes * ipc, term.embedding
    learned = bool(width) and term.head != "random"
    scored = real if term.positives == "all" else classes * math.ceil(term.positives_share * real / classes - 1e-9)
    heads = critic = 0
    for numbers in blocks if term.layers == "all" else blocks[-1:]:
        if width:
            inner = (term.head_layers - 1) * width**2
            weights = numbers * width + inner
            heads += (real + 2 * synthetic) * weights + ((real + synthetic) * weights + real * inner) * learned
        critic += (3 if learned else 2) * synthetic * scored * (width or numbers)
    # Heads of all blocks are drawn, whichever blocks enter the sum.
    drawn = 0 if learned else sum(blocks) * width
    return replace(
        operations,
        heads=float(updates * heads),
        critic=float(updates * critic),
        drawn=operations.drawn + drawn,
    )


def preparation_operations(method: Method, network: Network, shape: Shape, classes: int, images: int) -> Operations:
    """Of what a method prepares once, on a training split of so many images: 0 where it prepares nothing."""
    preparation = method.preparation
    if preparation is None:
        return Operations()
    layers = layers_of(network, shape, classes)
    return _of_work(_prepared(preparation, images, layers), layers)


def _prepared(preparation: Preparation, images: int, layers: Layers) -> Work:
    if tells_work(preparation):
        told: CountedPreparation = preparation  # type: ignore[assignment]
        return told.work(images, layers)
    return Work((Passes("scores", preparation.image_passes(images)),))


def training_operations(recipe: Recipe, network: Network, shape: Shape, classes: int, images: int) -> Operations:
    """Of training a recipe's networks on a set of so many images, and settling them.

    network = networks x epochs x images x (3 m - first), m the multiply-adds of an image's forward pass and `first`
    those of the layer that takes it.
    """
    layers = layers_of(network, shape, classes)
    return _of_work(Work(recipe.passes(images, layers, settled=True), networks=recipe.networks), layers)


def classification_operations(network: Network, shape: Shape, classes: int, networks: int, images: int) -> Operations:
    """Of the class scores of so many images by each of so many networks: networks x images forward passes."""
    layers = layers_of(network, shape, classes)
    launches = networks * parts(images, images_at_once(layers.largest, WITHOUT_GRADIENTS))
    return _of_work(Work((Passes("scores", networks * images, launches),), networks=0), layers)


def _of_work(work: Work, layers: Layers) -> Operations:
    return Operations(
        network=float(sum(one.multiply_adds(layers) for one in work.passes)),
        steps=sum(one.launches for one in work.passes),
        activations=float(layers.written * work.image_passes),
        drawn=float(work.networks * layers.parameters),
    )


def layers_of(network: Network, shape: Shape, classes: int) -> Layers:
    """What a network's `counted_layers(shape, classes)` says.

    Without one, all multiply-adds count as those of convolutions between the first layer and the head, so what is
    counted is more than what passes take, unless maps are multiplied with each other. The blocks' outputs, or the
    largest map, are what is written, and a network is made to count its parameters.
    """
    told = getattr(network, "counted_layers", None)
    if told is not None:
        known: Layers = told(shape, classes)
        return known
    import torch

    from mim4dd.networks.batchnorm import has_batch_norm

    made = network.initial(shape, classes, [torch.Generator().manual_seed(0)], torch.device("cpu"))
    multiply_adds, largest = network.multiply_adds(shape, classes), network.largest_map(shape)
    return Layers(
        convolved=multiply_adds,
        unasked=multiply_adds,
        written=max(largest, sum(math.prod(block) for block in network.block_shapes(shape))),
        largest=largest,
        parameters=sum(tensor.numel() for tensor in made.values()),
        settles=has_batch_norm(network, shape),
    )
