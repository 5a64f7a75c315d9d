"""The names of the augmentations that a knob such as `color_crop_flip` holds, checked without torch."""

from __future__ import annotations

from mim4dd.errors import KnobError
from mim4dd.registry import unknown

SIAMESE = "color_crop_cutout_flip_scale_rotate"
# A mirrored digit is another sign or none: these sets are never flipped.
NO_FLIP = ("digits", "mnist", "svhn")


def check_augment(augment: str) -> tuple[str, ...]:
    """The operations that a knob names.

    Raises: UnknownNameError for one that does not exist; KnobError for one named twice.
    """
    names = () if augment == "none" else tuple(augment.split("_"))
    for name in names:
        if name not in SIAMESE.split("_"):
            raise unknown("augmentation", name, [*SIAMESE.split("_"), "none"])
    if len(set(names)) < len(names):
        raise KnobError(f"augment must name each operation once, got {augment}")
    return names


def operations(augment: str, source: str) -> tuple[str, ...]:
    """The operations that a knob names, without the flip where it would change the class."""
    flips = source.split("/")[0] not in NO_FLIP
    return tuple(name for name in check_augment(augment) if flips or name != "flip")
