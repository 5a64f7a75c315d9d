"""A method's input: the standardised training images of one data set, by class, and the random streams of one seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mim4dd.contrastive import log_prior
from mim4dd.data.standard import fit_standard
from mim4dd.errors import DataError, KnobError
from mim4dd.given import require_images
from mim4dd.methods.tails import IPC, TAILS
from mim4dd.networks import Network
from mim4dd.networks.batchnorm import needs_settling, settle
from mim4dd.networks.passes import BATCH_NORM_IMAGES
from mim4dd.networks.stacked import Params
from mim4dd.records import Floats, ImageData, Integers
from mim4dd.registry import check_value
from mim4dd.seeding import generator, torch_generator
from mim4dd.standard import STANDARDS, Standard

Arrays = Mapping[str, npt.NDArray[Any]]


class Preparation(Protocol):
    """A computation on a task's training split, network and seed, and on nothing else of it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def image_passes(self, images: int) -> float:
        """How many images pass forward through the network, of a training split of `images`; see `Method`."""

    def make(self, task: DistillationTask) -> dict[str, npt.NDArray[Any]]:
        """Compute the arrays, by name."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A preparation's arrays, and the seconds that it took where it was computed."""

    arrays: Arrays
    seconds: float


Prepare = Callable[[Preparation, "DistillationTask"], Prepared]


def prepare_here(preparation: Preparation, task: DistillationTask) -> Prepared:
    """Compute it in this process."""
    began = time.perf_counter()
    return Prepared(preparation.make(task), time.perf_counter() - began)


