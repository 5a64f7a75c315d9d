"""Published accuracies of sets on other networks than the ConvNet that they were distilled on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DC = "Zhao, Mopuri & Bilen 2021 (DC), across architectures: distilled on the ConvNet"
DATADAM = "Sajedi et al. 2023 (DataDAM), ConvNet to others"
DC_BENCH = "Cui et al. 2022 (DC-BENCH), average transfer accuracy over its networks"
# In place of one network.
AVERAGE = "average of its networks"


@dataclass(frozen=True)
class Published:
    """Test accuracies in percent of a method's sets, by registered network or AVERAGE."""

    dataset: str
    ipc: int
    method: str
    source: str
    accuracies: Mapping[str, float]


def _averages(method: str, *accuracies: float) -> tuple[Published, ...]:
    """DC-BENCH's on CIFAR-10 with 1, 10 and 50 images per class."""
    entries = zip((1, 10, 50), accuracies, strict=True)
    return tuple(Published("cifar10", ipc, method, DC_BENCH, {AVERAGE: value}) for ipc, value in entries)


def _fifty(method: str, alexnet: float, vgg11: float, resnet18: float) -> Published:
    """DataDAM's on CIFAR-10 with 50 images per class."""
    accuracies = {"alexnet": alexnet, "vgg11": vgg11, "resnet18": resnet18}
    return Published("cifar10", 50, method, DATADAM, accuracies)


PUBLISHED = (
    Published(
        "mnist", 1, "dc", DC,
        {"convnet": 91.6, "mlp": 69.6, "lenet": 85.3, "alexnet": 85.1, "vgg11": 83.4, "resnet18": 90.0},
    ),
    *_averages("random", 14.4, 23.5, 35.3),
    *_averages("k_center", 21.5, 30.8, 40.4),
    *_averages("dc", 23.9, 31.5, 31.9),
    *_averages("dsa", 21.9, 30.9, 36.7),
    *_averages("dm", 14.9, 29.4, 38.3),
    *_averages("mtt", 19.3, 30.9, 39.8),
    _fifty("dc", 28.8, 38.8, 20.9),
    _fifty("dsa", 53.7, 51.4, 47.8),
    _fifty("dm", 60.1, 57.4, 52.9),
    _fifty("mtt", 43.9, 48.7, 60.0),
)  # fmt: skip


def published(dataset: str, ipc: int, method: str) -> list[Published]:
    """What was published of a method on a data set with so many images per class."""
    return [entry for entry in PUBLISHED if (entry.dataset, entry.ipc, entry.method) == (dataset, ipc, method)]
