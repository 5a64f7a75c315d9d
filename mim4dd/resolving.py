"""Dotted names and their abbreviations: `temperature` for `method.temperature`."""

from __future__ import annotations

from collections.abc import Iterable

from mim4dd.errors import UnknownNameError
from mim4dd.registry import unknown


def matching(key: str, known: Iterable[str]) -> list[str]:
    """The dotted names that `key` is or abbreviates, in their order."""
    return [name for name in known if name == key or name.endswith(f".{key}")]


def resolve(key: str, known: Iterable[str]) -> str:
    """The one known dotted name that `key` abbreviates: itself, or the only one that ends in it.

    `temperature` means `method.temperature`; `iterations` means `method.base.iterations` under `mim`. Of several, the
    one with the fewest dots wins (`width` means `network.width`, not `evaluation.network.width`); a tie is refused.
    Raises: UnknownNameError for no match or a tie.
    """
    names = list(known)
    if key in names:
        return key
    matches = sorted(matching(key, names), key=lambda name: name.count("."))
    if not matches:
        raise unknown("knob", key, names)
    if len(matches) > 1 and matches[0].count(".") == matches[1].count("."):
        raise UnknownNameError(f"knob '{key}' could mean {' or '.join(matches)}; give the whole name")
    return matches[0]
