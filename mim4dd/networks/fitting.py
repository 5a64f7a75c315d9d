"""Skeletons that are built once in a process, and found again by the shapes of the parameters that they are given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor, nn

from mim4dd.errors import InputError
from mim4dd.networks.catalogue import Shape
from mim4dd.networks.layers import Layers
from mim4dd.networks.probing import Measured, Probe, measure, measure_gradients, probe, statistics
from mim4dd.networks.skeleton import Skeleton, build
from mim4dd.networks.stacked import SETTLED, Params
from mim4dd.seeding import integer

# Two numbers of classes: the parameters that differ between them tell how many classes others are for.
FEW, MORE = 3, 4
# The most skeletons that a process keeps.
KEPT = 16
SEED = integer("module", "skeleton")
# Numbers in the largest map of the pass that settles a network: 400 MB of float32.
SETTLING_NUMBERS = 100_000_000

Shapes = dict[str, tuple[int, ...]]


class Architecture(Protocol):
    """What is needed of a `ModuleNetwork`."""

    @property
    def name(self) -> str: ...

    @property
    def blocks(self) -> tuple[str, ...]: ...

    @property
    def size(self) -> int: ...

    def module(self, shape: Shape, classes: int) -> nn.Module: ...


@dataclass(frozen=True, eq=False)
class Fitted:
    """A skeleton, and what its passes showed."""

    skeleton: Skeleton
    probe: Probe

    @cached_property
    def shapes(self) -> Shapes:
        """The shapes of one network's parameters, by key."""
        return {key: tuple(self.skeleton.weights[own].shape) for key, own in self.skeleton.own.items()}

    @cached_property
    def measured(self) -> Measured:
        """What a pass of one image takes."""
        return measure(self.skeleton)

    @cached_property
    def layers(self) -> Layers:
        """The same by what gradients take, strides aside; class scores are in `dense`, for every pass computes them."""
        (first, products), measured = measure_gradients(self.skeleton), self.measured
        convolved = max(0, measured.convolved - first)
        return Layers(
            first=first,
            convolved=convolved,
            dense=measured.multiply_adds - first - convolved - products,
            products=products,
            unasked=convolved,
            written=measured.written,
            largest=measured.largest_map,
            parameters=sum(math.prod(shape) for shape in self.shapes.values()),
            settles=bool(self.skeleton.batch_norms),
            draws=self.probe.draws,
        )

    def settled(self, params: Params, images: Tensor) -> Params:
        """The parameters with the statistics of these images, or of evenly spaced ones where maps are large."""
        most = max(2, SETTLING_NUMBERS // self.measured.largest_map)
        if images.shape[-4] > most:
            images = images[..., :: -(-images.shape[-4] // most), :, :, :]
        return {**params, **statistics(self.skeleton, params, images)}


_by_classes: dict[tuple[Any, ...], Fitted] = {}
_by_shapes: dict[tuple[Any, ...], Fitted] = {}


def fresh_module(network: Architecture, shape: Shape, classes: int, seed: int) -> nn.Module:
    """The network's module, initialised from a seed, for images that it sees enlarged to its size."""
    channels, height, width = shape
    seen = channels, max(height, network.size), max(width, network.size)
    return build(network.name, lambda: network.module(seen, classes), seed)


def for_classes(network: Architecture, shape: Shape, classes: int) -> Fitted:
    """The skeleton for this number of classes.

    Raises: InputError for a module that cannot be a network; see `Skeleton` and `probe`.
    """
    key = network, shape, classes
    if key not in _by_classes:
        blocks = (network.blocks,) if isinstance(network.blocks, str) else tuple(network.blocks)
        module = fresh_module(network, shape, classes, SEED)
        skeleton = Skeleton(network.name, module, blocks, network.size, shape)
        fitted = Fitted(skeleton, probe(skeleton))
        _keep(_by_classes, key, fitted)
        _keep(_by_shapes, (network, shape, frozenset(fitted.shapes.items())), fitted)
    return _by_classes[key]


def for_params(network: Architecture, shape: Shape, params: Params) -> Fitted:
    """The skeleton that the parameters belong to, whichever process they were made in.

    Raises: InputError for parameters of another architecture.
    """
    given = {key: tuple(tensor.shape[1:]) for key, tensor in params.items() if not key.startswith(SETTLED)}
    key = network, shape, frozenset(given.items())
    if key not in _by_shapes:
        fitted = for_classes(network, shape, _classes(network, shape, given))
        _require_fitting(network, shape, given, fitted.shapes)
        _keep(_by_shapes, key, fitted)
    return _by_shapes[key]


def _keep(known: dict[tuple[Any, ...], Fitted], key: tuple[Any, ...], fitted: Fitted) -> None:
    while len(known) >= KEPT:
        known.pop(next(iter(known)), None)
    known[key] = fitted


def _classes(network: Architecture, shape: Shape, given: Shapes) -> int:
    """The number of classes, from a side of a parameter that grows with it; the fewest where none does or fits."""
    few, more = (for_classes(network, shape, classes).shapes for classes in (FEW, MORE))
    for name in few.keys() & more.keys() & given.keys():
        for own, small, large in zip(given[name], few[name], more[name], strict=False):
            if large > small and own > 0:
                return max(1, FEW + (own - small) // (large - small))
    return FEW


def _require_fitting(network: Architecture, shape: Shape, given: Shapes, expected: Mapping[str, Any]) -> None:
    for name in [*expected, *given]:
        if given.get(name) != expected.get(name):
            ours, theirs = (list(shapes[name]) if name in shapes else "missing" for shapes in (given, expected))
            raise InputError(
                f"parameters must be those of {network.name} for images of {list(shape)}: "
                f"{name} must be {theirs}, got {ours}"
            )
