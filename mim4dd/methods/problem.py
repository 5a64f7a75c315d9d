"""What a method works on: the standardised training images of one data set, by class, and the streams of one seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mim4dd.data.standard import channel_statistics, standardise
from mim4dd.errors import DataError, InputError
from mim4dd.networks import Network
from mim4dd.networks.stacked import Params
from mim4dd.records import Floats, ImageData, Integers
from mim4dd.seeding import generator, torch_generator


@dataclass(frozen=True, eq=False)
class Problem:
    """The training split, the network to match with, images per class and the seed of the synthetic set.

    Every draw is a function of (seed, what it is for, iteration) alone, so methods that share a seed meet the same
    initial images, real batches, networks and augmentations.
    Raises: InputError for an ipc below 1; DataError when a class has fewer real images than `ipc`.
    """

    train: ImageData
    network: Network
    ipc: int
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        if self.ipc < 1:
            raise InputError(f"ipc must be at least 1, got {self.ipc}")
        counts = self.train.counts
        short = int(counts.argmin())
        if counts[short] < self.ipc:
            raise DataError(
                f"ipc must be at most the images of the smallest class: class '{self.train.classes[short]}' has "
                f"{counts[short]}, ipc is {self.ipc}"
            )

    @cached_property
    def statistics(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of each channel over the training split."""
        return channel_statistics(self.train.images)

    @cached_property
    def images(self) -> Tensor:
        """The training images, standardised, on the device, [N, channels, H, W]."""
        return torch.from_numpy(standardise(self.train.images, *self.statistics)).to(self.device)

    @cached_property
    def rows(self) -> list[Integers]:
        """The rows of each class's images."""
        return [np.flatnonzero(self.train.labels == c) for c in range(self.classes)]

    @property
    def classes(self) -> int:
        return len(self.train.classes)

    def random_rows(self) -> Integers:
        """`ipc` random real images of each class, ordered by class: the start of a method and the random baseline."""
        rng = generator("initial images", self.seed)
        return np.concatenate([rng.choice(rows, self.ipc, replace=False) for rows in self.rows])

    def labels(self) -> Tensor:
        """The labels of `ipc` images of each class, ordered by class."""
        return torch.arange(self.classes, device=self.device).repeat_interleave(self.ipc)

    def real_batch(self, count: int, iteration: int) -> tuple[Tensor, Tensor]:
        """`count` random real images of each class and their labels; a smaller class repeats some of its images."""
        rng = generator("real batch", self.seed, iteration)
        rows = [rng.choice(rows, count, replace=len(rows) < count, shuffle=False) for rows in self.rows]
        labels = torch.arange(self.classes, device=self.device).repeat_interleave(count)
        return self.images[torch.from_numpy(np.concatenate(rows)).to(self.device)], labels

    def fresh_network(self, iteration: int) -> Params:
        """One randomly initialised network for this iteration."""
        stream = torch_generator("distillation network", self.seed, iteration)
        return self.network.initial(self.train.shape, self.classes, [stream], self.device)
