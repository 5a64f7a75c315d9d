"""The data sets on which a cost is measured: the study's own, or noise in the shape of another.

What an iteration costs depends on the number and shape of the images and on the classes, never on what images show. So
a machine without CIFAR-100 can say what a method would cost there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from mim4dd.errors import InputError
from mim4dd.records import ImageData
from mim4dd.seeding import generator

# The entry of a trial's configuration that names its problem; a trial without one is no measurement.
COST = "cost"
OWN = "own"
# The entry with the seconds for which each stage is timed, at least.
WINDOW = "cost.window"
# The entry that says whether memory and operations are measured too: they hardly differ between repeats.
MEMORY = "cost.memory"
# Images that trained networks classify while they are timed, at most.
CLASSIFIED = 1_000
# The most images of the study's own data that are used: more change no iteration, and a fresh process would copy them.
MOST_IMAGES = 4_096
TEXT = re.compile(r"(.+) (\d+)x(\d+)x(\d+), (\d+) classes, (\d+) of (\d+) images")


@dataclass(frozen=True)
class Problem:
    """Images to measure on. source: the data set whose augmentations they allow; images: of `whole` in that data set.

    What is proportional to the training images, such as the training of experts, is measured on `images` of them.
    Shapes: shape (channels, H, W).
    """

    source: str
    shape: tuple[int, int, int]
    classes: int
    images: int
    whole: int

    @property
    def text(self) -> str:
        """`mnist 1x28x28, 10 classes, 2560 of 54000 images`: read by `of`."""
        sides = "x".join(map(str, self.shape))
        return f"{self.source} {sides}, {self.classes} classes, {self.images} of {self.whole} images"

    @staticmethod
    def of(text: str) -> Problem:
        """The inverse of `text`.

        Raises: InputError.
        """
        found = TEXT.fullmatch(text)
        if found is None:
            raise InputError(
                f"{COST} must be {OWN} or like 'mnist 1x28x28, 10 classes, 2560 of 54000 images', got {text}"
            )
        source, *numbers = found.groups()
        channels, height, width, classes, images, whole = map(int, numbers)
        return Problem(source, (channels, height, width), classes, images, whole)

    def generate(self) -> ImageData:
        """Uniform noise with as many images of each class."""
        rng = generator("problem", self.text)
        images = rng.random((self.images, *self.shape), dtype=np.float32)
        labels, names = np.arange(self.images) % self.classes, tuple(map(str, range(self.classes)))
        return ImageData(images, labels, np.arange(self.images), names, f"{self.source}/train")


def problem_of(text: str, train: ImageData) -> tuple[Problem, ImageData]:
    """The problem of a trial's entry, and its images. train: the study's own training split.

    Raises: InputError.
    """
    if text != OWN:
        problem = Problem.of(text)
        return problem, problem.generate()
    whole, source = len(train), train.source.partition("/")[0]
    images = train
    if whole > MOST_IMAGES:
        # As many of every class: a batch draws each, however rare it is.
        order, most = generator("measured images").permutation(whole), -(-MOST_IMAGES // len(train.classes))
        rows = [order[train.labels[order] == label][:most] for label in range(len(train.classes))]
        images = train.take(np.sort(np.concatenate(rows)))
    return Problem(source, images.shape, len(train.classes), len(images), whole), images


def enlarged(problem: Problem, images: int, classes: int = 0) -> Problem:
    """A problem with another number of images, all of them generated, and of classes."""
    return replace(problem, images=images, whole=images, classes=classes or problem.classes)
