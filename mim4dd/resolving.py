"""Names instead of things: `temperature` for `method.temperature`, `symmetric:rate=0.4` for a component."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from mim4dd.errors import InputError, UnknownNameError
from mim4dd.registry import Flat, Registry, unknown

C = TypeVar("C")


def matching(key: str, known: Iterable[str]) -> list[str]:
    """The dotted names that `key` is or abbreviates, in their order."""
    return [name for name in known if name == key or name.endswith(f".{key}")]


def resolve(key: str, known: Iterable[str]) -> str:
    """The one known dotted name that `key` abbreviates: itself, or the only one that ends in it.

    `temperature` means `method.temperature`; `iterations` means `method.base.iterations` under `mim`. Of several, the
    one with the fewest dots wins (`width` means `network.width`, not `evaluation.network.width`); a tie is refused. A
    knob of the method's base ties with one of another part as that of the method itself would: `lr` under `mim` may be
    the base's or the recipe's.
    Raises: UnknownNameError for no match or a tie.
    """
    names = list(known)
    if key in names:
        return key
    matches = sorted(matching(key, names), key=lambda name: name.count("."))
    if not matches:
        raise unknown("knob", key, names)
    best, *others = matches
    if any(name.count(".") == best.count(".") or _base_of_another(name, best) for name in others):
        raise UnknownNameError(f"knob '{key}' could mean {' or '.join(matches)}; give the whole name")
    return best


def _base_of_another(name: str, best: str) -> bool:
    """Whether a name is of the method's base, and the best of another part at the method's depth."""
    bare = name.replace("method.base.", "method.", 1)
    return bare != name and not best.startswith("method.") and bare.count(".") == best.count(".")


def component_of(registry: Registry[C], text: str, flag: str) -> C:
    """The component of `NAME:knob=value,knob=value`. flag: where the text was given.

    Raises: InputError, UnknownNameError or KnobError.
    """
    name, _, rest = text.partition(":")
    flat: Flat = {}
    for pair in rest.split(",") if rest else ():
        knob, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"{flag} must be NAME:knob=value,knob=value, got '{text}'")
        if knob.strip() in flat:
            raise InputError(f"{flag} must give a knob once, got {knob.strip()} twice in '{text}'")
        flat[knob.strip()] = value.strip()
    return registry.build(name.strip(), flat)


def chosen(registry: Registry[C], given: C | str, what: str) -> C:
    """A component as it is, or that of its text, `resnet18` or `convnet:width=32`. what: the argument's name.

    Raises: InputError, UnknownNameError or KnobError.
    """
    if isinstance(given, str):
        return component_of(registry, given, what)
    if isinstance(given, type) or getattr(given, "kind", None) != registry.kind:
        got = f"the class: write {given.__name__}()" if isinstance(given, type) else type(given).__name__
        raise InputError(f"{what} must be a {registry.kind} or the name of one, got {got}")
    return given
