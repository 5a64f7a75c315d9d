"""Label noise with any transition matrix."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mim4dd.errors import DataError, exact
from mim4dd.records import ImageData, Integers
from mim4dd.registry import knob
from mim4dd.seeding import generator
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.draws import ranks, uniforms
from perturbations.files import Content, digest, read_content
from perturbations.labels.realised import Matrix, relabelled


class NotDominantWarning(UserWarning):
    """A transition matrix under which the true label of some class is not its most frequent one."""


@PERTURBATIONS.add("matrix")
@dataclass(frozen=True, kw_only=True)
class MatrixNoise:
    """Labels move by a row-stochastic matrix T: rows are true classes, T[k, j] is the share of class k labelled j.

    Of class k's n_k images T[k] * n_k are given each label, rounded by largest remainder, so the realised matrix is
    within 1/n_k of T. Which images are flipped is nested between matrices with a smaller and a larger diagonal; their
    new classes are so only nearly. `MatrixNoise.of(array)` takes an array.
    Raises: KnobError or DataError for a file without such a matrix. Warns: NotDominantWarning where some T[k, k] is
    not the largest of its row.
    """

    stage: ClassVar[str] = "label noise"
    file: str = knob("", help="the matrix: .csv, .txt (separated by blanks) or .npy; recorded as NAME@DIGEST")

    def __post_init__(self) -> None:
        content = read_content("matrix.file", self.file, (".csv", ".txt", ".npy"))
        self._store(content.tag, checked(content.name, _array(content)))

    @classmethod
    def of(cls, array: npt.ArrayLike) -> MatrixNoise:
        """The noise of a matrix that is in no file; it is recorded as array@DIGEST."""
        matrix = checked("array", np.asarray(array))
        noise = object.__new__(cls)
        noise._store(f"array@{digest(matrix.tobytes())}", matrix)
        return noise

    def _store(self, tag: str, matrix: Matrix) -> None:
        matrix.setflags(write=False)
        object.__setattr__(self, "file", tag)
        object.__setattr__(self, "_transition", matrix)

    @property
    def transition(self) -> Matrix:
        """T, [C, C], read-only."""
        matrix: Matrix = vars(self)["_transition"]
        return matrix

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed:
        classes, wanted = len(train.classes), self.transition
        if len(wanted) != classes:
            raise DataError(f"{self.file} is a matrix of {len(wanted)} classes, {train.source} has {classes}")
        flips, which = uniforms(generator("label noise", "matrix", train.source, seed), train, 2)
        rank = ranks(train.labels, classes, flips)
        labels = train.labels.copy()
        for label in range(classes):
            members = np.flatnonzero(train.labels == label)
            others = shares(wanted[label], len(members))
            others[label] = 0
            chosen = members[rank[members] < others.sum()]
            labels[chosen[np.argsort(which[chosen], kind="stable")]] = np.repeat(np.arange(classes), others)
        return relabelled(train, labels, wanted)


def shares(row: Matrix, count: int) -> Integers:
    """Split `count` images by the shares of `row`: whole numbers by largest remainder, the first on ties, [C]."""
    # Rounded first, so that a share that is whole in exact arithmetic is not one less.
    exact = np.round(row / row.sum() * count, 9)
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: count - counts.sum()]] += 1
    return counts


def checked(name: str, array: npt.NDArray[Any]) -> Matrix:
    """Check a transition matrix; returns a copy as float64, [C, C].

    Raises: DataError when it is not square, or its rows are not distributions.
    """
    if array.dtype.kind not in "iuf" or array.ndim != 2 or len(set(array.shape)) != 1 or len(array) < 2:
        raise DataError(f"{name} must be numbers [C, C], one row for each class, got {array.dtype} {list(array.shape)}")
    matrix = np.array(array, np.float64)
    sums = matrix.sum(1)
    for row in range(len(matrix)):
        if not ((matrix[row] >= 0) & (matrix[row] <= 1)).all():
            bad = next(value for value in matrix[row] if not 0 <= value <= 1)
            raise DataError(f"{name} must hold shares in [0, 1], got {exact(bad)} in row {row}")
        if abs(sums[row] - 1) > 1e-6:
            total = exact(sums[row])
            raise DataError(f"{name} must have rows (true classes) that sum to 1, row {row} sums to {total}")
    others = np.where(np.eye(len(matrix), dtype=bool), -1, matrix).max(1)
    weak = np.flatnonzero(np.diag(matrix) <= others).tolist()
    if weak:
        text = f"{name}: the diagonal must be the largest entry of its row for a class to be learnt, rows {weak[:5]}"
        warnings.warn(NotDominantWarning(text), stacklevel=2)
    return matrix


def _array(content: Content) -> npt.NDArray[Any]:
    try:
        if content.suffix == ".npy":
            array: npt.NDArray[Any] = np.load(io.BytesIO(content.data), allow_pickle=False)
            return array
        text = content.data.decode()
        if not text.strip():
            raise ValueError("it is empty")
        return np.loadtxt(io.StringIO(text), delimiter="," if content.suffix == ".csv" else None, ndmin=2)
    except (ValueError, EOFError, OSError, SyntaxError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{content.name} cannot be read as a matrix of numbers: {reason}") from error
