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
    most = max(map(len, members))
    across = COLUMNS if most == 1 else 1
    tall = height * scale + MARGIN + (LINE if most == 1 else 0)
    wide = max(width * scale + MARGIN, text) if most == 1 else text + most * (width * scale + MARGIN)
    columns, lines = min(across, len(members)), math.ceil(len(members) / across)
    canvas = Image.new("RGB", (columns * wide + MARGIN, lines * tall + MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    for c, rows in enumerate(members):
        left, top = MARGIN + c % across * wide, c // across * tall
        named = (left, top + 1) if most == 1 else (left, top + tall // 3)
        draw.text(named, synthetic.classes[c], fill="black", font=font)
        for k, row in enumerate(rows):
            image = np.moveaxis(pixels[row], 0, 2)
            picture = Image.fromarray(image[..., 0] if channels == 1 else image)
            picture = picture.resize((width * scale, height * scale), Image.Resampling.NEAREST)
            corner = (left, top + LINE) if most == 1 else (left + text + k * (width * scale + MARGIN), top + MARGIN)
            canvas.paste(picture, corner)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()
