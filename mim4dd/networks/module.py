"""Networks from elsewhere: any `torch.nn.Module` as a network."""

from __future__ import annotations

import functools
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mim4dd.errors import InputError
from mim4dd.networks.catalogue import Network, Shape
from mim4dd.networks.precision import FLOAT32, precision_now
from mim4dd.registry import check, knob
from mim4dd.seeding import Name, seeded_draws

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from mim4dd.networks.fitting import Fitted
    from mim4dd.networks.layers import Layers
    from mim4dd.networks.stacked import Params


@dataclass(frozen=True, kw_only=True)
class ModuleNetwork(ABC):
    """A network whose architecture is an ordinary `nn.Module`; a subclass is a frozen dataclass that defines `module`.

    blocks: names of submodules, as `get_submodule` knows them, whose outputs are the blocks that a method matches and
    the MI term sees; without any, the class scores are the only block. size: smaller images are enlarged bilinearly to
    this many pixels a side; 0 leaves them. Images of one channel are given as three equal ones to a module whose first
    convolution takes three.

    Parameters are the module's own, [G, ...]; what it calls fixed (buffers, parameters that require no gradient) is the
    same for all networks. Without statistics the module runs in train mode: batch norms normalise by the batch, dropout
    draws. `settle` adds the batch norms' statistics of training images (none where there are no batch norms), and the
    module then runs in eval mode.
    Several networks run as one by `torch.vmap` where it gives the same outputs in a trial, else one by one; each pass
    can be differentiated twice.
    Raises: InputError, at the first use, for a block that does not exist, images that the module cannot take, outputs
    that are no class scores [B, C], and state that a pass changes outside batch norms.
    """

    blocks: ClassVar[tuple[str, ...]] = ()
    size: ClassVar[int] = 0

    @abstractmethod
    def module(self, shape: Shape, classes: int) -> nn.Module:
        """A freshly initialised module for images of (channels, H, W), enlarged to `size` where it is set."""

    @property
    def name(self) -> str:
        """Of a network that is not registered."""
        return f"module:{type(self).__name__}"

    @property
    def kind(self) -> str:
        """What it can be a part of, as for a registered network."""
        return "network"

    def block_shapes(self, shape: Shape) -> list[Shape]:
        """(channels, H, W) of every block's output; see `features`.

        Raises: InputError where they follow the number of classes, as the class scores do.
        """
        from mim4dd.networks.fitting import FEW, MORE

        few, more = (self._fitted(shape, classes).probe.block_shapes for classes in (FEW, MORE))
        if few != more:
            raise InputError(
                f"{self.name} must name `blocks` before its class scores, whose shape is that of the images alone; got "
                f"{list(self.blocks) or 'none'}"
            )
        return few

    def last_block(self, shape: Shape, classes: int) -> int:
        """Numbers in the last block's output: the class scores where no other is named."""
        return math.prod(self._fitted(shape, classes).probe.block_shapes[-1])

    def largest_map(self, shape: Shape) -> int:
        """Numbers in an image's largest output of a submodule; what is computed outside submodules is not seen."""
        from mim4dd.networks.fitting import FEW

        return self._fitted(shape, FEW).measured.largest_map

    def multiply_adds(self, shape: Shape, classes: int) -> int:
        """Multiply-adds of one image's forward pass, as torch counts them."""
        return self._fitted(shape, classes).measured.multiply_adds

    def counted_layers(self, shape: Shape, classes: int) -> Layers:
        """What passes take, as torch counts it; a gradient from the blocks counts what comes after the last one too."""
        return self._fitted(shape, classes).layers

    def has_batch_norm(self, shape: Shape) -> bool:
        """Whether an output depends on what else is in a training batch, by way of one of torch's batch norms."""
        from mim4dd.networks.fitting import FEW

        return bool(self._fitted(shape, FEW).skeleton.batch_norms)

    def draws(self, shape: Shape) -> bool:
        """Whether a pass in train mode draws random numbers; see the function `draws`."""
        from mim4dd.networks.fitting import FEW

        return self._fitted(shape, FEW).probe.draws

    def initial(
        self, shape: Shape, classes: int, generators: Sequence[torch.Generator], device: torch.device
    ) -> Params:
        """The parameters of one module built per generator, from a seed that the generator gives; stacked.

        Raises: InputError for a module that gives other than `classes` class scores.
        """
        import torch

        from mim4dd.networks.fitting import fresh_module
        from mim4dd.networks.skeleton import trained_parameters

        found = self._fitted(shape, classes).probe.classes
        if found != classes:
            raise InputError(f"{self.name} must give {classes} class scores, got {found}: use the number that it gets")
        seeds = [int(torch.randint(2**63 - 1, (), generator=generator)) for generator in generators]
        networks = [trained_parameters(fresh_module(self, shape, classes, seed)) for seed in seeds]
        return {key: torch.stack([one[key] for one in networks]).to(device) for key in networks[0]}

    def features(self, params: Params, images: Tensor) -> list[Tensor]:
        """Every block's output [G, B, c, h, w], in a list that carries the class scores of the same pass.

        A vector [B, F] is [F, 1, 1], tokens [B, T, F] are [F, T, 1]; of several calls of a block, the last counts.
        Raises: InputError for parameters that are not this network's, and where products are to be in bfloat16.
        """
        from mim4dd.networks.fitting import for_params

        if precision_now() != FLOAT32:
            raise InputError(
                f"{self.name} multiplies in float32 alone: precision={precision_now()} is for the networks of mim4dd"
            )
        return for_params(self, _shape(images), params).skeleton.passed(params, images)

    def logits(self, params: Params, features: list[Tensor]) -> Tensor:
        """Class scores, [G, B, C], of the pass that gave `features`.

        Raises: InputError for another list of blocks: modules cannot start in the middle.
        """
        from mim4dd.networks.skeleton import Blocks

        if not isinstance(features, Blocks):
            raise InputError(f"class scores of {self.name} must be asked with the list that its features returned")
        return features.logits

    def settled(self, params: Params, images: Tensor) -> Params:
        """The parameters with the statistics of these images, [B, ...] or [G, B, ...]; see `settle`."""
        from mim4dd.networks.fitting import for_params

        return for_params(self, _shape(images), params).settled(params, images)

    def _fitted(self, shape: Shape, classes: int) -> Fitted:
        from mim4dd.networks.fitting import for_classes

        return for_classes(self, tuple(shape), classes)  # type: ignore[arg-type]


