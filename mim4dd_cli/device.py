"""The device that a command line names, and its memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mim4dd.errors import InputError

# What PyTorch says where a tensor on the CPU is larger than the memory, or than any memory.
CPU_REFUSALS = ("can't allocate memory", "Storage size calculation overflowed")


def checked_device(name: str) -> str:
    """Return the name of a device on which tensors can be created.

    Raises: InputError when it is not available.
    """
    import torch

    try:
        torch.zeros(1, device=name).item()  # `meta` creates tensors without values
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise InputError(f"--device {name} is not available here: {reason}") from error
    return name


@contextmanager
def allocating() -> Iterator[None]:
    """Raises: MemoryError when a tensor finds no memory, of which PyTorch tells by errors of other types."""
    import torch

    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not any(told in str(error) for told in CPU_REFUSALS):
            raise
        raise MemoryError(str(error).partition("\n")[0]) from error
