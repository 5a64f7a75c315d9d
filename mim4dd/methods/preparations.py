"""Preparations of methods, which trials may share: trained networks, how rare an image is, how likely its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from mim4dd.methods.work import Work
from mim4dd.networks.layers import SMALLEST, Layers

if TYPE_CHECKING:
    import numpy as np

    from mim4dd.methods.task import DistillationTask
    from mim4dd.train import Recipe

COMPONENTS = 64  # of `Rarity`
LEAST = 1e-6  # of a label's probability


@dataclass(frozen=True)
class Experts:
    """Networks trained on the real images, with a snapshot of each before its first epoch and after every one.

    Arrays: by parameter, [count, epochs + 1, ...].
    Source: the buffer of Cazenavette et al. 2022 (MTT): plain SGD, augmented batches.
    """

    count: int
    epochs: int
    lr: float
    batch: int
    augment: str
    sampling: str = "uniform"

    @property
    def snapshots(self) -> int:
        """Networks that it stores."""
        return self.count * (self.epochs + 1)

    def image_passes(self, images: int) -> float:
        return self.work(images).image_passes

    def work(self, images: int, layers: Layers = SMALLEST) -> Work:
        """3 count epochs N image passes: forward (1) and back to the weights (2)."""
        return Work(self.recipe.passes(images, layers, settled=False), networks=self.count)

    @property
    def recipe(self) -> Recipe:
        """How they are trained."""
        from mim4dd.train import Recipe

        return Recipe(
            networks=self.count,
            epochs=self.epochs,
            lr=self.lr,
            drop=1,
            momentum=0,
            weight_decay=0,
            batch=self.batch,
            augment=self.augment,
            sampling=self.sampling,
        )

    def make(self, task: DistillationTask) -> dict[str, npt.NDArray[Any]]:
        """Train the experts, each with streams of its own."""
        import torch

        from mim4dd.train import Streams, Training, fresh_networks

        train, streams = task.train, Streams.first("experts", task.seed, self.count)
        params = fresh_networks(task.network, train.shape, task.classes, streams, task.device)
        labels = torch.tensor(train.labels, device=task.device)
        training = Training(task.network, params, task.images, labels, self.recipe, streams, train.source)
        snapshots = [training.weights]
        while training.epoch < training.epochs:
            training.advance(training.epoch + 1)
            snapshots.append(training.weights)
        return {name: torch.stack([one[name] for one in snapshots], 1).cpu().numpy() for name in snapshots[0]}


@dataclass(frozen=True)
class TrainedNetwork:
    """One network trained on the real images. Arrays: by parameter, [1, ...]."""

    epochs: int
    max_steps: int

    def image_passes(self, images: int) -> float:
        return self.work(images).image_passes

    def work(self, images: int, layers: Layers = SMALLEST) -> Work:
        """3 epochs N image passes: forward (1) and back to the weights (2)."""
        return Work(self.recipe.passes(images, layers, settled=True))

    @property
    def recipe(self) -> Recipe:
        """How it is trained: the standard recipe without augmentation."""
        from mim4dd.train import Recipe

        return Recipe(networks=1, epochs=self.epochs, max_steps=self.max_steps, augment="none")

    def make(self, task: DistillationTask) -> dict[str, npt.NDArray[Any]]:
        """Train it."""
        import torch

        from mim4dd.train import Streams, fresh_networks, train_networks

        train, streams = task.train, Streams.first("trained network", task.seed, 1)
        params = fresh_networks(task.network, train.shape, task.classes, streams, task.device)
        labels = torch.tensor(train.labels, device=task.device)
        trained = train_networks(task.network, params, task.images, labels, self.recipe, streams, train.source)
        return {name: tensor.cpu().numpy() for name, tensor in trained.items()}


@dataclass(frozen=True)
class Rarity:
    """How likely each training image is among those of its class when rare ones are to come more often.

    One over the density of the class's images there: a Gaussian kernel estimate on COMPONENTS principal components of
    the standardised images, its bandwidth the median distance of the class's n images to their floor(sqrt(n))-th
    nearest. No image is more than n times as likely as another.
    Arrays: probabilities, [N], which add up to 1 over each class.
    Source: after Cui et al. 2024, "Mitigating bias in dataset distillation", who weight images by a kernel density
    estimate so that those which a bias of the data leaves rare count for more. Features and bandwidth are our choice.
    """

    def image_passes(self, images: int) -> float:
        return 0.0

    def make(self, task: DistillationTask) -> dict[str, npt.NDArray[Any]]:
        """Estimate the densities: of a class of n images in n^2 distances."""
        import numpy as np
        from sklearn.decomposition import PCA

        from mim4dd.coresets import density

        train = task.train
        pixels = task.to_standard(train.images).reshape(len(train), -1)
        components = min(COMPONENTS, *pixels.shape)
        embedded = PCA(components, random_state=0).fit_transform(pixels)
        rarity = np.zeros(len(train))
        for rows in task.rows:
            if len(rows):
                rarity[rows] = 1 / density(embedded[rows], int(len(rows) ** 0.5))
        return {"probabilities": _within_classes(rarity, task)}


@dataclass(frozen=True)
class LabelPosterior:
    """How likely each training image is among those of its class when images with doubtful labels come less often.

    In proportion to the probability of its label by a logistic regression fitted to four fifths of the images, which
    has not seen it; see `mim4dd.folds.out_of_fold`. An image of whose class no other fold knows counts as unlikely.
    Arrays: probabilities, [N], which add up to 1 over each class.
    Source: our choice of a usual remedy; positive pairs of a contrastive loss are weighted by the posterior of their
    label in expectation, as the base's real images are.
    """

    shuffled: bool = False  # the same probabilities at random among the images of a class: a sham

    def image_passes(self, images: int) -> float:
        return 0.0

    def make(self, task: DistillationTask) -> dict[str, npt.NDArray[Any]]:
        """Fit FOLDS classifiers."""
        import numpy as np

        from mim4dd.folds import FOLDS, out_of_fold
        from mim4dd.seeding import generator, integer

        train, rng = task.train, generator("label posterior", task.train.source, task.seed)
        folds = np.zeros(len(train), np.int64)
        for rows in task.rows:
            folds[rng.permutation(rows)] = np.arange(len(rows)) % FOLDS
        states = [integer("label posterior", train.source, task.seed, fold) % 2**32 for fold in range(FOLDS)]
        likely = np.nan_to_num(out_of_fold(train, folds, states)[np.arange(len(train)), train.labels]).clip(LEAST)
        if self.shuffled:
            for rows in task.rows:
                likely[rows] = likely[rng.permutation(rows)]
        return {"probabilities": _within_classes(likely, task)}


def _within_classes(weights: npt.NDArray[np.float64], task: DistillationTask) -> npt.NDArray[np.float64]:
    """Weights of the training images as shares of their class's sum, [N]."""
    shares = weights.copy()
    for rows in task.rows:
        if len(rows):
            shares[rows] /= weights[rows].sum()
    return shares
