"""Asymmetric label noise: classes become those that people confuse them with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mim4dd.errors import DataError, KnobError
from mim4dd.records import ImageData
from mim4dd.registry import knob, unknown
from mim4dd.seeding import generator
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.draws import ranks, uniforms
from perturbations.labels.identifiable import check_identifiable
from perturbations.labels.realised import relabelled

# fmt: off
# The superclass of each of CIFAR-100's classes (Krizhevsky 2009), in their alphabetical order.
SUPERCLASS = (
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7,
    6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10,
    16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16,
    12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
)
# fmt: on


def within_superclasses() -> dict[int, int]:
    """Map each of CIFAR-100's classes to the next one of its superclass, the last to the first."""
    members = [[label for label, superclass in enumerate(SUPERCLASS) if superclass == group] for group in range(20)]
    return {label: group[(k + 1) % len(group)] for group in members for k, label in enumerate(group)}


# A data set's number of classes, and for each class that is mislabelled its new label.
_DIGITS = (10, {7: 1, 2: 7, 5: 6, 6: 5, 3: 8})
MAPS: dict[str, tuple[int, dict[int, int]]] = {
    # truck > automobile, bird > airplane, deer > horse, cat <> dog
    "cifar10": (10, {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}),
    "cifar100": (100, within_superclasses()),
    "digits": _DIGITS,
    # ankle boot > sneaker, sneaker > sandal, pullover > shirt, coat <> dress
    "fashion_mnist": (10, {9: 7, 7: 5, 2: 6, 4: 3, 3: 4}),
    "mnist": _DIGITS,
}


@PERTURBATIONS.add("asymmetric")
@dataclass(frozen=True, kw_only=True)
class AsymmetricNoise:
    """Exactly round(rate * n_k) labels of each class k that the data set's map names become the class it maps to.

    cifar10: truck > automobile, bird > airplane, deer > horse, cat <> dog, so rate / 2 in total. mnist, digits: 7 > 1,
    2 > 7, 5 <> 6, 3 > 8. fashion_mnist: ankle boot > sneaker > sandal, pullover > shirt, coat <> dress. cifar100: the
    next class of the superclass, every class. svhn has no standard map. It unbalances the classes: see the counts.
    Images flipped at one rate are among those flipped at a higher one.
    Source: Patrini et al. 2017, "Making deep neural networks robust to label noise" (CIFAR, MNIST); the map of
    Fashion-MNIST is the one in use since. Differs: there each image's label is drawn, so that the number varies.
    """

    stage: ClassVar[str] = "label noise"
    rate: float = knob(0.2, low=0.0, high=1.0, search=(0.0, 0.45), help="fraction of each mapped class that is flipped")
    classes_as: str = knob("", help="the data set whose classes these are, where the data's own name is another")
    allow_unidentifiable: bool = knob(False, help="allow rates of 0.5 and more")

    def __post_init__(self) -> None:
        check_identifiable("asymmetric", self.rate, self.allow_unidentifiable)
        if self.classes_as == "svhn":
            raise KnobError("asymmetric.classes_as has no standard map of svhn's classes; use pairflip")
        if self.classes_as and self.classes_as not in MAPS:
            raise unknown("asymmetric.classes_as", self.classes_as, MAPS)

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        classes = len(train.classes)
        target = np.arange(classes)
        for label, taken_for in semantic_map(train, self.classes_as).items():
            target[label] = taken_for
        (draws,) = uniforms(generator("label noise", "asymmetric", train.source, seed), train)
        counts = np.array([round(self.rate * count) for count in train.counts.tolist()])
        chosen = ranks(train.labels, classes, draws) < counts[train.labels]
        labels = np.where(chosen, target[train.labels], train.labels)
        requested = (1 - self.rate) * np.eye(classes)
        requested[np.arange(classes), target] += self.rate
        return relabelled(train, labels, requested)


def semantic_map(train: ImageData, classes_as: str) -> dict[int, int]:
    """The new label of each mapped class of the data set, or of the one that `classes_as` names.

    Raises: DataError for a data set without a map, or with another number of classes than its map.
    """
    name = classes_as or train.source.split("/")[0]
    if name == "svhn":
        raise DataError("asymmetric has no standard map of svhn's classes; use pairflip")
    if name not in MAPS:
        raise DataError(
            f"asymmetric has no map of the classes of '{name}'; give classes_as, one of {', '.join(sorted(MAPS))}, "
            "or use pairflip"
        )
    count, mapping = MAPS[name]
    if count != len(train.classes):
        raise DataError(f"asymmetric maps the {count} classes of {name}, {train.source} has {len(train.classes)}")
    return mapping
