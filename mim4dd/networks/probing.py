"""What passes of a skeleton show: classes, blocks' shapes, whether it draws, its cost, its batch norms' statistics."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mim4dd.errors import InputError
from mim4dd.networks.counting import counted_flops, flops_by_operator
from mim4dd.networks.skeleton import MARK, Skeleton, as_given
from mim4dd.networks.stacked import SETTLED, Params
from mim4dd.seeding import torch_generator


@dataclass(frozen=True)
class Probe:
    """What two images' passes show.

    block_shapes: (channels, H, W) of each. draws: whether a pass in train mode draws from torch's generator.
    """

    classes: int
    block_shapes: list[tuple[int, int, int]]
    draws: bool


@dataclass(frozen=True)
class Measured:
    """Of one image's pass in eval mode: numbers in the largest output of a submodule, and multiply-adds.

    convolved: multiply-adds of convolutions. written: numbers in the outputs of layers with weights.
    """

    largest_map: int
    multiply_adds: int
    convolved: int
    written: int


def probe(skeleton: Skeleton) -> Probe:
    """Pass two images in both modes.

    Raises: InputError for images that the module cannot take, for draws in eval mode, and for what a pass changes
    besides the buffers of batch norms: it would be lost.
    """
    images = skeleton.seen(torch.randn(2, *skeleton.shape, generator=torch_generator("module", "images"))).clone()
    watched = {**skeleton.constants, "": images}
    kept = {key: tensor.clone() for key, tensor in watched.items()}
    for training in (False, True):
        state = {key: tensor.clone() for key, tensor in skeleton.state.items()}
        with torch.no_grad(), torch.random.fork_rng(devices=[]), skeleton.ready(training), _refusals(skeleton):
            before = torch.get_rng_state()
            *blocks, scores = skeleton.call(skeleton.weights | state, images)
            draws = not torch.equal(before, torch.get_rng_state())
        if draws and not training:
            raise InputError(f"{skeleton.name} must not draw random numbers in eval mode, where it classifies")
    for key, tensor in watched.items():
        if not torch.equal(tensor, kept[key]):
            what = f"its buffer '{key}' in a pass: only those of batch norms may change" if key else "its images"
            raise InputError(f"{skeleton.name} must not change {what}")
    shapes = [(maps.shape[1], maps.shape[2], maps.shape[3]) for maps in blocks]
    return Probe(scores.shape[1], shapes or [(scores.shape[1], 1, 1)], draws)


@contextmanager
def _refusals(skeleton: Skeleton) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{skeleton.name} must take images of {list(skeleton.shape)}, got '{reason}'{_where(error)}; if they are "
            "too small, a `size` enlarges them"
        ) from error


def _where(error: Exception) -> str:
    """The line of the module's own code, the last that is neither torch's nor ours."""
    apart = Path(torch.__file__).parent, Path(__file__).parents[1]
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in frames if not any(map(Path(frame.filename).is_relative_to, apart))]
    return f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})" if lines else ""


def measure(skeleton: Skeleton) -> Measured:
    """Pass one image and count."""
    numbers, written = [1], [0]

    def count(part: nn.Module, given: object, output: object) -> None:
        numbers.append(output.numel() if isinstance(output, Tensor) else 1)
        weighted = any(tensor.ndim > 1 for tensor in part.parameters(recurse=False))
        written.append(numbers[-1] if weighted else 0)

    handles = [part.register_forward_hook(count) for part in skeleton.module.modules()]
    images = skeleton.seen(torch.zeros(1, *skeleton.shape))
    try:
        with torch.no_grad(), skeleton.ready(training=False):
            flops = flops_by_operator(lambda: skeleton.call(skeleton.weights, images))
    finally:
        for handle in handles:
            handle.remove()
    convolved = sum(count for name, count in flops.items() if "convolution" in name)
    return Measured(max(numbers), sum(flops.values()) // 2, convolved // 2, sum(written))


def measure_gradients(skeleton: Skeleton) -> tuple[int, int]:
    """Multiply-adds of one image's pass whose gradients do not take twice as many: `first` and `products` of `Layers`.

    The gradient of the pixels takes those of all products of maps twice; that of the weights spares the first layer's
    input, which that of both does not.
    """

    def backward(pixels: bool, weights: bool) -> int:
        images = skeleton.seen(torch.zeros(1, *skeleton.shape)).clone().requires_grad_(pixels)
        given = {own: tensor.clone().requires_grad_(weights) for own, tensor in skeleton.weights.items()}
        inputs = [*([images] if pixels else []), *(given.values() if weights else [])]
        with torch.enable_grad(), skeleton.ready(training=False):
            *_, scores = skeleton.call(given, images)
            return counted_flops(lambda: torch.autograd.grad(scores.sum(), inputs, allow_unused=True)) // 2

    both = backward(True, True)
    return both - backward(False, True), backward(True, False) - both // 2


def statistics(skeleton: Skeleton, params: Params, images: Tensor) -> Params:
    """Entries that settle G networks: their batch norms' mean and variance over the images, and the mark.

    Batch norms normalise by the images themselves, everything else passes in eval mode.
    Shapes: images [B, channels, H, W] or [G, B, channels, H, W].
    """
    groups, images = len(next(iter(params.values()))), skeleton.seen(images)
    found: list[Params] = []
    for g in range(groups if skeleton.batch_norms else 0):
        given = {skeleton.own[key]: tensor[g] for key, tensor in params.items()}
        state = {key: tensor.clone() for key, tensor in as_given(skeleton.state, given).items()}
        with torch.no_grad(), skeleton.ready(training=False), _recording(skeleton) as recorded:
            seen = images if images.ndim == 4 else images[g]
            skeleton.call(given | state | as_given(skeleton.constants, given), seen)
        found.append(recorded)
    stacked = {key: torch.stack([one[key] for one in found]) for key in (found[0] if found else ())}
    return {MARK: next(iter(params.values())).new_ones(groups), **stacked}


@contextmanager
def _recording(skeleton: Skeleton) -> Iterator[Params]:
    """Batch norms in train mode, each recording its input's statistics."""
    skeleton.module.train()
    norms = {own: part for own, part in skeleton.batch_norms.items() if part.training}  # a module may fix some
    skeleton.module.eval()
    found: Params = {}

    def record(own: str, maps: Tensor) -> None:
        variance, mean = torch.var_mean(maps, [axis for axis in range(maps.ndim) if axis != 1], correction=0)
        prefix = f"{SETTLED}{own}." if own else SETTLED
        found.update({f"{prefix}running_mean": mean, f"{prefix}running_var": variance})

    handles = []
    for own, part in norms.items():
        part.train()
        handles.append(part.register_forward_pre_hook(lambda part, given, own=own: record(own, given[0])))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
        skeleton.module.eval()
