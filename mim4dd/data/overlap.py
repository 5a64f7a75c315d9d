"""Held-out images that were trained on."""

from __future__ import annotations

from mim4dd.records import ImageData


def overlap_notes(train: ImageData, held_out: ImageData, split: str = "test") -> list[str]:
    """A line with the number of held-out images that are also training images, pixel for pixel; none without any."""
    # faster than hashlib's; it never leaves this process
    trained_on = {hash(image.tobytes()) for image in train.images}
    count = sum(hash(image.tobytes()) in trained_on for image in held_out.images)
    if not count:
        return []
    return [
        f"{split} images that are also training images, pixel for pixel: {count} of {len(held_out)}; accuracy on them "
        "says nothing about new images"
    ]
