"""What an iteration of a method, or a preparation, passes through the network: counted without torch or data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mim4dd.networks.layers import SMALLEST, Layers
from mim4dd.networks.passes import Passes

if TYPE_CHECKING:
    from mim4dd.methods.catalogue import Method
    from mim4dd.methods.task import Preparation


@dataclass(frozen=True)
class Work:
    """passes: through the network. updates: of the images. networks: whose parameters are drawn at random.

    sums: multiply-adds of the method's own for each number of the last block's output.
    """

    passes: tuple[Passes, ...] = ()
    updates: int = 1
    networks: int = 1
    sums: float = 0.0

    @property
    def image_passes(self) -> float:
        """How many images pass forward in all, see `Method.image_passes`."""
        return sum(one.forward for one in self.passes)


class CountedMethod(Protocol):
    """A method that says by kind which passes it makes, which `Method` leaves open."""

    def work(
        self, classes: int, ipc: int, features: bool = False, separate: bool = False, layers: Layers = SMALLEST
    ) -> Work:
        """Of an iteration, without what the loop's reports add and what augmentation takes.

        Every class has `ipc` synthetic images and as many real ones as the method asks for. features: see
        `Method.image_passes`. separate: the caller's term is differentiated by itself, see `Term.separate`, through all
        that its features come from. layers: the network's, which decide how much passes at once; by default all does.
        """


class CountedPreparation(Protocol):
    """A preparation that says by kind which passes it makes, which `Preparation` leaves open."""

    def work(self, images: int, layers: Layers = SMALLEST) -> Work:
        """On a training split of so many images."""


def work_of(
    method: Method, classes: int, ipc: int, features: bool = False, separate: bool = False, layers: Layers = SMALLEST
) -> Work:
    """`CountedMethod.work`, also of a method that only tells its `image_passes`.

    Such passes are taken for forward ones in three launches: a forward pass of each side and a gradient of the pixels,
    and one gradient more for a separate term.
    """
    if tells_work(method):
        told: CountedMethod = method  # type: ignore[assignment]
        return told.work(classes, ipc, features, separate, layers)
    again = (Passes("pixels", float(classes * ipc)),) if separate else ()
    return Work((Passes("scores", method.image_passes(classes, ipc, features), 3), *again))


def tells_work(component: Method | Preparation) -> bool:
    """Whether it has a `work`, and no `image_passes` of a subclass that the `work` of its base does not know."""
    for cls in type(component).__mro__:
        if "work" in vars(cls) or "image_passes" in vars(cls):
            return "work" in vars(cls)
    return False
