"""Human label noise: the labels that people gave CIFAR's images."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mim4dd.errors import DataError
from mim4dd.records import ImageData, Integers
from mim4dd.registry import knob, unknown
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.files import Content, read_content
from perturbations.labels.realised import relabelled

COLUMNS = {
    "aggre": "aggre_label",
    "worse": "worse_label",
    "random1": "random_label1",
    "random2": "random_label2",
    "random3": "random_label3",
    "noisy": "noisy_label",
}
CLASSES = {"cifar10": 10, "cifar100": 100}
UNREADABLE = (
    *(OSError, ValueError, EOFError, RuntimeError, MemoryError, KeyError, IndexError, TypeError, AttributeError),
    *(pickle.UnpicklingError, zipfile.BadZipFile, zlib.error),
)


@PERTURBATIONS.add("human")
@dataclass(frozen=True, kw_only=True)
class HumanNoise:
    """The labels that people gave CIFAR's training images, found by each image's original `index`.

    CIFAR-10N: aggre (9.01% wrong), random1 to random3 (17.23, 18.12, 17.64%), worse (40.21%); CIFAR-100N: noisy
    (40.20%). Nothing is drawn: the seed changes nothing. The classes become unequal: see the counts.
    The file is the authors' CIFAR-10_human.pt or CIFAR-100_human.pt, or an .npz with the same arrays (clean_label,
    aggre_label, worse_label, random_label1..3, noisy_label); no code in it is run.
    Raises: KnobError or DataError for any other file, or one whose clean labels are not those of the data.
    Source: Wei et al. 2022, "Learning with noisy labels revisited: a study using real-world human annotations".
    """

    stage: ClassVar[str] = "label noise"
    file: str = knob("", help="CIFAR-10N or CIFAR-100N, .npz or .pt; recorded as NAME@DIGEST")
    labels: str = knob("aggre", choices=COLUMNS, help="which column of people's labels")
    classes_as: str = knob("", help="cifar10 or cifar100, where the data's own name is another")

    def __post_init__(self) -> None:
        if self.classes_as and self.classes_as not in CLASSES:
            raise unknown("human.classes_as", self.classes_as, CLASSES)
        content = read_content("human.file", self.file, (".npz", ".pt"))
        answers = _answers(content, COLUMNS[self.labels])
        object.__setattr__(self, "file", content.tag)
        object.__setattr__(self, "_answers", answers)

    @property
    def answers(self) -> Integers:
        """The clean labels and people's, in CIFAR's original order, [2, images], read-only."""
        answers: Integers = vars(self)["_answers"]
        return answers

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        self._check(train)
        clean, human = self.answers[:, train.index]
        wrong = np.flatnonzero(clean != train.labels)
        if len(wrong):
            first = wrong[0]
            raise DataError(
                f"{self.file} has other clean labels than {train.source} at {len(wrong)} of {len(train)} images, first "
                f"at index {train.index[first]}: {clean[first]}, not {train.labels[first]}; index must be CIFAR's "
                "original order"
            )
        return relabelled(train, human.astype(np.int64), None)

    def _check(self, train: ImageData) -> None:
        name, _, part = train.source.partition("/")
        if not self.classes_as and (name not in CLASSES or part != "train"):
            raise DataError(
                f"human labels are those of cifar10/train and cifar100/train, got {train.source}; "
                "give classes_as=cifar10 or cifar100 where these are its images in the original order"
            )
        classes = CLASSES[self.classes_as or name]
        if len(train.classes) != classes:
            raise DataError(f"human labels are of {classes} classes, {train.source} has {len(train.classes)}")
        if self.answers.max() >= classes:
            raise DataError(f"{self.file} must hold labels in [0, {classes - 1}], got {self.answers.max()}")
        if len(train) and not 0 <= train.index.min() <= train.index.max() < self.answers.shape[1]:
            raise DataError(
                f"{self.file} has {self.answers.shape[1]} images, {train.source} an index of "
                f"{train.index.min()} to {train.index.max()}"
            )


def _answers(content: Content, column: str) -> Integers:
    """The clean labels and those of the column, [2, images], read-only."""
    columns = {key: _column(content, key, array) for key, array in _arrays(content).items()}
    lacking = [key for key in ("clean_label", column) if key not in columns]
    if lacking:
        has = ", ".join(name for name, key in COLUMNS.items() if key in columns) or "none"
        raise DataError(f"{content.name} must hold {' and '.join(lacking)}; people's labels that it has: {has}")
    clean, human = columns["clean_label"], columns[column]
    if len(clean) != len(human):
        raise DataError(
            f"{content.name} must hold as many {column}s as clean_labels, got {len(human)} and {len(clean)}"
        )
    answers = np.stack([clean, human])
    answers.setflags(write=False)
    return answers


def _column(content: Content, key: str, array: Any) -> Integers:
    whole = np.asarray(array)
    if whole.ndim != 1 or whole.dtype.kind not in "iu" or not len(whole) or whole.min() < 0:
        raise DataError(f"{content.name}: {key} must be labels from 0 up, [images], got {whole.dtype} {whole.shape}")
    return whole.astype(np.int64)


def _arrays(content: Content) -> dict[str, npt.NDArray[Any]]:
    """The known columns; others are ignored."""
    known = ("clean_label", *COLUMNS.values())
    try:
        if content.suffix == ".npz":
            with np.load(io.BytesIO(content.data), allow_pickle=False) as archive:
                return {key: archive[key] for key in known if key in archive.files}
        arrays = _unpickled(content.data)
        return {key: arrays[key] for key in known if key in arrays}
    except UNREADABLE as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise DataError(f"{content.name} cannot be read as plain arrays, by name: {lines[0]}") from error


def _unpickled(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The dictionary of arrays in a torch file, by an unpickler that creates nothing but arrays."""
    import torch
    from numpy._core import multiarray

    # The authors' file was written by numpy 1, whose module had another name.
    rebuild = multiarray._reconstruct
    allowed: list[Any] = [np.ndarray, np.dtype, *(type(np.dtype(code)) for code in np.typecodes["AllInteger"])]
    allowed += [(rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about pickles of other origin
        arrays: dict[str, npt.NDArray[Any]] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return arrays
