"""What a study's data must hold before any worker sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mim4dd.errors import DataError, InputError
from mim4dd.records import Splits
from mim4dd.registry import Flat
from studies.engine.conditions import Condition
from studies.engine.options import Options


def require_conditions(conditions: Sequence[Condition], splits: Splits, options: Options[Any], flat: Flat) -> None:
    """Try every perturbation on the data, pixel corruptions aside, before any worker does.

    Raises: InputError for one that does not fit the data (no semantic map, other clean labels), or that leaves classes
    short of images where `--tail error` forbids it.
    """
    from perturbations import chain, label_noise

    wanted = max([options.ipc, *(int(value) for key, value in flat.items() if key.endswith(".batch_real"))])
    for one in conditions:
        members = [member for member in one.perturbations if member.stage != "pixel corruption"]
        try:
            left = int(chain(members, splits.train, seed=options.seeds[0]).data.counts.min())
            chain(label_noise(members), splits.validation, seed=options.seeds[0])
        except InputError as error:
            raise InputError(f"{one.label}: {error}") from error
        if options.tail == "error" and left < wanted:
            raise InputError(
                f"{one.label}: --tail error, and a class is left with {left} images where {wanted} are drawn; give "
                "--tail repeat or cap"
            )


def require_images(splits: Splits, ipc: int) -> None:
    """Refuse more synthetic images per class than the smallest class has real ones.

    Raises: DataError.
    """
    counts = splits.train.counts
    smallest = int(counts.argmin())
    if counts[smallest] < ipc:
        raise DataError(
            f"--ipc must be at most the training images of the smallest class: '{splits.classes[smallest]}' has "
            f"{counts[smallest]}, got {ipc}"
        )
