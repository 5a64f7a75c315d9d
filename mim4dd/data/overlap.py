"""Test images that were trained on."""

from __future__ import annotations

from mim4dd.records import ImageData


def overlap_notes(train: ImageData, test: ImageData) -> list[str]:
    """A line with the number of test images that are also training images, pixel for pixel; none without any."""
    # faster than hashlib's; it never leaves this process
    trained_on = {hash(image.tobytes()) for image in train.images}
    count = sum(hash(image.tobytes()) in trained_on for image in test.images)
    if not count:
        return []
    return [
        f"test images that are also training images, pixel for pixel: {count} of {len(test)}; accuracy on them says "
        "nothing about new images"
    ]
