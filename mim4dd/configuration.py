"""From names and `key=value` texts to a complete, checked configuration: flat scalars that rebuild every component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mim4dd.data import DATASETS
from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS
from mim4dd.protocol import protocol
from mim4dd.registry import PLUGIN, Flat, Knob, Registry, Scalar, flatten, knobs, unflatten
from mim4dd.resolving import matching, resolve
from mim4dd.train import RECIPES

Parts = Mapping[str, Registry[Any]]
PARTS: Parts = {"source": DATASETS, "method": METHODS, "network": NETWORKS, "evaluation": RECIPES}


@dataclass(frozen=True)
class Configuration:
    """Data set, method, network and recipe as flat scalars, every knob's declaration, and what was set by hand."""

    flat: Flat
    knobs: dict[str, Knob]
    fixed: tuple[str, ...]

    def with_method(self, name: str) -> Flat:
        """Return the same data, network and recipe with another method at its defaults."""
        kept = {key: value for key, value in self.flat.items() if key.partition(".")[0] != "method"}
        return {**kept, **flatten(METHODS.build(name), "method")}


def configure(
    *, source: str, method: Flat, network: str, protocol_name: str, assigned: Mapping[str, str]
) -> Configuration:
    """Defaults, then the protocol's values, then what was set by hand, each checked by the component that owns it.

    source: the registered data set that reads the images; method: its name and parts (`{"method": "mim", "method.base":
    "dm"}`), empty for a set that is there already.
    Raises: UnknownNameError or KnobError for what does not exist or is out of range.
    """
    used = {part: registry for part, registry in PARTS.items() if method or part != "method"}
    flat = complete({"source": source, **method, "network": network, "evaluation": "standard"}, used)
    # Components first: the protocol's values belong to those that will run, and hand-set values come last.
    parts = {key: text for key, text in assigned.items() if _names_part(key, flat)}
    flat, chosen = assign(flat, parts, used)
    for key, value in protocol(protocol_name).items():
        flat |= dict.fromkeys(_meant(key, flat)[:1], value)
    flat, fixed = assign(complete(flat, used), {key: text for key, text in assigned.items() if key not in parts}, used)
    return Configuration(flat, _declared(flat, used), chosen + fixed)


def _declared(flat: Flat, parts: Parts) -> dict[str, Knob]:
    """The declaration of every knob of these components."""
    declared: dict[str, Knob] = {}
    for part, registry in parts.items():
        declared |= knobs(unflatten(registry, flat, part), f"{part}.")
    return declared


def settable(flat: Flat, parts: Parts = PARTS) -> list[str]:
    """The dotted names of all that can be set: the entries of `flat`, and the knobs that it leaves out."""
    return [key for key in {**flat, **_declared(flat, parts)} if key.rpartition(".")[2] != PLUGIN]


def _meant(key: str, flat: Flat) -> list[str]:
    """The dotted names that a protocol's key refers to: `mtt.lr` is the `lr` of whichever part is `mtt`."""
    owner, _, knob = key.rpartition(".")
    owned = [f"{part}.{knob}" for part, value in flat.items() if owner and value == owner and f"{part}.{knob}" in flat]
    return owned or matching(key, flat)


def _names_part(key: str, flat: Flat) -> bool:
    name = next(iter(matching(key, flat)), "")
    return any(other.startswith(f"{name}.") for other in flat)


def assign(flat: Flat, assigned: Mapping[str, str], parts: Parts = PARTS) -> tuple[Flat, tuple[str, ...]]:
    """Set knobs; returns the configuration and their full names. A changed component starts with its defaults."""
    fixed = []
    for key, text in assigned.items():
        name = resolve(key, settable(flat, parts))
        if any(other.startswith(f"{name}.") for other in flat):
            flat = {other: value for other, value in flat.items() if not other.startswith(f"{name}.")}
        flat = complete({**flat, name: text}, parts)
        fixed.append(name)
    return flat, tuple(fixed)


def apply(config: Flat, values: Mapping[str, Scalar]) -> Flat:
    """Change these knobs and check the configuration again; entries outside the components are kept."""
    others = {key: value for key, value in config.items() if key.partition(".")[0] not in PARTS}
    return {**others, **complete({**config, **values})}


def complete(flat: Flat, parts: Parts = PARTS) -> Flat:
    """Return the same components, checked, with every knob present, and the plug-ins as they are in this process.

    Raises: UnknownNameError or KnobError.
    """
    checked: Flat = {}
    knobs_alone = {key: value for key, value in flat.items() if key.rpartition(".")[2] != PLUGIN}
    for part, registry in parts.items():
        checked |= flatten(unflatten(registry, knobs_alone, part), part)
    return checked


def assignments(pairs: Sequence[str], flag: str) -> dict[str, str]:
    """Parse `key=value` texts into a mapping.

    Raises: InputError for a text without `=`, or a key given twice.
    """
    texts: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or not value:
            raise InputError(f"{flag} must be key=value, got '{pair}'")
        if key in texts:
            raise InputError(f"{flag} {key} is given twice")
        texts[key] = value
    return texts
