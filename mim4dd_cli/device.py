"""The device that a command line names."""

from __future__ import annotations

from mim4dd.errors import InputError


def checked_device(name: str) -> str:
    """The name, when tensors can be made there.

    Raises: InputError.
    """
    import torch

    try:
        torch.zeros(1, device=name).item()  # `meta` makes tensors that hold nothing
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name} is not to be had here: {str(error).splitlines()[0]}") from error
    return name
