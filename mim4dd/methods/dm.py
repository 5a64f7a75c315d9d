"""Distribution matching."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mim4dd.data.operations import SIAMESE, check_augment
from mim4dd.methods.catalogue import METHODS, Learnable, Term, UpdateStep
from mim4dd.methods.pixels import BatchMatching
from mim4dd.methods.work import Work
from mim4dd.networks.layers import SMALLEST, Layers
from mim4dd.networks.passes import BATCH_NORM_IMAGES, WITHOUT_GRADIENTS, Passes, images_at_once, parts, settling
from mim4dd.registry import knob

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from mim4dd.methods.task import DistillationTask


@METHODS.add("dm")
@dataclass(frozen=True, kw_only=True)
class DM(BatchMatching):
    """Matches the mean embedding of each class under a fresh random network each iteration.

    Source: Zhao & Bilen 2023, "Dataset Condensation with Distribution Matching" (arXiv 2110.04181), and its public code
    for the defaults.
    Differs: a class with fewer real images than the batch repeats some (the public code takes a smaller batch, as
    does the tail policy `cap`); the classes share one forward pass; `updates` above 1 moves the images several times
    towards one draw of network, real batch and augmentation (there: once), whose real side is then computed once; a
    batch norm takes the statistics of 16 real images per class, as DC's (there: those of each side's own images).
    """

    label: ClassVar[str] = "DM"

    iterations: int = knob(
        20_000, low=1, high=100_000_000, search=(100, 20_000), log=True, help="networks and real batches that are drawn"
    )
    updates: int = knob(
        1, low=1, high=1_000_000, search=(1, 16), log=True, help="of the images, for each network and real batch"
    )
    batch_real: int = knob(
        256, low=1, high=1_000_000, search=(16, 256), log=True, help="real images per class and iteration"
    )
    lr: float = knob(1.0, above=0, search=(0.01, 10), log=True, help="of the pixels (SGD)")
    augment: str = knob(SIAMESE, help="Siamese operations, or none")

    def __post_init__(self) -> None:
        check_augment(self.augment)

    def image_passes(self, classes: int, ipc: int, features: bool = False) -> float:
        return self.work(classes, ipc, features).image_passes

    def work(
        self, classes: int, ipc: int, features: bool = False, separate: bool = False, layers: Layers = SMALLEST
    ) -> Work:
        """C (B + 2 updates ipc) image passes: real images forward, synthetic ones forward and back to the pixels.

        A separate term goes back once more. Means: C products a number of each real image, 2 C of each synthetic one.
        """
        real, synthetic, updates = classes * self.batch_real, classes * ipc, self.updates
        launches = parts(real, images_at_once(layers.largest, WITHOUT_GRADIENTS))
        gradients = (2 if separate else 1) * updates
        passes = (
            *settling(layers, BATCH_NORM_IMAGES * classes),
            Passes("blocks", real, launches),
            Passes("blocks", updates * synthetic, updates),
            Passes("pixels", gradients * synthetic, gradients),
        )
        return Work(passes, updates, sums=updates * classes * (real + 2 * synthetic))

    def learnable(self, task: DistillationTask) -> Learnable:
        return {}

    def optimizers(self, task: DistillationTask, learnable: Learnable) -> list[Optimizer]:
        return [self.pixel_optimizer(learnable["pixels"], self.lr)]

    def update_steps(
        self, task: DistillationTask, learnable: Learnable, labels: Tensor, iteration: int, features: bool = False
    ) -> Iterator[UpdateStep]:
        from mim4dd.data.augment import augment_images
        from mim4dd.matching import mean_distance
        from mim4dd.methods.batches import real_batch
        from mim4dd.networks.chunks import features_without_graph
        from mim4dd.networks.precision import multiplying

        params = task.fresh_network(iteration)
        drawn = self.batch_real, self.augment, iteration
        real, y_real, draw = real_batch(task, *drawn, shares=self.batch_shares, weights=self.weights(task))
        with multiplying(self.precision):
            maps_of_real = features_without_graph(task.network, params, real, last=not features)
        real_features = [maps[0] for maps in maps_of_real]
        for _ in range(self.updates):
            synthetic = augment_images(learnable["pixels"], draw, labels.cpu().numpy())
            synthetic_features = [maps[0] for maps in task.network.features(params, synthetic)]
            loss = mean_distance(
                real_features[-1].flatten(1), y_real, synthetic_features[-1].flatten(1), labels, task.classes
            )
            yield UpdateStep({"dm": Term(loss)}, params, y_real, labels, real_features, synthetic_features)
