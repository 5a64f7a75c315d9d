"""What a class must be to be registered: a frozen dataclass with every member of its registry's interface."""

from __future__ import annotations

from dataclasses import fields


def require_component(what: str, cls: type, interface: type | None) -> None:
    """Check a class against an interface, a Protocol, if there is one.

    Raises: TypeError for a class that is no frozen dataclass, or that lacks a member, which it names.
    """
    declared = vars(cls).get("__dataclass_params__")
    if declared is None or not declared.frozen:
        raise TypeError(f"{what} must be a frozen dataclass: write @dataclass(frozen=True, kw_only=True) above it")
    own = {name for base in cls.__mro__ for name in vars(base)} | {item.name for item in fields(cls)}
    members = {**vars(interface), **interface.__annotations__} if interface else {}
    public = [name for name in members if not name.startswith("_") or name == "__call__"]
    lacking = [name for name in public if name not in own] + sorted(getattr(cls, "__abstractmethods__", ()))
    if lacking:
        raise TypeError(f"{what} lacks {', '.join(lacking)}")
