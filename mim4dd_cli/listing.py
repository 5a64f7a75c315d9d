"""List every registered component with its source, knobs, valid values and defaults."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from mim4dd.data import DATASETS
from mim4dd.errors import exact
from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS
from mim4dd.protocol import PROTOCOLS
from mim4dd.registry import Knob, Registry, default_of, knobs, unknown
from mim4dd.train import RECIPES
from perturbations import PERTURBATIONS

KINDS: dict[str, Registry[Any]] = {
    "methods": METHODS,
    "networks": NETWORKS,
    "datasets": DATASETS,
    "perturbations": PERTURBATIONS,
    "recipes": RECIPES,
}


def listed(kind: str) -> str:
    """All components of a kind (`methods`, ..., `protocols`) as text.

    Raises: UnknownNameError for a kind that does not exist.
    """
    if kind == "protocols":
        lines = []
        for name, values in PROTOCOLS.items():
            lines.append(f"{name}: {', '.join(f'{k}={v}' for k, v in values.items()) or 'the published defaults'}")
        return "\n".join(lines)
    if kind not in KINDS:
        raise unknown("kind", kind, [*KINDS, "protocols"])
    return "\n".join(describe(name, KINDS[kind].get(name)) for name in KINDS[kind].names())


def describe(name: str, component: type[Any]) -> str:
    """A component's docstring and its knobs, one per line."""
    lines = [name] + [f"  {line.strip()}" if line.strip() else "" for line in (component.__doc__ or "").splitlines()]
    defaults = {item.name: default_of(item) for item in fields(component) if "knob" in item.metadata}
    for knob_name, declared in knobs(component).items():
        if "." in knob_name:
            continue  # a part's knobs are listed under its own name
        default = defaults[knob_name]
        shown = default if isinstance(default, str | int | float | bool) else getattr(default, "name", default)
        lines.append(f"    {knob_name} = {shown}{_valid(declared)}  {declared.help}")
    return "\n".join(line for line in lines if line.strip()) + "\n"


def _valid(declared: Knob) -> str:
    if declared.choices:
        return f"  [{' | '.join(map(str, declared.choices))}]"
    low = (
        f"> {exact(declared.above)}"
        if declared.above is not None
        else f">= {exact(declared.low)}"
        if declared.low is not None
        else ""
    )
    high = f"<= {exact(declared.high)}" if declared.high is not None else ""
    return f"  [{', '.join(part for part in (low, high) if part)}]" if low or high else ""
