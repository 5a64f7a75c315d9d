"""Passes through a network: what each kind takes, and how much passes at once. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from mim4dd.networks.layers import Layers

# Numbers in the largest map of a pass without gradients: 6 MB of float32. Larger passes leave the cache.
WITHOUT_GRADIENTS = 1_500_000
# Of gradient matching's passes, with gradients: 32 MB.
WITH_GRADIENTS = 8_000_000
# Of a training's passes: a batch whose maps leave the cache takes more time and memory than the same batch in pieces.
TRAINING = 2_000_000
# In the largest map of a training's step, and in a network, up to which networks are trained as one: beyond, a step's
# activations leave the cache, and one by one is as fast (docs/results/bench.md).
STEP_NUMBERS, NETWORK_NUMBERS = 1_000_000, 2_000_000
# How many of the images that a network is trained on give its batch norms their statistics: enough for a good mean and
# variance, and few enough for one forward pass.
SETTLING_IMAGES = 1_000
# DC's public code fixes the statistics of batch norms with this many real images of each class.
BATCH_NORM_IMAGES = 16


@dataclass(frozen=True)
class Kind:
    """How often a pass computes the products of each part of `Layers`, and how many forward passes it amounts to."""

    first: int
    convolved: int
    dense: int
    head: int
    products: int
    unasked: int
    forward: int

    def multiply_adds(self, layers: Layers) -> int:
        """Of one image."""
        weighted = self.first * layers.first + self.convolved * layers.convolved + self.dense * layers.dense
        return weighted + self.head * layers.head + self.products * layers.products + self.unasked * layers.unasked


# A layer h' = W h costs, each as much as its forward pass: the gradient of h (none at the first layer, unless pixels
# have one), and the gradient of W. Differentiated once more, the gradient of W costs two (towards h and towards the
# gradient of h'), the gradient of h costs one (towards that of h') and another towards W, where W is learned and in
# every convolution; then the forward pass itself has its two gradients, towards h and, where W is learned, W. A product
# of two maps has two gradients, and four more when these are differentiated.
KINDS = {
    # forward to the last block, or to the class scores
    "blocks": Kind(1, 1, 1, 0, 1, 0, forward=1),
    "scores": Kind(1, 1, 1, 1, 1, 0, forward=1),
    # from the blocks: the gradient of the pixels, or of the pixels and the weights
    "pixels": Kind(1, 1, 1, 0, 2, 0, forward=1),
    "both": Kind(2, 2, 2, 0, 2, 0, forward=2),
    # from the class scores: the gradient of the weights
    "weights": Kind(1, 2, 2, 2, 2, 0, forward=2),
    # from the gradient of the weights: the gradient of the pixels, or of the pixels and the weights
    "second": Kind(3, 4, 4, 4, 6, 1, forward=5),
    "second of both": Kind(4, 5, 6, 6, 6, 1, forward=6),
}


@dataclass(frozen=True)
class Passes:
    """`images` in all that pass in `launches`, one after the other. kind: one of `KINDS`."""

    kind: str
    images: float
    launches: int = 1

    @property
    def forward(self) -> float:
        """How many images passing forward it amounts to, in convolutions between the first layer and the head."""
        return self.images * KINDS[self.kind].forward

    def multiply_adds(self, layers: Layers) -> float:
        """Of all images, in such a network."""
        return self.images * KINDS[self.kind].multiply_adds(layers)


def settling(layers: Layers, images: float, launches: int = 1) -> tuple[Passes, ...]:
    """What gives batch norms the statistics of images, in a network that has some."""
    return (Passes("blocks", images, launches),) if layers.settles else ()


def training_passes(
    layers: Layers, networks: int, images: int, epochs: int, batch: int, *, settled: bool = False
) -> tuple[Passes, ...]:
    """Of so many networks that are trained on so many images on a CPU (a GPU takes a batch as one piece).

    settled: they are settled with the images at the end.
    """
    together = networks_at_once(layers.largest, layers.parameters, networks, min(batch, images))
    groups = networks if layers.draws else parts(networks, together)
    most = batch if layers.settles else min(batch, images_at_once(layers.largest, TRAINING))
    full, rest = divmod(images, batch)
    launches = epochs * groups * (full * parts(batch, most) + parts(rest, most))
    statistics = settling(layers, networks * min(images, SETTLING_IMAGES), groups) if settled else ()
    passed = float(networks * epochs * images)
    return Passes("scores", passed, launches), Passes("weights", passed, launches), *statistics


def networks_at_once(largest: int, parameters: int, networks: int, images: int) -> int:
    """How many of the networks are trained as one computation, on steps of so many images."""
    return 1 if parameters > NETWORK_NUMBERS else max(1, min(networks, STEP_NUMBERS // (images * largest)))


def images_at_once(largest: int, numbers: int, networks: int = 1) -> int:
    """How many images pass at once through each of the networks, for a largest map of `numbers` numbers.

    largest: numbers in one image's largest map.
    """
    return max(1, numbers // (networks * largest))


def classes_at_once(largest: int, parameters: int, images: int, numbers: int) -> int:
    """How many classes of `images` each pass at once where each has gradients of all parameters of its own."""
    return max(1, numbers // max(1, parameters, largest * images))


def parts(count: int, most: int) -> int:
    """In how many parts that many come, none larger than `most`."""
    return -(-count // most)
