"""The precision in which networks multiply: float32, or bfloat16 where no graph is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FLOAT32, BF16 = PRECISIONS = ("float32", "bf16")
_precision: ContextVar[str] = ContextVar("precision", default=FLOAT32)


@contextmanager
def multiplying(precision: str) -> Iterator[None]:
    """Have the layers of networks multiply in one of `PRECISIONS` here; all else, sums too, stays in float32.

    bf16 keeps 8 of a number's 24 significant bits: factors and results are rounded to it, and so are their gradients.
    A processor that cannot multiply such numbers (`multiplies_bf16`) multiplies the rounded ones in float32: the same
    results, but for the order of sums and what that rounds otherwise, in more time than float32 takes.
    """
    before = _precision.set(precision)
    try:
        yield
    finally:
        _precision.reset(before)


def precision_now() -> str:
    """The precision of `multiplying`, or float32 outside it."""
    return _precision.get()


def product(operation: Callable[..., Tensor], *factors: Any) -> Tensor:
    """operation(*factors), of float32 tensors or None, as float32, in the precision of now."""
    if _precision.get() == FLOAT32:
        return operation(*factors)
    native = multiplies_bf16(next(one.device for one in factors if one is not None))
    rounded = [None if one is None else one.bfloat16() if native else one.bfloat16().float() for one in factors]
    return operation(*rounded).bfloat16().float()


@cache
def multiplies_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for products of bfloat16; without, torch takes ten times as long for them."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # Of torch.cpu: private, so that a version without them is taken for a processor without them.
    found = (getattr(torch.cpu, name, bool) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(has() for has in found)


def slower_note(config: Mapping[str, Any], device: str) -> str:
    """That a configuration asks for bf16 on a device that cannot multiply it; "" where it does not, or the device can.

    config: knobs by their dotted names.
    """
    import torch

    asked = [key for key, value in config.items() if key.rpartition(".")[2] == "precision" and value == BF16]
    if not asked or multiplies_bf16(torch.device(device)):
        return ""
    return (
        f"{' and '.join(asked)} bf16: this {'processor' if device == 'cpu' else 'device'} cannot multiply bfloat16; "
        "numbers are rounded to it and multiplied in float32, which takes longer than float32 alone"
    )
