"""How synthetic pixels are initialised and updated: shared by all methods that learn them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mim4dd.methods.catalogue import Sized
from mim4dd.methods.tails import SHARES, WEIGHTS
from mim4dd.networks.precision import FLOAT32, PRECISIONS
from mim4dd.registry import knob

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from mim4dd.methods.catalogue import Method
    from mim4dd.methods.task import DistillationTask, Preparation
    from mim4dd.records import Floats


@dataclass(frozen=True, kw_only=True)
class LearnedPixels(Sized):
    """Images that start as real ones or as noise and are moved by an optimizer; each method adds knobs of its own."""

    momentum: float = knob(0.5, low=0, high=0.999, help="of the pixels (SGD); Adam's first beta")
    init: str = knob("real", choices=("real", "noise"), help="first images: random real ones, or Gaussian noise")
    optimizer: str = knob("sgd", choices=("sgd", "adam"), help="of the pixels")
    schedule: str = knob("constant", choices=("constant", "cosine"), help="of the pixels' rate; cosine falls to 0")

    @property
    def preparation(self) -> Preparation | None:
        return None

    def initial(self, task: DistillationTask) -> tuple[Tensor, Tensor]:
        from mim4dd.methods.batches import initial_images

        return initial_images(task, self.init, self.ipc_shares), task.labels(self.ipc_shares)

    def pixel_optimizer(self, pixels: Tensor, lr: float) -> Optimizer:
        """The optimizer of the pixels."""
        import torch

        if self.optimizer == "adam":
            return torch.optim.Adam([pixels], lr=lr, betas=(self.momentum, 0.999))
        return torch.optim.SGD([pixels], lr=lr, momentum=self.momentum)


@dataclass(frozen=True, kw_only=True)
class BatchMatching(LearnedPixels):
    """Methods that match real batches, whose passes keep no graph."""

    precision: str = knob(
        FLOAT32,
        choices=PRECISIONS,
        help="of products on real images; see `mim4dd.networks.precision`",
        tacit=True,
    )
    batch_shares: str = knob(
        "equal",
        choices=SHARES,
        help="of the classes in a real batch: equal, or as in the training data (proportional; one image at least)",
        tacit=True,
    )
    batch_weights: str = knob(
        "equal",
        choices=WEIGHTS,
        help="of a class's images in a real batch: equal, one over the density of the class's images there (rare), or "
        "the probability of its label by a classifier that has not seen the image (posterior), or those weights at "
        "random among the class's images (shuffled: the sham of posterior)",
        tacit=True,
    )

    @property
    def preparation(self) -> Preparation | None:
        from mim4dd.methods.preparations import LabelPosterior, Rarity

        made: dict[str, Preparation] = {
            "rare": Rarity(),
            "posterior": LabelPosterior(),
            "shuffled": LabelPosterior(shuffled=True),
        }
        return made.get(self.batch_weights)

    def weights(self, task: DistillationTask) -> Floats | None:
        """How likely each real image is among those of its class, [N]; None where all are alike."""
        preparation = self.preparation
        return None if preparation is None else task.prepared(preparation).arrays["probabilities"]


def share_of_rate(method: Method, iteration: int) -> float:
    """The schedule's factor of the pixels' learning rate; it depends on the iteration alone."""
    base = getattr(method, "base", method)
    if getattr(base, "schedule", "constant") == "constant":
        return 1.0
    return (1 + math.cos(math.pi * iteration / base.iterations)) / 2


def set_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Give the pixels' optimizer, the first, a learning rate."""
    for group in optimizers[0].param_groups:
        group["lr"] = rate


def pixels_rate(optimizers: list[Optimizer]) -> float:
    """The initial learning rate of the pixels' optimizer; 0 for a selection."""
    return float(optimizers[0].param_groups[0]["lr"]) if optimizers else 0.0
