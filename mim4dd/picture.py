"""A synthetic set as one picture: a row of images for each class, or one image with its name above it."""

from __future__ import annotations

import io
import math
from typing import Protocol

import numpy as np

from mim4dd.pixels import Floats, Integers

COLUMNS = 10
MARGIN = 4
LINE = 14


class Labelled(Protocol):
    """What is drawn of a synthetic set, whose own picture this is: a record imports nothing that imports it.

    Shapes: pixels [M, channels, H, W]; labels [M].
    """

    @property
    def pixels(self) -> Floats: ...

    @property
    def labels(self) -> Integers: ...

    @property
    def classes(self) -> tuple[str, ...]: ...


def grid_png(synthetic: Labelled) -> bytes:
    """The set as PNG bytes, at most ten images per class, each enlarged to 48 pixels or more without smoothing.

    With one image per class, ten classes are side by side, names above. Learned pixels outside [0, 1] are clipped.
    """
    from PIL import Image, ImageDraw, ImageFont

    channels, height, width = synthetic.pixels.shape[1:]
    scale = math.ceil(48 / max(height, width))
    font = ImageFont.load_default()
    text = MARGIN + math.ceil(max(font.getbbox(name)[2] for name in synthetic.classes))
    # A diverged set has non-finite pixels: they are black.
    pixels = (np.nan_to_num(synthetic.pixels).clip(0, 1) * 255).round().astype(np.uint8)
    members = [np.flatnonzero(synthetic.labels == c)[:COLUMNS] for c in range(len(synthetic.classes))]
    most, step = max(map(len, members)), width * scale + MARGIN
    # A tile is a class: its name above its only image, or beside its images.
    if most == 1:
        across, tall, wide = COLUMNS, LINE + height * scale + MARGIN, max(step, text)
        name_at, image_at = (0, 1), (0, LINE)
    else:
        across, tall, wide = 1, height * scale + MARGIN, text + most * step
        name_at, image_at = (0, tall // 3), (text, MARGIN)
    columns, lines = min(across, len(members)), math.ceil(len(members) / across)
    canvas = Image.new("RGB", (columns * wide + MARGIN, lines * tall + MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    for c, rows in enumerate(members):
        left, top = MARGIN + c % across * wide, c // across * tall
        draw.text((left + name_at[0], top + name_at[1]), synthetic.classes[c], fill="black", font=font)
        for k, row in enumerate(rows):
            image = np.moveaxis(pixels[row], 0, 2)
            picture = Image.fromarray(image[..., 0] if channels == 1 else image)
            picture = picture.resize((width * scale, height * scale), Image.Resampling.NEAREST)
            canvas.paste(picture, (left + image_at[0] + k * step, top + image_at[1]))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()
