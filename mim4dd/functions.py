"""Named functions of one kind, such as critics: the choices of a knob, to which plug-ins may add."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from mim4dd.origins import REGISTERED, Registered

F = TypeVar("F", bound=Callable[..., Any])


class Functions(Collection[str]):
    """Functions by name; as a collection, their names. Our own are imported when they are first called.

    modules: by name, the module in which each of our own is defined under that name.
    """

    def __init__(self, kind: str, modules: Mapping[str, str]) -> None:
        self.kind, self._modules = kind, dict(modules)
        self._added: dict[str, Callable[..., Any]] = {}

    def add(self, name: str) -> Callable[[F], F]:
        """Register a function under `name`."""

        def register(function: F) -> F:
            if name in self:
                raise ValueError(f"{self.kind} '{name}' is registered already; choose another name")
            self._added[name] = function
            REGISTERED.append(Registered(self.kind, name, function.__module__))
            return function

        return register

    def get(self, name: str) -> Callable[..., Any]:
        """The function registered under `name`."""
        if name in self._added:
            return self._added[name]
        function: Callable[..., Any] = getattr(import_module(self._modules[name]), name)
        return function

    def added(self, name: object) -> Callable[..., Any] | None:
        """The function of this name where it is not our own, else None."""
        return self._added.get(str(name))

    def __contains__(self, name: object) -> bool:
        return name in self._modules or name in self._added

    def __iter__(self) -> Iterator[str]:
        return iter((*self._modules, *self._added))

    def __len__(self) -> int:
        return len(self._modules) + len(self._added)
