"""Numbers and times as text: signs, plurals, clocks."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path


def decimal(value: float, form: str = ".1f") -> str:
    """A number as `form` prints it; what rounds to zero has no sign: `0.0`, never `-0.0` or `+0.0`."""
    text = f"{value:{form}}"
    return text.lstrip("+-") if float(text) == 0 else text


def significant(value: float, figures: int = 3) -> str:
    """A number with so many significant digits, without an exponent; its whole part is never cut: `0.0123`, `12345`."""
    if value == 0 or not math.isfinite(value):
        return f"{value + 0.0:g}"
    exponent = int(f"{value:.{figures - 1}e}".partition("e")[2])  # of the rounded number: 9.996 is 10.0
    return f"{value:.{max(0, figures - 1 - exponent)}f}"


def plural(count: int, noun: str) -> str:
    """`1 set`, `3 sets`, `1,200 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def images(count: int) -> str:
    """`1 image per class`, `10 images per class`."""
    return f"{plural(count, 'image')} per class"


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def below(folder: Path, text: str) -> str:
    """A text whose absolute paths below a folder are written from there, as they may be given."""
    return re.sub(rf"(?<![\w.~-]){re.escape(f'{folder}{os.sep}')}", "", text)
