"""Whether what plug-ins made can be sent to workers, asked before the first trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray.cloudpickle

from mim4dd.errors import InputError


def require_shippable(made: Mapping[str, Any]) -> None:
    """Require that everything can be pickled. made: by what it is, in words.

    Raises: InputError.
    """
    for what, thing in made.items():
        try:
            ray.cloudpickle.dumps(thing)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"{what} cannot be sent to workers ({reason}); keep locks, open files and the like out of its fields"
            ) from error
