"""A synthetic set as one picture: a row per class, its name beside it."""

from __future__ import annotations

import io
from typing import Protocol

import numpy as np

from mim4dd.pixels import Floats, Integers

COLUMNS = 10
MARGIN = 4


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
    """The set as PNG bytes, at most ten images per class, each enlarged to about 48 pixels without smoothing.

    With one image per class, the classes are side by side, names above. Learned pixels outside [0, 1] are clipped.
    """
    from PIL import Image, ImageDraw

    channels, height, width = synthetic.pixels.shape[1:]
    scale = max(1, 48 // max(height, width))
    cell = (width * scale + MARGIN, height * scale + MARGIN)
    # A diverged set has non-finite pixels: they are black.
    pixels = (np.nan_to_num(synthetic.pixels).clip(0, 1) * 255).round().astype(np.uint8)
    members = [np.flatnonzero(synthetic.labels == c)[:COLUMNS] for c in range(len(synthetic.classes))]
    across = max(map(len, members)) == 1
    text = 14 if across else 8 * max(map(len, synthetic.classes)) + MARGIN
    size = (
        (len(members) * cell[0] + MARGIN, cell[1] + text + MARGIN)
        if across
        else (text + max(map(len, members)) * cell[0] + MARGIN, len(members) * cell[1] + MARGIN)
    )
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for c, rows in enumerate(members):
        name = synthetic.classes[c]
        if across:
            draw.text((MARGIN + c * cell[0], 1), name[: cell[0] // 6], fill="black")
        else:
            draw.text((MARGIN, MARGIN + c * cell[1] + cell[1] // 3), name, fill="black")
        for k, row in enumerate(rows):
            image = np.moveaxis(pixels[row], 0, 2)
            picture = Image.fromarray(image[..., 0] if channels == 1 else image)
            picture = picture.resize((width * scale, height * scale), Image.Resampling.NEAREST)
            position = (MARGIN + c * cell[0], text) if across else (text + k * cell[0], MARGIN + c * cell[1])
            canvas.paste(picture, position)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()
