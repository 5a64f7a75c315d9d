"""Gradient matching: dataset condensation, and the same with Siamese augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mim4dd.data.operations import SIAMESE, check_augment
from mim4dd.methods.catalogue import METHODS, Learnable, Term, UpdateStep
from mim4dd.methods.pixels import BatchMatching
from mim4dd.methods.work import Work
from mim4dd.networks.layers import SMALLEST, Layers
from mim4dd.networks.passes import (
    BATCH_NORM_IMAGES,
    SETTLING_IMAGES,
    WITH_GRADIENTS,
    Passes,
    classes_at_once,
    images_at_once,
    parts,
    settling,
    training_passes,
)
from mim4dd.registry import knob, name_of

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from mim4dd.methods.task import DistillationTask
    from mim4dd.networks.stacked import Params

# Image updates per iteration, and epochs of the network's training between them, by images per class.
LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}


@METHODS.add("dc")
@dataclass(frozen=True, kw_only=True)
class DC(BatchMatching):
    """Matches the gradients of each class's real and synthetic images along the training of fresh networks.

    Source: Zhao, Mopuri & Bilen 2021, "Dataset Condensation with Gradient Matching" (arXiv 2006.05929), and its public
    code for the defaults, the loops by ipc (1, 10, 20, 30, 40, 50) and the parameters that are left out.
    Differs: other ipc take the loops of the nearest listed one (the public code refuses them); a class with fewer real
    images than the batch repeats some (there: a smaller batch, as the tail policy `cap`); the network is
    trained without momentum, as in the current public code (its first version: 0.5).
    """

    label: ClassVar[str] = "DC"

    iterations: int = knob(
        1000, low=1, high=100_000_000, search=(50, 1000), log=True, help="networks that are drawn and trained"
    )
    outer: int = knob(
        0, low=0, high=1_000_000, search=(1, 10), help="image updates per iteration; 0 follows ipc (1 to 50)"
    )
    inner: int = knob(
        0, low=0, high=1_000_000, search=(1, 50), help="epochs on the synthetic set between two updates; 0 follows ipc"
    )
    batch_real: int = knob(
        256, low=1, high=1_000_000, search=(16, 256), log=True, help="real images per class and update"
    )
    lr: float = knob(0.1, above=0, search=(0.01, 1), log=True, help="of the pixels (SGD)")
    lr_network: float = knob(0.01, above=0, search=(0.001, 0.1), log=True, help="of the network (SGD, no momentum)")
    batch_network: int = knob(256, low=1, high=1_000_000, help="synthetic images per step of the network")
    init: str = knob("noise", choices=("real", "noise"), help="first images: random real ones, or Gaussian noise")
    augment: str = knob("none", help="Siamese operations, or none")

    def __post_init__(self) -> None:
        check_augment(self.augment)

    def loops(self, ipc: int) -> tuple[int, int]:
        """Updates per iteration, and epochs between two of them."""
        outer, inner = LOOPS[min(LOOPS, key=lambda listed: max(listed / ipc, ipc / listed))]
        return self.outer or outer, self.inner or inner

    def image_passes(self, classes: int, ipc: int, features: bool = False) -> float:
        return self.work(classes, ipc, features).image_passes

    def work(
        self, classes: int, ipc: int, features: bool = False, separate: bool = False, layers: Layers = SMALLEST
    ) -> Work:
        """C (outer (3 B + 8 ipc) + (outer - 1) inner 3 ipc) image passes.

        Each side forward (1) and back to the weights (2); the synthetic one from there to the pixels (5); between two
        updates, the network is trained on the synthetic images (3). A separate term goes back to the pixels once more.
        """
        outer, inner = self.loops(ipc)
        real, synthetic = outer * classes * self.batch_real, outer * classes * ipc
        together = classes_at_once(layers.largest, layers.parameters, max(self.batch_real, ipc), WITH_GRADIENTS)
        groups = outer * parts(classes, together)
        pieces = groups * parts(self.batch_real, images_at_once(layers.largest, WITH_GRADIENTS, min(together, classes)))
        passes = [*settling(layers, BATCH_NORM_IMAGES * classes * outer, outer)]
        passes += [Passes("scores", real, pieces), Passes("weights", real, pieces)]
        passes += [Passes(kind, synthetic, groups) for kind in ("scores", "weights", "second")]
        if separate:
            passes.append(Passes("pixels", synthetic, groups))
        if outer > 1:
            passes += training_passes(layers, 1, classes * ipc, (outer - 1) * inner, self.batch_network)
            passes += settling(layers, (outer - 1) * min(classes * ipc, SETTLING_IMAGES), outer - 1)
        return Work(tuple(passes), outer)

    def learnable(self, task: DistillationTask) -> Learnable:
        return {}

    def optimizers(self, task: DistillationTask, learnable: Learnable) -> list[Optimizer]:
        return [self.pixel_optimizer(learnable["pixels"], self.lr)]

    def update_steps(
        self, task: DistillationTask, learnable: Learnable, labels: Tensor, iteration: int, features: bool = False
    ) -> Iterator[UpdateStep]:
        from mim4dd.methods.batches import siamese_batch
        from mim4dd.methods.gradients import Side, match_gradients

        params = task.fresh_network(iteration)
        outer, inner = self.loops(task.ipc)
        for step in range(outer):
            if step:
                params = self._trained(task, params, learnable["pixels"].detach(), labels, inner, iteration, step)
            drawn = self.batch_real, self.augment, iteration, step, self.batch_shares, self.weights(task)
            real, y_real, synthetic = siamese_batch(task, learnable["pixels"], labels, *drawn)
            match = match_gradients(
                task.network,
                params,
                Side(real, task.drawn(self.batch_real, self.batch_shares)),
                Side(synthetic, task.synthetic_counts(self.ipc_shares)),
                features=features,
                precision=self.precision,
            )
            yield UpdateStep(
                {name_of(self): Term(match.distance)},
                params,
                y_real,
                labels,
                match.real_features,
                match.synthetic_features,
            )

    def _trained(
        self,
        task: DistillationTask,
        params: Params,
        pixels: Tensor,
        labels: Tensor,
        epochs: int,
        iteration: int,
        step: int,
    ) -> Params:
        """Train the network for some epochs on the current synthetic set."""
        from mim4dd.train import Recipe, Streams, train_networks

        recipe = Recipe(
            networks=1,
            epochs=epochs,
            lr=self.lr_network,
            drop=1,
            momentum=0,
            weight_decay=0,
            batch=self.batch_network,
            augment=self.augment,
        )
        streams = Streams(f"inner training {iteration} {step}", task.seed, (0,))
        trained = train_networks(task.network, params, pixels, labels, recipe, streams, task.train.source)
        return task.settled(trained, iteration, step)


@METHODS.add("dsa")
@dataclass(frozen=True, kw_only=True)
class DSA(DC):
    """DC with one draw of a differentiable augmentation for the real and synthetic images of a class.

    Source: Zhao & Bilen 2021, "Dataset Condensation with Differentiable Siamese Augmentation" (arXiv 2102.08259), and
    its public code: real images at the start, and the network's training between updates is augmented too.
    Differs: as DC.
    """

    label: ClassVar[str] = "DSA"

    init: str = knob("real", choices=("real", "noise"), help="first images: random real ones, or Gaussian noise")
    augment: str = knob(SIAMESE, help="Siamese operations, or none")
