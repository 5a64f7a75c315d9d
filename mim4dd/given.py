"""What a caller of the library gives, checked where it comes in."""

from __future__ import annotations

from mim4dd.errors import InputError
from mim4dd.records import ImageData


def require_images(given: object, what: str) -> None:
    """Raises: InputError for what is no split of images, as the splits together or a pair of arrays. what: its name."""
    if not isinstance(given, ImageData):
        raise InputError(
            f"{what} must be one split of images, as mim4dd.load(...).train, or .test, is; got {type(given).__name__}"
        )