def draws(network: Network, shape: Shape) -> bool:
    """Whether a network's pass in train mode draws random numbers, as dropout does.

    Seen by torch's generator before and after a pass of two images on the CPU, so as a layer or as a function. Not
    seen: draws that only other images or a GPU cause, and other generators (numpy's, the module's own), which nobody
    seeds.
    """
    return isinstance(network, ModuleNetwork) and network.draws(shape)


def draws_seeded(network: Network, device: torch.device, *names: Name) -> AbstractContextManager[None]:
    """Seed what a `ModuleNetwork` draws in train mode by these names; other networks draw nothing."""
    return seeded_draws(device, *names) if isinstance(network, ModuleNetwork) else nullcontext()


def _shape(images: Tensor) -> Shape:
    return images.shape[-3], images.shape[-2], images.shape[-1]


@dataclass(frozen=True, kw_only=True)
class FromModule(ModuleNetwork):
    """The network that `from_module` returns: its name is `module:` and the factory's."""

    factory: Callable[..., nn.Module]
    blocks: tuple[str, ...] = ()  # type: ignore[misc]
    size: int = knob(0, low=0, high=4096, tacit=True, help="enlarge smaller images; 0 leaves them")  # type: ignore[misc]

    def __post_init__(self) -> None:
        check(self)
        accepted = _parameters(self.factory)
        if isinstance(accepted, str):
            raise InputError(f"from_module must get what builds a module, such as its class, got {accepted}")
        if accepted and "num_classes" not in accepted and "**" not in accepted:
            raise InputError(
                f"the factory of {self.name} must take num_classes, it takes {', '.join(sorted(accepted))}: wrap it, "
                "from_module(lambda num_classes: ...)"
            )

    @property
    def name(self) -> str:
        """The factory's name, which tells networks apart in records but does not make them again."""
        factory: Any = self.factory
        while isinstance(factory, functools.partial):
            factory = factory.func
        return f"module:{getattr(factory, '__name__', type(factory).__name__).strip('<>')}"

    def module(self, shape: Shape, classes: int) -> nn.Module:
        fixed = self.factory.keywords if isinstance(self.factory, functools.partial) else {}
        if "shape" in _parameters(self.factory) and "shape" not in fixed:
            return self.factory(num_classes=classes, shape=shape)
        return self.factory(num_classes=classes)


def _parameters(factory: Any) -> set[str] | str:
    """The names of a factory's parameters, `**` for any; or what it is instead of a factory."""
    if hasattr(factory, "named_parameters") and not isinstance(factory, type):
        return f"a {type(factory).__name__} that is built already"
    if not callable(factory):
        return repr(factory)
    parameters = inspect.signature(factory).parameters.values()
    return {"**" if one.kind is one.VAR_KEYWORD else one.name for one in parameters}


def from_module(factory: Callable[..., nn.Module], blocks: Iterable[str] | str = (), size: int = 0) -> ModuleNetwork:
    """Any `torch.nn.Module` as a network, without registering it.

        mim4dd.evaluate(synthetic, data.validation, network=mim4dd.from_module(torchvision.models.resnet18))

    factory: called as factory(num_classes=C), as torchvision's and timm's are, with shape=(channels, H, W) too where
    its signature names that parameter. blocks, size: see `ModuleNetwork`.
    Raises: InputError for what is no such factory; the rest at the first use.
    """
    names = (blocks,) if isinstance(blocks, str) else tuple(blocks)
    return FromModule(factory=factory, blocks=names, size=size)
