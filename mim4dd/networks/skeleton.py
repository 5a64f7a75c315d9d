"""Pure passes of an ordinary `nn.Module`: parameters and images go in, blocks and class scores come out.

A `Skeleton` holds one built module, whose own weights no pass changes. Parameters that are not settled pass in train
mode, with throw-away copies of the batch norms' running buffers; settled ones in eval mode.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm

from mim4dd.errors import InputError
from mim4dd.networks.stacked import SETTLED, STATISTICS, Params, enlarge
from mim4dd.registry import unknown
from mim4dd.seeding import torch_generator

# In settled parameters: pass in eval mode.
MARK = f"{SETTLED}settled"
# What a module may raise under vmap that it does not raise alone.
UNDER_VMAP = (RuntimeError, ValueError, TypeError, IndexError)


class Blocks(list[Tensor]):
    """The blocks' outputs of a pass, [G, B, c, h, w] each, with the class scores of the same pass, [G, B, C]."""

    def __init__(self, outputs: list[Tensor], logits: Tensor) -> None:
        super().__init__(outputs)
        self.logits = logits


def key_of(name: str) -> str:
    """The key of a parameter: its name, with a dot after one that would be taken for a batch norm's statistics."""
    return f"{name}." if name.endswith(STATISTICS) else name


def build(name: str, make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build the module from a seed, on the CPU; torch's own generator is left as it was.

    Raises: InputError for what is no module, or one whose parameters have no shape before its first pass.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module = make()
    if not isinstance(module, nn.Module):
        raise InputError(f"{name} must build a torch.nn.Module, got {type(module).__name__}")
    lazy = [own for own, tensor in module.named_parameters() if nn.parameter.is_lazy(tensor)]
    if lazy:
        raise InputError(f"{name} must know its shapes when it is built, got the lazy parameter '{lazy[0]}'")
    return module


def trained_parameters(module: nn.Module) -> Params:
    """The parameters that are trained, by key; those that require no gradient stay as they are built."""
    return {key_of(own): tensor.detach() for own, tensor in module.named_parameters() if tensor.requires_grad}


class Skeleton:
    """One module for images of one shape (channels, H, W).

    own: the trained parameters' own names, by key. batch_norms: by name; `state`, their running buffers. constants: all
    other buffers, and the parameters that are not trained.
    Raises: InputError for a block that does not exist, and for batch norms without running statistics.
    """

    def __init__(
        self, name: str, module: nn.Module, blocks: tuple[str, ...], size: int, shape: tuple[int, int, int]
    ) -> None:
        self.name, self.module, self.blocks, self.size, self.shape = name, module, blocks, size, shape
        self.own = {key_of(own): own for own, tensor in module.named_parameters() if tensor.requires_grad}
        self.batch_norms = {own: part for own, part in module.named_modules() if isinstance(part, _BatchNorm)}
        for own, part in self.batch_norms.items():
            if part.running_mean is None:
                raise InputError(f"batch norm '{own}' of {name} must track running statistics, it does not")
        self.state = {
            f"{own}.{buffer}".lstrip("."): tensor
            for own, part in self.batch_norms.items()
            for buffer, tensor in part.named_buffers(recurse=False)
        }
        fixed = {own: tensor.detach() for own, tensor in module.named_parameters() if not tensor.requires_grad}
        self.constants = fixed | {own: tensor for own, tensor in module.named_buffers() if own not in self.state}
        first = next((part for part in module.modules() if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d)), None)
        self._triple = shape[0] == 1 and first is not None and first.in_channels == 3
        self._lock, self._caught = threading.RLock(), dict[str, Tensor]()
        self._vmapped: dict[bool, bool] = {}
        for block in blocks:
            self._catch(block)

    def _catch(self, block: str) -> None:
        parts = dict(self.module.named_modules())
        if block not in parts:
            raise unknown(f"block of {self.name}", block, [own for own in parts if own])

        def catch(part: nn.Module, given: object, output: object) -> None:
            if not isinstance(output, Tensor):
                raise InputError(f"block '{block}' of {self.name} must return a tensor, got {type(output).__name__}")
            self._caught[block] = output.clone()  # what follows may change the output in place

        parts[block].register_forward_hook(catch)

    @property
    def weights(self) -> Params:
        """The trained parameters by their own names, [...]."""
        return {self.own[key]: tensor for key, tensor in trained_parameters(self.module).items()}

    def passed(self, params: Params, images: Tensor) -> Blocks:
        """The pass of G networks: images [B, channels, H, W] seen by all, or [G, B, channels, H, W]."""
        training, images = MARK not in params, self.seen(images)
        groups, shared = len(next(iter(params.values()))), images.ndim == 4
        given = {self.own[key]: tensor for key, tensor in params.items() if key in self.own}
        # Not differentiated, whoever asks: torch's batch norm refuses statistics that require a gradient.
        given |= {
            key.removeprefix(SETTLED): params[key].detach() for key in params if key not in self.own and key != MARK
        }
        to_all = as_given(self.constants, given)
        state = {key: tensor for key, tensor in as_given(self.state, given).items() if key not in given}
        if training:
            given |= {key: torch.stack([tensor] * groups) for key, tensor in state.items()}
        else:
            to_all |= state

        def one(own: Params, seen: Tensor) -> tuple[Tensor, ...]:
            return self.call(own | to_all, seen)

        with self.ready(training):
            if groups > 1 and self._vmaps(training):
                outputs = torch.vmap(one, in_dims=(0, None if shared else 0))(given, images)
            else:
                each = [
                    one({key: tensor[g] for key, tensor in given.items()}, images if shared else images[g])
                    for g in range(groups)
                ]
                outputs = tuple(torch.stack(parts) for parts in zip(*each, strict=True))
        *blocks, logits = outputs
        return Blocks(blocks or [logits[..., None, None]], logits)

    def seen(self, images: Tensor) -> Tensor:
        """The images as the module is given them."""
        images = enlarge(images, self.size) if self.size else images
        return images.expand(*images.shape[:-3], 3, -1, -1) if self._triple else images

    @contextmanager
    def ready(self, training: bool) -> Iterator[None]:
        """The module for this thread alone, in one mode, with attention that can be differentiated twice."""
        with self._lock, sdpa_kernel(SDPBackend.MATH):
            fast = torch.backends.mha.get_fastpath_enabled()
            torch.backends.mha.set_fastpath_enabled(False)
            try:
                if self.module.training != training:
                    self.module.train(training)
                yield
            finally:
                torch.backends.mha.set_fastpath_enabled(fast)

    def call(self, given: Params, images: Tensor) -> tuple[Tensor, ...]:
        """One network's blocks as maps [B, c, h, w], then its class scores [B, C]; the caller is `ready`.

        Raises: InputError for outputs that are neither.
        """
        self._caught.clear()
        scores = functional_call(self.module, given, (images,))
        caught, count = dict(self._caught), len(images)
        self._caught.clear()
        if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != count:
            got = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise InputError(f"{self.name} must return class scores [B, C], got {got} for {count} images")
        for block in self.blocks:
            if block not in caught:
                raise InputError(f"block '{block}' of {self.name} must be called in every pass, it is not")
            got = list(caught[block].shape)
            if got[:1] != [count]:
                raise InputError(f"block '{block}' of {self.name} must return [B, ...], got {got} for {count} images")
        return *(as_maps(caught[block]) for block in self.blocks), scores

    def _vmaps(self, training: bool) -> bool:
        """Whether `torch.vmap` gives two networks' outputs for eight images of each, tried once in each mode."""
        if training not in self._vmapped:
            # Of few images, a batch norm over maps of one pixel makes large numbers of the last bits' difference.
            images = self.seen(torch.randn(2, 8, *self.shape, generator=torch_generator("module", "vmap")))
            pair = {key: torch.stack([tensor, tensor]) for key, tensor in (self.weights | self.state).items()}
            try:
                with torch.no_grad(), torch.random.fork_rng(devices=[]):
                    each = [self.call({key: t[g].clone() for key, t in pair.items()}, images[g]) for g in range(2)]
                    found = torch.vmap(self.call)(pair, images)
                expected = [torch.stack(outputs) for outputs in zip(*each, strict=True)]
                pairs = zip(found, expected, strict=True)
                self._vmapped[training] = all(torch.allclose(ours, one, 1e-3, 1e-4) for ours, one in pairs)
            except UNDER_VMAP:
                self._vmapped[training] = False
        return self._vmapped[training]


def as_given(tensors: Params, given: Params) -> Params:
    """A skeleton's own tensors on the given ones' device, and of their type unless they are whole numbers."""
    like = next(iter(given.values()))
    return {
        key: tensor.to(like.device, like.dtype if tensor.is_floating_point() else tensor.dtype)
        for key, tensor in tensors.items()
    }


def as_maps(outputs: Tensor) -> Tensor:
    """[B, F] as [B, F, 1, 1], tokens [B, T, F] as [B, F, T, 1], and more than four axes with the last ones joined."""
    if outputs.ndim == 3:
        return outputs.transpose(1, 2)[..., None]
    if outputs.ndim > 4:
        return outputs.flatten(3)
    return outputs.reshape(*outputs.shape, *[1] * (4 - outputs.ndim))
