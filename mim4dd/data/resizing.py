"""How images are resized, as a file is read or as an array: bicubic, by Pillow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mim4dd.capacity import require_image_capacity
from mim4dd.records import ImageData

if TYPE_CHECKING:
    from PIL import Image


def resize(image: Image.Image, size: int) -> Image.Image:
    """The image at size x size; 0 leaves it as it is."""
    from PIL.Image import Resampling

    return image if size == 0 or image.size == (size, size) else image.resize((size, size), Resampling.BICUBIC)


def resized(data: ImageData, size: int) -> ImageData:
    """The images at size x size, in [0, 1]; 0 leaves them as they are.

    Raises: DataError when they would not fit in memory.
    """
    channels, *sides = data.shape
    if size == 0 or sides == [size, size]:
        return data
    from PIL import Image

    require_image_capacity(data.source, len(data), (channels, size, size))
    images = np.empty((len(data), channels, size, size), dtype=np.float32)
    for row, planes in enumerate(data.images):
        for channel, plane in enumerate(planes):
            images[row, channel] = np.asarray(resize(Image.fromarray(plane), size))
    # a bicubic kernel oversteps at edges
    np.clip(images, 0, 1, out=images)
    return replace(data, images=images)