@dataclass(frozen=True, eq=False)
class DistillationTask:
    """The training split, the network to match with, images per class and the seed of the synthetic set.

    Every draw is a function of (seed, what it is for, iteration) alone, so methods that share a seed get the same
    initial images, networks and augmentations, and real batches where these have the same shares and weights.
    tail: the policy for a class with fewer real images than a draw asks for, of the `ipc` first images or of a real
    batch: `repeat` draws with replacement, `cap` takes all its images (that class gets fewer synthetic ones),
    `error` refuses. A class without any image gets no synthetic one; `shortfall` lists the classes that are short.
    standard: the space of the images, that of the method; see `fit_standard`.
    Raises: KnobError for an ipc out of range, an unknown tail or standard; DataError when fewer than two classes have
    images, or when a class is short and `tail` is `error`.
    """

    train: ImageData
    network: Network
    ipc: int
    seed: int
    device: torch.device
    tail: str = "repeat"
    prepare: Prepare = prepare_here
    standard: str = "channels"

    def __post_init__(self) -> None:
        require_images(self.train, "train")
        if not isinstance(self.ipc, int | np.integer):
            raise KnobError(f"ipc must be a whole number, got {self.ipc}")
        check_value("ipc", IPC, self.ipc)
        if self.tail not in TAILS:
            raise KnobError(f"tail must be one of {', '.join(TAILS)}, got {self.tail}")
        if self.standard not in STANDARDS:
            raise KnobError(f"standard must be one of {', '.join(STANDARDS)}, got {self.standard}")
        if (self.train.counts > 0).sum() < 2:
            raise DataError(f"{self.train.source}: fewer than two classes have training images, nothing to tell apart")
        if self.tail == "error":
            self._refuse_short(self.ipc, "ipc")

    def _refuse_short(self, wanted: int, what: str) -> None:
        short = int(self.train.counts.argmin())
        if self.train.counts[short] < wanted:
            raise DataError(
                f"{what} must be at most the images of the smallest class: class '{self.train.classes[short]}' has "
                f"{self.train.counts[short]}, {what} is {wanted}"
            )

    def shortfall(self, wanted: int, shares: str = "equal") -> list[str]:
        """The classes with fewer real images than a draw of `wanted` a class; shares: of the classes, as in `drawn`."""
        counts = self.train.counts
        asked = np.full(len(counts), wanted) if shares == "equal" else self.drawn(wanted, shares)
        return [name for name, short in zip(self.train.classes, counts < asked, strict=True) if short]

    def drawn(self, wanted: int, shares: str = "equal") -> Integers:
        """How many images each class gives to a draw of `wanted` a class, [C].

        shares: proportional keeps the size of the draw, but for rounding, and gives each class its share of the data,
        and at least one image.
        """
        counts = self.train.counts
        equal = np.minimum(counts, wanted) if self.tail == "cap" else np.where(counts > 0, wanted, 0)
        if shares == "equal":
            return equal
        return np.where(counts > 0, np.maximum(1, np.round(counts * (equal.sum() / counts.sum()))), 0).astype(int)

    @cached_property
    def to_standard(self) -> Standard:
        """The map from pixels to the space of this task, fitted to the training split."""
        return fit_standard(self.train.images, self.standard)

    @cached_property
    def log_prior(self) -> Tensor:
        """The log of each class's share in the training split, times the number of classes, on the device, [C]."""
        return log_prior(torch.from_numpy(self.train.counts)).to(self.device)

    @cached_property
    def images(self) -> Tensor:
        """The training images, standardised, on the device, [N, channels, H, W]."""
        return torch.from_numpy(self.to_standard(self.train.images)).to(self.device)

    def take(self, rows: Integers) -> Tensor:
        """The standardised training images of these rows, on the device, [n, channels, H, W].

        On a CPU only these are standardised: the images themselves stay where all trials of a machine share them. To
        whiten takes longer, and is done once for all.
        """
        if self.device.type == "cpu" and self.to_standard.whitening is None:
            return torch.from_numpy(self.to_standard(self.train.images[rows]))
        return self.images[torch.from_numpy(rows).to(self.device)]

    @cached_property
    def _cache(self) -> dict[Preparation, Prepared]:
        return {}

    def prepared(self, preparation: Preparation) -> Prepared:
        """A preparation's result for this task, computed once."""
        if preparation not in self._cache:
            computed = self.prepare(preparation, self)
            # A file may return its arrays in another order, which would change the last bits of sums over parameters.
            self._cache[preparation] = Prepared(dict(sorted(computed.arrays.items())), computed.seconds)
        return self._cache[preparation]

    @property
    def prepared_seconds(self) -> float:
        """Seconds that this task's preparations took so far, wherever they were computed."""
        return sum(one.seconds for one in self._cache.values())

    @cached_property
    def rows(self) -> list[Integers]:
        """The rows of each class's images."""
        return [np.flatnonzero(self.train.labels == c) for c in range(self.classes)]

    @property
    def classes(self) -> int:
        return len(self.train.classes)

    def synthetic_counts(self, shares: str = "equal") -> Integers:
        """How many synthetic images each class has, [C]: `ipc` unless `tail` caps it.

        shares: proportional gives each class its share of the data, and at least one image. There are exactly as many
        in all, for sets are compared at equal size: what rounding leaves goes to the classes that lack most.
        """
        equal = self.drawn(self.ipc)
        if shares == "equal":
            return equal
        quotas = self.train.counts * (equal.sum() / self.train.counts.sum())
        counts = np.maximum(np.floor(quotas).astype(int), (equal > 0).astype(int))
        while counts.sum() < equal.sum():
            counts[(quotas - counts).argmax()] += 1
        while counts.sum() > equal.sum():
            counts[np.where(counts > 1, counts - quotas, -np.inf).argmax()] -= 1
        return counts

    def random_rows(self, shares: str = "equal") -> Integers:
        """`ipc` random real images of each class, ordered by class: a method's first images and the random baseline.

        shares: of the classes, as in `synthetic_counts`.
        """
        rng = generator("initial images", self.seed)
        drawn = zip(self.rows, self.synthetic_counts(shares), strict=True)
        return np.concatenate([rng.choice(rows, n, replace=len(rows) < n) for rows, n in drawn if n])

    def labels(self, shares: str = "equal") -> Tensor:
        """The labels of the synthetic images, ordered by class.

        shares: of the classes, as in `synthetic_counts`.
        """
        return self._labels(self.synthetic_counts(shares))

    def real_batch(
        self, count: int, iteration: int, step: int = 0, shares: str = "equal", weights: Floats | None = None
    ) -> tuple[Tensor, Tensor]:
        """Random real images, `count` of each class on average, and their labels; `tail` decides for a smaller class.

        step: the update within the iteration; shares: of the classes, as in `drawn`; weights: how
        likely each image is among those of its class, [N], drawn with replacement; None for all alike.
        Raises: DataError when a class is smaller and `tail` is `error`.
        """
        drawn = self.drawn(count, shares)
        if self.tail == "error" and (drawn > self.train.counts).any():
            self._refuse_short(count, "batch_real")
        rng = generator("real batch", self.seed, *within(iteration, step))
        of_class = [None if weights is None else weights[rows] for rows in self.rows]
        rows = [
            rng.choice(rows, n, replace=len(rows) < n or p is not None, shuffle=False, p=p)
            for rows, n, p in zip(self.rows, drawn, of_class, strict=True)
            if n
        ]
        return self.take(np.concatenate(rows)), self._labels(drawn)

    def _labels(self, counts: Integers) -> Tensor:
        return torch.arange(self.classes, device=self.device).repeat_interleave(torch.tensor(counts).to(self.device))

    def fresh_network(self, iteration: int) -> Params:
        """One randomly initialised network for this iteration, settled."""
        stream = torch_generator("distillation network", self.seed, iteration)
        params = self.network.initial(self.train.shape, self.classes, [stream], self.device)
        return self.settled(params, iteration)

    def settled(self, params: Params, iteration: int, step: int = 0) -> Params:
        """The network settled: its batch norms' statistics, if it has any, fixed by 16 real images per class."""
        if not needs_settling(self.network):
            return params
        rng = generator("batch norm statistics", self.seed, *within(iteration, step))
        count, present = BATCH_NORM_IMAGES, [rows for rows in self.rows if len(rows)]
        drawn = [rng.choice(rows, count, replace=len(rows) < count) for rows in present]
        return settle(self.network, params, self.take(np.concatenate(drawn)))


def within(iteration: int, step: int) -> tuple[int, ...]:
    """The names of one update's stream; the first update of an iteration is named by the iteration alone."""
    return (iteration, step) if step else (iteration,)
