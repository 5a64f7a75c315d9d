"""Whether data fit in memory, asked before they are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

from mim4dd.errors import DataError
from mim4dd.memory import free_memory

# As float32: the images as they are read, those of the three splits, and the standardised ones of a trial.
COPIES = 3
FLOAT_BYTES, DOUBLE_BYTES = 4, 8
# As float64: the scores, their logarithms, and which class is the true one.
SCORE_BYTES = 3 * DOUBLE_BYTES
REMEDY = "give fewer or smaller images, shrink them with the knob size, or use a machine with more memory"


def require_capacity(what: str, needed_bytes: int, remedy: str = REMEDY) -> None:
    """Raises: DataError, with both sizes, when less memory is free."""
    free = free_memory()
    if needed_bytes > free:
        raise DataError(f"{what} would take {megabytes(needed_bytes)} of memory, {megabytes(free)} are free; {remedy}")


def require_image_capacity(
    name: str, count: int, shape: tuple[int, int, int], size: int = 0, reading_bytes: int = 0
) -> None:
    """Check the memory that images take from when they are read until a trial trains on them.

    shape: (channels, H, W) of one; size: to which they will be resized, if not 0; reading_bytes: what else is in memory
    while they are read.
    Raises: DataError.
    """
    read = FLOAT_BYTES * count * prod(shape)
    needed = reading_bytes + COPIES * read
    text = f"{name}: {count:,} images of {' x '.join(map(str, shape))}"
    if size:
        needed = reading_bytes + read + COPIES * FLOAT_BYTES * count * shape[0] * size**2
        text += f", resized to {size} x {size},"
    require_capacity(f"{text} in {COPIES} copies as float32", needed)


def require_class_capacity(name: str, count: int, classes: int) -> None:
    """Check the memory in which one network's scores of `count` images are compared with their labels.

    Raises: DataError.
    """
    needed = SCORE_BYTES * count * classes + DOUBLE_BYTES * classes**2
    require_capacity(
        f"{name}: a network's scores of {count:,} images in {classes:,} classes", needed, "give fewer classes"
    )


def megabytes(count: int) -> str:
    """A number of bytes in MB, rounded up."""
    return f"{-(-count // 10**6):,} MB"


def out_of_memory(error: Exception) -> bool:
    """Whether Python, numpy or torch could not allocate what it needed."""
    return isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)


@contextmanager
def within_capacity(name: str) -> Iterator[None]:
    """Turn a failed allocation into a DataError of one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        reason = " ".join(str(error).split()) or "an allocation failed"
        raise DataError(f"{name} does not fit in memory: {reason}; {REMEDY}") from error
