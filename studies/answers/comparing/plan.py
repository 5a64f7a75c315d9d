"""The methods of a comparison as arms: each a complete configuration, all with the same seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mim4dd.configuration import Configuration, assignments
from mim4dd.errors import InputError, KnobError
from mim4dd.methods import METHODS, Mim
from mim4dd.registry import Flat, matching, resolve, unknown
from studies.engine.arms import CEILING, EQUAL_STRENGTH, FLOOR, TERM, Arm, Planned, cross, spec, with_controls
from studies.engine.configuring import configured, shared_entries
from studies.engine.options import Options
from studies.engine.plan import Plan

# The ceiling trains on the whole training split for every seed: one network, and no more steps than these.
FULL_STEPS = 500
FULL_NETWORKS = 1

Extra = Callable[[Flat], Mapping[str, str]]
"""Further assignments for an arm by its configuration, such as the recipe it was published with."""


def registered_methods() -> tuple[str, ...]:
    """Whatever is registered: selections first, each base alone and with the MI term if it takes one, full data last.

    A method joins by being registered.
    """
    built = {name: METHODS.build(name) for name in METHODS.names() if METHODS.get(name) is not Mim}
    selections = [name for name, method in built.items() if method.iterations == 0 and name != "full"]
    found = sorted(selections, key=lambda name: (name != "random", name))
    for name, method in built.items():
        if method.iterations:
            found += [name, spec(TERM, {"method.base": name, **EQUAL_STRENGTH})] if _takes_the_term(name) else [name]
    return (*found, "full")


def _takes_the_term(base: str) -> bool:
    try:
        METHODS.build("mim", {"base": base})
    except KnobError:
        return False
    return True


def plan_arms(
    options: Options[Any], specs: Sequence[str], extra: Extra | None = None, cap: Extra | None = None
) -> tuple[list[Planned], Plan]:
    """Every method of `specs` (`NAME[:knob=value,...]`) for every seed.

    What `--set` assigns goes to each method that has such a knob: over what `extra` assigns, under what `cap` does.
    Raises: InputError, UnknownNameError or KnobError.
    """
    planned = [arm_of(options, text, extra, cap) for text in specs]
    twice = [key for key, count in Counter(one.arm.key for one in planned).items() if count > 1]
    if twice:
        raise InputError(f"{twice[0]} is given twice; give one of them")
    for key in options.assigned:
        if not any(_meant(key, one.config) for one in planned):
            raise unknown("knob", key, [name for one in planned for name in one.config])
    settings, trials = cross(planned, (), options.seeds)
    return planned, Plan((), tuple(with_controls(settings)), trials)


def arm_of(options: Options[Any], text: str, extra: Extra | None = None, cap: Extra | None = None) -> Planned:
    """One method as it is given on a command line; its control is known among the others only."""
    name, _, knobs = text.partition(":")
    METHODS.get(name)
    given = assignments([text.strip() for text in knobs.split(",") if text.strip()], "--method")
    base = {key: text for key, text in given.items() if key in ("base", "method.base")}
    bare = configured(options, {"method": name}, base).flat
    own = {_of_the_method(key, bare): text for key, text in given.items()}
    first = configured(options, {"method": name}, own).flat
    assigned = dict(extra(first)) if extra else {}
    assigned |= {knob: text for key, text in options.assigned.items() if (knob := _meant(key, first))}
    assigned |= (dict(cap(first)) if cap else {}) | own
    config = {**shared_entries(options), **configured(options, {"method": name}, assigned).flat}
    told: Flat = {key: config[key] for key in [*(["method.base"] if name == TERM else []), *own]}
    role = name if name in (FLOOR, CEILING) and not told else "method"
    return Planned(Arm(spec(name, told), name, told, role=role), config)


def _of_the_method(key: str, config: Flat) -> str:
    """The method's knob that a key means, whatever else bears that name: `lr` is `method.lr`.

    Raises: InputError for a knob of another component, UnknownNameError for none or two of the method's.
    """
    knobs = [name for name in config if f"{name}.".startswith("method.")]
    if not matching(key, knobs) and matching(key, config):
        raise InputError(f"--method is for the method's own knobs, got {key}; set {resolve(key, config)} with --set")
    return resolve(key, knobs)


def shared_configuration(options: Options[Any]) -> Configuration:
    """What the methods of a comparison share: data set, network and recipe."""
    anything = configured(options, {"method": "random"}, {})
    shared = {name: text for key, text in options.assigned.items() if (name := _meant(key, anything.flat))}
    return configured(options, {"method": "random"}, shared)


def _meant(key: str, config: Flat) -> str | None:
    """The knob of a method that `--set` means, or None where it has none: `base.lr` is a plain base's own `lr`.

    Raises: UnknownNameError for a key that could mean two: one method's rate must not be another's recipe.
    """
    plain = config["method"] != "mim" and key.startswith(("base.", "method.base."))
    own = key.replace("base.", "", 1) if plain else key
    return resolve(own, config) if matching(own, config) else None
