"""Where components come from: which plug-in each of their modules belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# By module, the plug-in that it belongs to, `mymethod@1a2b3c4d5e6f`: its name and the digest of its source.
PLUGINS: dict[str, str] = {}


@dataclass(frozen=True)
class Registered:
    """A component or a function that was added to a registry."""

    kind: str
    name: str
    module: str


REGISTERED: list[Registered] = []


def plugin_of(*things: Any) -> str:
    """The plug-ins that classes and functions come from, joined by `+`; "" for our own."""
    modules = {getattr(thing, "__module__", "") for thing in things}
    return "+".join(sorted({PLUGINS[module] for module in modules if module in PLUGINS}))
