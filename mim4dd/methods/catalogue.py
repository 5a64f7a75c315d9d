"""The registry of methods, and their interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Protocol

from mim4dd.methods.tails import SHARES
from mim4dd.networks.precision import FLOAT32
from mim4dd.registry import Registry, knob
from mim4dd.standard import STANDARDS

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from mim4dd.methods.task import DistillationTask, Preparation
    from mim4dd.networks.stacked import Params
    from mim4dd.seeding import Name

Learnable = dict[str, "Tensor"]


@dataclass
class Term:
    """One summand of a loss.

    balanced: `weight` is the ratio of its pixel gradient's norm to that of the others. direction: `both`; `base`: the
    term only sets the length of the pixels' gradient, which keeps the direction of the others; `random`: it only sets
    the length of its own part, whose direction is drawn from `stream`, names that seed the draw.
    """

    loss: Tensor
    weight: float = 1.0
    balanced: bool = False
    direction: str = "both"
    stream: tuple[Name, ...] = ()

    @property
    def separate(self) -> bool:
        """Whether its gradient is computed separately from that of the others."""
        return self.balanced or self.direction != "both"


@dataclass
class UpdateStep:
    """One update of the synthetic images, with what a wrapper such as `mim` needs to add a term.

    Shapes: labels [B] and [M]; features, where requested: one tensor [B or M, channels, h, w] per block, after
    augmentation, the real ones without a graph.
    probe: further numbers of this update, computed only when the loop logs it.
    """

    terms: dict[str, Term]
    params: Params
    y_real: Tensor
    y_synthetic: Tensor
    real_features: Sequence[Tensor] = ()
    synthetic_features: Sequence[Tensor] = ()
    probe: Callable[[], dict[str, float]] | None = None


class Method(Protocol):
    """A distillation method as a value: `initial` images, then `iterations` of `update_steps`."""

    @property
    def iterations(self) -> int: ...

    @property
    def preparation(self) -> Preparation | None:
        """What is computed once before the first iteration and shared with runs that need the same."""

    def image_passes(self, classes: int, ipc: int, features: bool = False) -> float:
        """How many images pass forward through the network in an iteration, on both sides.

        A gradient counts as the forward passes that it costs: 1 of the pixels, 2 of the weights, 5 of the pixels from a
        gradient of the weights, 6 of pixels and weights. features: a term needs every block's output of both sides, see
        `update_steps`, and is differentiated with the base's loss. A method may say more by its `work`, see
        `mim4dd.methods.work`.
        """

    def initial(self, task: DistillationTask) -> tuple[Tensor, Tensor]:
        """First synthetic images [M, channels, H, W] and their labels [M], ordered by class."""

    def learnable(self, task: DistillationTask) -> Learnable:
        """What is learned besides the pixels (a head, a learning rate), by name."""

    def optimizers(self, task: DistillationTask, learnable: Learnable) -> list[Optimizer]:
        """Optimizers of everything learnable, the pixels' first."""

    def update_steps(
        self, task: DistillationTask, learnable: Learnable, labels: Tensor, iteration: int, features: bool = False
    ) -> Iterator[UpdateStep]:
        """The image updates of one iteration; the caller updates the pixels before it requests the next.

        features: the caller needs every block's output of both sides, for a term of its own.
        """


METHODS: Registry[Method] = Registry("method", Method)


@dataclass(frozen=True, kw_only=True)
class Standardised:
    """What every method that is no wrapper has: the space of its images, of all networks, and so of its set."""

    standard: str = knob(
        "channels", choices=STANDARDS, help="zca whitens the standardised images, zca-pixels the pixels", tacit=True
    )


@dataclass(frozen=True, kw_only=True)
class Sized(Standardised):
    """What every method has whose set is as large as it is asked to be."""

    ipc_shares: str = knob(
        "equal",
        choices=SHARES,
        help="of the classes in the set: equal, or as in the training data (proportional; one image at least)",
        tacit=True,
    )


def standard_of(method: Method) -> str:
    """The space of a method's images; a wrapper has that of its base."""
    return str(getattr(getattr(method, "base", method), "standard", "channels"))


def precision_of(method: Method) -> str:
    """The precision of a method's products on real images; float32 where it has no such choice."""
    return str(getattr(method, "precision", FLOAT32))


def wrapped(method: Method) -> Method | None:
    """The method that one wraps, as the MI term its base; None of one that wraps none."""
    base = getattr(method, "base", None)
    return base if hasattr(base, "update_steps") else None


def with_iterations(method: Method, iterations: int) -> Method:
    """The method, or the base that it wraps, with another number of iterations; itself where that is no field."""
    base = wrapped(method)
    if base is not None:
        return replace(method, base=with_iterations(base, iterations))  # type: ignore[type-var]
    names = {field.name for field in fields(method)}  # type: ignore[arg-type]
    return replace(method, iterations=iterations) if "iterations" in names else method  # type: ignore[type-var]


def least_prepared(method: Method) -> Method:
    """The method with as little preparation as its iterations need, which cost no less for that; itself by default."""
    base = wrapped(method)
    if base is not None:
        return replace(method, base=least_prepared(base))  # type: ignore[type-var]
    least: Callable[[], Method] = getattr(method, "least_prepared", lambda: method)
    return least()


def batch_shares(method: Method) -> str:
    """The shares of the classes in a real batch, by the method or the base that it wraps."""
    return str(getattr(getattr(method, "base", method), "batch_shares", "equal"))


def ipc_shares(method: Method) -> str:
    """The shares of the classes in the set, by the method or the base that it wraps."""
    return str(getattr(getattr(method, "base", method), "ipc_shares", "equal"))


def real_images_a_batch(method: Method) -> int:
    """How many real images of a class an update draws, by the method or the base that it wraps; 0 for a selection."""
    return int(getattr(getattr(method, "base", method), "batch_real", 0))
