"""The knobs of a component as text: below its docstring, for `help()` and IDEs, and in `mim4dd list`."""

from __future__ import annotations

import inspect
from dataclasses import Field, fields
from typing import Any

from mim4dd.errors import exact


class Documented(str):
    """The docstring of a registered class: what it says itself, then a line for each knob, inherited ones too.

    Made again when it is read: a plug-in may add choices later. As a text, which is all that pydoc sees of a class with
    a metaclass, it is that of the registration.
    """

    prose: str

    def __new__(cls, component: type[Any]) -> Documented:
        prose = inspect.cleandoc(component.__doc__ or "")
        made = super().__new__(cls, _with_knobs(prose, component))
        made.prose = prose
        return made

    def __get__(self, instance: Any, owner: type[Any]) -> str:
        return _with_knobs(self.prose, owner)


def _with_knobs(prose: str, component: type[Any]) -> str:
    lines = [_line(item) for item in fields(component) if "knob" in item.metadata]
    return "\n".join([prose, *(["", "Knobs:"] if lines else []), *(f"    {line}" for line in lines)]).lstrip()


def _line(item: Field[Any]) -> str:
    """`temperature = 0.1  [> 0]  divides the similarities`: the default, what is valid, the help text."""
    declared = item.metadata["knob"]
    default = item.metadata.get("default", item.default)
    return "  ".join(filter(None, [f"{item.name} = {default}", _valid(declared), declared.help]))


def _valid(declared: Any) -> str:
    """`[>= 1, <= 9]` or `[a | b]`, "" where every value is valid."""
    if declared.choices:
        return f"[{' | '.join(map(str, declared.choices))}]"
    ends = ((">", declared.above), (">=", declared.low), ("<=", declared.high))
    said = [f"{sign} {exact(end)}" for sign, end in ends if end is not None]
    return f"[{', '.join(said)}]" if said else ""
