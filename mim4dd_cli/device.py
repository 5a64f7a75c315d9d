"""The device that a command line names."""

from __future__ import annotations

from mim4dd.errors import InputError


def checked_device(name: str) -> str:
    """Return the name of a device on which tensors can be created.

    Raises: InputError when it is not available.
    """
    import torch

    try:
        torch.zeros(1, device=name).item()  # `meta` creates tensors without values
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name} is not available here: {str(error).splitlines()[0]}") from error
    return name
