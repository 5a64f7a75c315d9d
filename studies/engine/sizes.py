"""How large the images of a study are, and how many: of named data sets by heart, of others as they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mim4dd.registry import Flat
from perturbations.cues.planting import cue_in
from studies.engine.problems import COST, OWN, Problem

if TYPE_CHECKING:
    from mim4dd.records import Splits


class Size(NamedTuple):
    """shape: [channels, height, width]; images: for training; evaluated: for validation and test."""

    shape: tuple[int, int, int]
    classes: int
    images: int
    evaluated: int

    @classmethod
    def of(cls, splits: Splits) -> Size:
        """The size of a data set that has been read."""
        channels, height, width = splits.train.shape
        held_out = len(splits.validation) + len(splits.test)
        return cls((channels, height, width), len(splits.classes), len(splits.train), held_out)


NAMED: dict[str, Size] = {
    "digits": Size((1, 8, 8), 10, 1_100, 697),
    "mnist": Size((1, 28, 28), 10, 54_000, 16_000),
    "fashion_mnist": Size((1, 28, 28), 10, 54_000, 16_000),
    "svhn": Size((3, 32, 32), 10, 65_931, 33_358),
    "cifar10": Size((3, 32, 32), 10, 45_000, 15_000),
    "cifar100": Size((3, 32, 32), 100, 45_000, 15_000),
}
# What a data set is assumed to hold that has not been read.
UNREAD = Size((3, 32, 32), 10, 18_000, 12_000)
# With a planted cue, test images are classified as they are, aligned and in conflict.
SHOWN = 3


def size_in(config: Flat, read: Size | None = None) -> Size:
    """The size of a trial's images, resized and coloured where its configuration says so, or of a problem to measure.

    read: that of the study's data as they were read, which have been resized; None where they were not.
    """
    known = read or NAMED.get(str(config["dataset"]), UNREAD)
    if COST in config and config[COST] != OWN:
        problem = Problem.of(str(config[COST]))
        return Size(problem.shape, problem.classes, problem.whole, known.evaluated)
    channels, height, width = known.shape
    if read is None and (side := int(config.get("source.size", 0))):
        height = width = side
    evaluated = known.evaluated
    if (cue := cue_in(str(config.get("perturb", "")))) is not None:
        channels, evaluated = cue.channels(channels), SHOWN * evaluated
    return Size((channels, height, width), known.classes, known.images, evaluated)
