"""Published test accuracies with ConvNet-3, and the recipe with which each was evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mim4dd.registry import Flat

DC = "Zhao, Mopuri & Bilen 2021 (DC), table 1"
DSA = "Zhao & Bilen 2021 (DSA), table 1"
DM = "Zhao & Bilen 2023 (DM), table 1"
MTT = "Cazenavette et al. 2022 (MTT), table 1"
MEMORY = "the literature, quoted from memory and not checked again"


@dataclass(frozen=True)
class Published:
    """A published test accuracy in percent and its source; certain: checked against the source."""

    accuracy: float
    source: str

    @property
    def certain(self) -> bool:
        return self.source != MEMORY


def _rows(dataset: str, method: str, source: str, *accuracies: float | None) -> dict[tuple[str, int, str], Published]:
    """The entries of a method for 1, 10 and 50 images per class."""
    entries = zip((1, 10, 50), accuracies, strict=True)
    return {(dataset, ipc, method): Published(value, source) for ipc, value in entries if value is not None}


PUBLISHED: Mapping[tuple[str, int, str], Published] = {
    **_rows("mnist", "random", MEMORY, 64.9, 95.1, 97.9),
    **_rows("mnist", "dc", DC, 91.7, 97.4, 98.8),
    **_rows("mnist", "dsa", DSA, 88.7, 97.8, 99.2),
    **_rows("mnist", "dm", MEMORY, 89.7, 97.5, 98.6),
    **_rows("mnist", "mtt", MEMORY, 91.4, 97.3, 98.5),
    **_rows("fashion_mnist", "random", MEMORY, 51.4, 73.8, 82.5),
    **_rows("fashion_mnist", "dc", DC, 70.5, 82.3, 83.6),
    **_rows("fashion_mnist", "dsa", DSA, 70.6, 84.6, 88.7),
    **_rows("fashion_mnist", "mtt", MEMORY, 75.1, 87.2, 88.3),
    **_rows("svhn", "random", MEMORY, 14.6, 35.1, 70.9),
    **_rows("svhn", "dc", DC, 31.2, 76.1, 82.3),
    **_rows("svhn", "dsa", DSA, 27.5, 79.2, 84.4),
    **_rows("cifar10", "random", DM, 15.4, 31.0, 50.6),
    **_rows("cifar10", "dc", DC, 28.3, 44.9, 53.9),
    **_rows("cifar10", "dsa", DSA, 28.8, 52.1, 60.6),
    **_rows("cifar10", "dm", DM, 26.0, 48.9, 63.0),
    **_rows("cifar10", "mtt", MTT, 46.3, 65.3, 71.6),
    **_rows("cifar100", "random", DM, 4.2, 14.6, 30.0),
    **_rows("cifar100", "dc", DSA, 12.8, 25.2, None),
    **_rows("cifar100", "dsa", DSA, 13.9, 32.3, 42.8),
    **_rows("cifar100", "dm", DM, 11.4, 29.7, 43.6),
    **_rows("cifar100", "mtt", MTT, 24.3, 40.1, 47.7),
}
# Accuracies of the same network trained on all training images.
FULL_DATA: Mapping[str, Published] = {
    "mnist": Published(99.6, DC),
    "fashion_mnist": Published(93.5, MEMORY),
    "svhn": Published(95.4, DC),
    "cifar10": Published(84.8, DC),
    "cifar100": Published(56.2, DSA),
}
# Data sets whose published random row is DC's, without augmentation; the others' is that of DSA and DM.
PLAIN = ("mnist", "fashion_mnist", "svhn")


def published(dataset: str, ipc: int, method: str) -> Published | None:
    """The published accuracy of a method, or None."""
    return FULL_DATA.get(dataset) if method == "full" else PUBLISHED.get((dataset, ipc, method))


def published_recipe(flat: Flat, dataset: str) -> dict[str, str]:
    """The recipe that trained the networks of a method's published accuracy, as assignments.

    DC, and random images of the data sets in DC's table: the recipe `dc`; only DC itself augments on MNIST. All
    others: DSA's augmentation for 1000 epochs, with a new optimizer at the drop of the rate, as in DC's code.
    Source: the public code that DC, DSA and DM share; a random row has the recipe of the table that it is from.
    """
    method = str(flat.get("method.base", flat["method"]))
    if method == "dc" and dataset == "mnist":
        return {"evaluation": "dc", "evaluation.epochs": "1000", "evaluation.augment": "crop_scale_rotate"}
    if method == "dc" or (method == "random" and dataset in PLAIN):
        return {"evaluation": "dc"}
    return {"evaluation.restart_momentum": "true"}
