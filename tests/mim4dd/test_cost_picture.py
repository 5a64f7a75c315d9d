"""What work cost, and a set as a picture."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mim4dd.cost import Meter
from mim4dd.picture import COLUMNS, MARGIN, grid_png
from mim4dd.records import Synthetic


def test_meter_counts_seconds_since_it_was_made() -> None:
    meter = Meter()
    time.sleep(0.05)
    first = meter.seconds
    assert 0.05 <= first < 5
    assert meter.seconds > first


def test_meter_sees_the_peak_after_the_memory_is_free_again() -> None:
    code = (
        "import numpy as np; from mim4dd.cost import Meter; meter = Meter(); before = meter.peak_bytes;"
        "held = np.ones(50_000_000, dtype=np.uint8); del held; print(before, meter.peak_bytes)"
    )
    before, after = map(int, subprocess.check_output([sys.executable, "-c", code]).split())
    assert 5e6 < before < 500e6
    assert 49e6 < after - before < 60e6


def test_new_meter_forgets_an_older_peak_where_the_kernel_lets_it() -> None:
    code = (
        "import numpy as np; from pathlib import Path; from mim4dd.cost import Meter; first = Meter();"
        "held = np.ones(50_000_000, dtype=np.uint8); del held;"
        "print(first.peak_bytes, Meter().peak_bytes); Path('/proc/self/clear_refs').write_text('5')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this kernel keeps the peak of a process's life")
    before, after = map(int, done.stdout.split())
    assert before - after > 45e6


def synthetic(ipc: int, channels: int, side: int, classes: int = 3) -> Synthetic:
    """Class c is an even grey of level 51 (c mod 5 + 1)."""
    labels = np.arange(classes).repeat(ipc)
    images = np.empty((len(labels), channels, side, side), dtype=np.float32)
    images[:] = ((labels % 5 + 1) * 51 / 255)[:, None, None, None]
    names = tuple(f"class{c}" for c in range(classes))
    return Synthetic(images, labels, names, np.zeros(channels, np.float32), np.ones(channels, np.float32))


def opened(made: Synthetic) -> Image.Image:
    picture = Image.open(io.BytesIO(grid_png(made)))
    assert picture.format == "PNG"
    assert picture.mode == "RGB"
    return picture


def text_width(picture: Image.Image, ipc: int, shown: int) -> int:
    """The width that the names take, with the margin before the first image: what the images leave."""
    text = picture.width - min(ipc, COLUMNS) * (shown + MARGIN)
    assert MARGIN + 5 * len("class0") < text < MARGIN + 9 * len("class0")
    return text


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("side", "shown"), [(8, 48), (28, 56), (32, 64), (64, 64), (5, 50)])
@pytest.mark.parametrize("ipc", [2, 10, 13])
def test_picture_has_a_row_a_class(ipc: int, side: int, shown: int, channels: int) -> None:
    picture = opened(synthetic(ipc, channels, side))
    cell, text = shown + MARGIN, text_width(picture, ipc, shown)
    assert picture.height == 3 * cell + MARGIN
    for c in range(3):
        for k in range(min(ipc, COLUMNS)):
            left, top = text + k * cell, MARGIN + c * cell
            for at in ((left, top), (left + shown - 1, top + shown - 1)):
                assert picture.getpixel(at) == (51 * (c + 1),) * 3
        assert picture.getpixel((text + cell - 1, MARGIN + c * cell)) == (255, 255, 255)


def test_one_image_a_class_stands_side_by_side() -> None:
    picture = opened(synthetic(1, 1, 8))
    assert picture.size == (3 * (48 + MARGIN) + MARGIN, 48 + MARGIN + 14 + MARGIN)
    for c in range(3):
        assert picture.getpixel((MARGIN + c * (48 + MARGIN), 14)) == (51 * (c + 1),) * 3


def test_names_longer_than_an_image_are_whole_and_every_eleventh_class_begins_a_line() -> None:
    made = synthetic(1, 1, 8, classes=12)
    shorter = opened(made)
    assert shorter.size == (10 * (48 + MARGIN) + MARGIN, 2 * (48 + MARGIN + 14) + MARGIN)
    assert shorter.getpixel((MARGIN + 48 + MARGIN, 2 * 14 + 48 + MARGIN)) == (102, 102, 102)
    longer = opened(replace(made, classes=("a class of a long name", *made.classes[1:])))
    names = np.asarray(longer.convert("L"))[:14] < 128
    ends = np.flatnonzero(names.any(axis=0))
    assert longer.width > 10 * 90
    assert ends[ends < longer.width // 10].max() > 90


def test_pixels_outside_the_range_are_clipped_and_colours_kept() -> None:
    made = synthetic(2, 3, 8, classes=2)
    made.images[:, 0], made.images[:, 1], made.images[:, 2] = 7.0, -3.0, 0.5
    picture = opened(made)
    assert picture.getpixel((text_width(picture, 2, 48) + 5, MARGIN + 5)) == (255, 0, 128)


def test_set_that_diverged_still_has_a_picture() -> None:
    made = synthetic(2, 1, 8)
    made.images[0], made.images[1] = np.nan, np.inf
    picture = opened(made)
    assert picture.getpixel((text_width(picture, 2, 48), MARGIN)) == (0, 0, 0)
