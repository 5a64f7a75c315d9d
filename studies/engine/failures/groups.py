"""Head, medium and tail: classes grouped by their number of training images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# Below this ratio of the mean counts of head and tail classes, a training split counts as balanced.
LONG_TAIL = 2.0
Classes = npt.NDArray[np.int64]


def thirds(counts: Sequence[int]) -> tuple[Classes, Classes, Classes]:
    """(head, medium, tail) classes by rank of their training count; equal counts stay in the order of their labels.

    The head and the tail have round(C / 3) classes each, at least one.
    """
    order = np.argsort(-np.asarray(counts), kind="stable")
    size = max(1, round(len(order) / 3))
    return order[:size], order[size : len(order) - size], order[len(order) - size :]


def many_medium_few(counts: Sequence[int]) -> tuple[Classes, Classes, Classes]:
    """Classes with more than 100, 20 to 100, and fewer than 20 training images; a group may be empty.

    Source: the groups of long-tailed recognition (Liu et al. 2019, "Large-scale long-tailed recognition").
    """
    images = np.asarray(counts)
    return np.flatnonzero(images > 100), np.flatnonzero((images >= 20) & (images <= 100)), np.flatnonzero(images < 20)


def head_and_tail(counts: Sequence[int]) -> tuple[Classes, Classes] | None:
    """The head and tail thirds; None if the head's classes have less than LONG_TAIL times the images of the tail's."""
    head, _, tail = thirds(counts)
    images = np.asarray(counts, dtype=float)
    if images[head].mean() < LONG_TAIL * images[tail].mean():
        return None
    return head, tail
