"""The space that networks and distilled images live in, as a value: channels standardised, and whitened where asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.errors import InputError
from mim4dd.tensors import require_array

Floats = npt.NDArray[np.float32]
# What a method can be asked for; see `fit_standard`.
STANDARDS = ("channels", "zca", "zca-pixels")
# Images that are whitened at once, so that the matrix product needs no second copy of a data set.
BLOCK = 2048


def standardise(images: Floats, mean: Floats, std: Floats) -> Floats:
    """(pixel - mean) / std, channel by channel, as a new array.

    Shapes: images [N, channels, H, W]; mean, std [channels].
    """
    standard = images - mean[:, None, None]
    standard /= std[:, None, None]
    return standard


@dataclass(frozen=True, eq=False)
class Whitening:
    """x -> (x - centre) T for images as rows: the map of ZCA, and back.

    Shapes: centre [D]; forward, the symmetric matrix T, [D, D], with D = channels x H x W.
    Raises: InputError when shapes or types do not fit, or a number is not finite.
    """

    centre: Floats
    forward: Floats

    def __post_init__(self) -> None:
        require_array("whitening_centre", self.centre, np.float32, ("D",))
        require_array("whitening", self.forward, np.float32, 2 * self.centre.shape)
        for name, array in (("whitening_centre", self.centre), ("whitening", self.forward)):
            if not np.isfinite(array).all():
                raise InputError(f"{name} must be finite")

    def __reduce__(self) -> tuple[Any, ...]:
        return Whitening, (self.centre, self.forward)  # without the inverse, which is as large

    @cached_property
    def inverse(self) -> Floats:
        """T^-1, computed in float64, [D, D].

        Raises: InputError for a matrix that has none.
        """
        try:
            return np.linalg.inv(self.forward.astype(np.float64)).astype(np.float32)
        except np.linalg.LinAlgError as error:
            raise InputError("whitening must have an inverse, but is singular") from error

    def whiten(self, images: Floats) -> None:
        """Whiten these images, [N, channels, H, W], contiguous, in place."""
        for rows in _blocks(images):
            rows -= self.centre
            rows[:] = rows @ self.forward

    def undo(self, images: Floats) -> Floats:
        """The images that `whiten` made these of, as a new array."""
        before = np.array(images, order="C")
        for rows in _blocks(before):
            rows[:] = rows @ self.inverse
            rows += self.centre
        return before


def _blocks(images: Floats) -> list[Floats]:
    """Views of the images as rows [n, D], at most BLOCK each."""
    flat = images.reshape(len(images), -1)
    return [flat[start : start + BLOCK] for start in range(0, len(flat), BLOCK)]


@dataclass(frozen=True, eq=False)
class Standard:
    """The map from pixels to the space that networks are trained in, and back.

    Shapes: mean, std [channels]; images [N, channels, H, W].
    Units: pixels in [0, 1].
    """

    mean: Floats
    std: Floats
    whitening: Whitening | None = None

    def __call__(self, images: Floats) -> Floats:
        """Pixels in this space, as a new array."""
        standard = standardise(images, self.mean, self.std)
        if self.whitening is not None:
            standard = np.ascontiguousarray(standard)
            self.whitening.whiten(standard)
        return standard

    def inverse(self, images: Floats) -> Floats:
        """Images of this space as pixels, as a new array."""
        plain = images if self.whitening is None else self.whitening.undo(images)
        return (plain * self.std[:, None, None] + self.mean[:, None, None]).astype(np.float32)
