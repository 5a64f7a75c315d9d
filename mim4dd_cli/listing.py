"""List every registered component with its source, knobs, valid values and defaults."""

from __future__ import annotations

from typing import Any

from mim4dd.data import DATASETS
from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS
from mim4dd.protocol import PROTOCOLS
from mim4dd.registry import Registry, unknown
from mim4dd.train import RECIPES
from perturbations import PERTURBATIONS

KINDS: dict[str, Registry[Any]] = {
    "methods": METHODS,
    "networks": NETWORKS,
    "datasets": DATASETS,
    "perturbations": PERTURBATIONS,
    "recipes": RECIPES,
}
WHAT = {
    "methods": "make a synthetic set of a data set",
    "networks": "are matched, and trained on the synthetic set to score it",
    "datasets": "are what is distilled",
    "perturbations": "label noise and imbalance of training data, corruptions of images",
    "recipes": "say how networks are trained on a synthetic set",
    "protocols": "are named defaults of knobs",
}


def kinds() -> str:
    """Every kind in a line: what it is, and the names of its components."""
    names = {**{kind: registry.names() for kind, registry in KINDS.items()}, "protocols": [*PROTOCOLS]}
    lines = [f"{kind:<14} {WHAT[kind]}: {', '.join(names[kind])}" for kind in names]
    return "\n".join([*lines, "", "`mim4dd list KIND` names the source and the knobs of each"])


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
    """A component's docstring, which ends with its knobs, one per line."""
    lines = (component.__doc__ or "").splitlines()
    return "\n".join([name, *(f"  {line}" for line in lines if line)]) + "\n"
