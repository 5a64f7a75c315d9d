"""The floating-point operations that torch counts while something runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any


def counted_flops(work: Callable[[], object]) -> int:
    """Run it and count: two for each multiply-add of convolutions and matrix products, gradients of any order included.

    Everything else counts as 0, and so does what runs under `torch.inference_mode`.
    """
    return sum(flops_by_operator(work).values())


def flops_by_operator(work: Callable[[], object]) -> dict[str, int]:
    """The same by torch's operator, such as `aten.convolution`."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    # Torch 2.14 counts a weights' gradient as if its convolution had one group: `groups` times too many products.
    mended: dict[Any, Any] = {torch.ops.aten.convolution_backward: _convolution_backward}
    with FlopCounterMode(display=False, custom_mapping=mended) as counter:
        work()
    return {str(operator): count for operator, count in counter.get_flop_counts().get("Global", {}).items()}


def _convolution_backward(
    of_output: Sequence[int],
    given: Sequence[int],
    weight: Sequence[int],
    bias: object,
    stride: object,
    padding: object,
    dilation: object,
    transposed: bool,
    output_padding: object,
    groups: int,
    wanted: Sequence[bool],
    *,
    out_shape: object = None,
) -> int:
    """The gradients of the input and of the weights, where wanted, cost as much as the convolution itself each.

    Shapes (torch hands over these instead of tensors): of_output [B, G*c, ...]; given [B, ...]; weight
    [G*c, inputs of a group, ...].
    """
    places = given if transposed else of_output
    return 2 * places[0] * prod(places[2:]) * prod(weight) * (int(wanted[0]) + int(wanted[1]))
