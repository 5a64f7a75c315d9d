"""Published seconds of a step, which a machine's own are held against as multiples of DM's."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Seconds of a step on CIFAR-10 as published, by images per class; NaN where it ran out of memory."""

    base: str
    seconds: dict[int, float]


# DataDAM's poster (Sajedi et al., ICCV 2023), one GPU.
PUBLISHED = (
    Published("dc", {1: 0.16, 10: 3.31, 50: 15.74}),
    Published("dsa", {1: 0.22, 10: 4.47, 50: 20.13}),
    Published("dm", {1: 0.08, 10: 0.08, 50: 0.08}),
    Published("mtt", {1: 0.36, 10: 0.40, 50: math.nan}),
)
