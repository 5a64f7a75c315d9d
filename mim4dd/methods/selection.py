"""Methods that learn nothing: sets chosen from the real images, the anchors of every table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from mim4dd.methods.catalogue import METHODS, Learnable, Sized, Standardised, UpdateStep
from mim4dd.methods.work import Work
from mim4dd.networks.layers import SMALLEST, Layers
from mim4dd.registry import knob

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from mim4dd.methods.preparations import TrainedNetwork
    from mim4dd.methods.task import DistillationTask, Preparation
    from mim4dd.records import Floats, Integers


@dataclass(frozen=True, kw_only=True)
class Selection(Standardised):
    """The base of all selections: no iterations, nothing to learn."""

    @property
    def iterations(self) -> int:
        return 0

    @property
    def preparation(self) -> Preparation | None:
        return None

    def image_passes(self, classes: int, ipc: int, features: bool = False) -> float:
        return self.work(classes, ipc, features).image_passes

    def work(
        self, classes: int, ipc: int, features: bool = False, separate: bool = False, layers: Layers = SMALLEST
    ) -> Work:
        """None: a selection has no iterations."""
        return Work(updates=0, networks=0)

    def learnable(self, task: DistillationTask) -> Learnable:
        return {}

    def optimizers(self, task: DistillationTask, learnable: Learnable) -> list[Optimizer]:
        return []

    def update_steps(
        self, task: DistillationTask, learnable: Learnable, labels: Tensor, iteration: int, features: bool = False
    ) -> Iterator[UpdateStep]:
        return iter(())


@METHODS.add("random")
@dataclass(frozen=True, kw_only=True)
class RandomReal(Selection, Sized):
    """`ipc` random real images of each class: those from which a method with the same seed starts.

    Source: the "Random" row of the field's tables.
    """

    label: ClassVar[str] = "random real images"

    def initial(self, task: DistillationTask) -> tuple[Tensor, Tensor]:
        return task.take(task.random_rows(self.ipc_shares)), task.labels(self.ipc_shares)


@METHODS.add("full")
@dataclass(frozen=True, kw_only=True)
class FullData(Selection):
    """The whole training split: the ceiling under the same recipe.

    Source: the "Whole" row of the field's tables.
    """

    label: ClassVar[str] = "full data"

    def initial(self, task: DistillationTask) -> tuple[Tensor, Tensor]:
        import torch

        return task.images, torch.tensor(task.train.labels, device=task.device)


@dataclass(frozen=True, kw_only=True)
class Coreset(Selection, Sized):
    """Real images chosen by their embeddings: the last block of a network trained on the same training split."""

    epochs: int = knob(50, low=1, high=1_000_000, help="of the network's training")
    max_steps: int = knob(
        500, low=0, high=1_000_000_000, help="limit on the steps of 256 images, in whole epochs; 0 is no limit"
    )

    @property
    def preparation(self) -> TrainedNetwork:
        """The network, to be trained once."""
        from mim4dd.methods.preparations import TrainedNetwork

        return TrainedNetwork(self.epochs, self.max_steps)

    def least_prepared(self) -> Coreset:
        """The same with a network of one epoch."""
        return replace(self, epochs=1)

    def choose(self, embeddings: Floats, count: int, task: DistillationTask) -> Integers:
        """Choose `count` of a class's images, embedded as [n, D]; returns their rows."""
        raise NotImplementedError

    def initial(self, task: DistillationTask) -> tuple[Tensor, Tensor]:
        import numpy as np

        chosen = []
        for rows, wanted in zip(task.rows, task.synthetic_counts(self.ipc_shares), strict=True):
            if wanted:
                best = rows[self.choose(self._embedded(task, rows), min(int(wanted), len(rows)), task)]
                chosen.append(np.resize(best, wanted))  # a class with fewer images repeats them in order
        return task.take(np.concatenate(chosen)), task.labels(self.ipc_shares)

    def _embedded(self, task: DistillationTask, rows: Integers) -> Floats:
        import torch

        from mim4dd.networks.chunks import features_without_graph

        arrays = task.prepared(self.preparation).arrays
        params = {name: torch.tensor(array, device=task.device) for name, array in arrays.items()}
        (last,) = features_without_graph(task.network, params, task.take(rows), last=True)
        embeddings: Floats = last[0].flatten(1).cpu().numpy()
        return embeddings


@METHODS.add("herding")
@dataclass(frozen=True, kw_only=True)
class Herding(Coreset):
    """The images of each class whose mean embedding follows that of the class.

    Source: Welling 2009; Rebuffi et al. 2017 (iCaRL). A baseline of DC, DSA and DM.
    """

    def choose(self, embeddings: Floats, count: int, task: DistillationTask) -> Integers:
        from mim4dd.coresets import herding

        return herding(embeddings, count)


@METHODS.add("k_center")
@dataclass(frozen=True, kw_only=True)
class KCenter(Coreset):
    """The images of each class that cover it: each farthest from those before it, the first nearest the mean.

    Source: Sener & Savarese 2018. A baseline of DC and DM.
    """

    label: ClassVar[str] = "k-center"

    def choose(self, embeddings: Floats, count: int, task: DistillationTask) -> Integers:
        from mim4dd.coresets import k_center

        return k_center(embeddings, count)


@METHODS.add("k_medoids")
@dataclass(frozen=True, kw_only=True)
class KMedoids(Coreset):
    """The images of each class nearest the centres of a k-means clustering.

    Source: a usual coreset; the real images replace the centres.
    """

    label: ClassVar[str] = "k-medoids"

    def choose(self, embeddings: Floats, count: int, task: DistillationTask) -> Integers:
        from mim4dd.coresets import k_medoids
        from mim4dd.seeding import integer

        return k_medoids(embeddings, count, integer("k-medoids", task.seed))
