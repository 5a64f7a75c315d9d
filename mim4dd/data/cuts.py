"""Stratified cuts with exact totals."""

from __future__ import annotations

import numpy as np

from mim4dd.errors import DataError
from mim4dd.records import ImageData, Integers
from mim4dd.seeding import Name, generator


def cut(data: ImageData, rate: float, *names: Name) -> tuple[ImageData, ImageData]:
    """(kept, taken): `rate` of the images, rounded to a whole number and at least one, are taken out at random.

    Every class gives its share by largest remainder and keeps at least one image; both parts stay in the order of
    `data`. `generator(*names)` draws the choice.
    Raises: DataError when a class has no image, or when there are too few to leave every class one.
    """
    require_every_class(data)
    shares = stratified_shares(data.counts, max(1, round(rate * len(data))), data.source)
    # random() and a stable sort, since numpy promises less about the stream of permutation()
    order = np.argsort(generator(*names).random(len(data)), kind="stable")
    taken = np.zeros(len(data), dtype=bool)
    for label, share in enumerate(shares):
        taken[order[data.labels[order] == label][:share]] = True
    return data.take(np.flatnonzero(~taken)), data.take(np.flatnonzero(taken))


def require_every_class(data: ImageData) -> None:
    """Raises: DataError when a class has no image."""
    empty = [name for name, count in zip(data.classes, data.counts, strict=True) if count == 0]
    if empty:
        raise DataError(f"{data.source}: every class needs a training image, got none of {', '.join(empty[:5])}")


def stratified_shares(counts: Integers, total: int, source: str) -> Integers:
    """How many of `total` images each class gives: total * counts / N by largest remainder.

    Shapes: counts and result [C]. A tie goes to the lower label; no class gives its last image.
    Raises: DataError when `total` cannot be reached.
    """
    if total > np.maximum(counts - 1, 0).sum():
        raise DataError(
            f"{source}: {counts.sum()} images in {len(counts)} classes are too few to set {total} of them aside "
            "and leave every class a training image; give more images"
        )
    shares, remainders = np.divmod(total * counts, counts.sum())
    while (missing := total - shares.sum()) > 0:
        able = [label for label in np.argsort(-remainders, kind="stable") if shares[label] < counts[label] - 1]
        shares[able[:missing]] += 1
    return shares
