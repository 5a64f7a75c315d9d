"""The methods of a comparison as arms: each a complete configuration, all with the same seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mim4dd.configuration import PARTS, Configuration, apply, assignments, settable
from mim4dd.errors import InputError, KnobError
from mim4dd.methods import METHODS, Mim
from mim4dd.registry import Flat, unknown
from mim4dd.resolving import matching, resolve
from studies.engine.arms import (
    CEILING,
    EQUAL_STRENGTH,
    FLOOR,
    LONGER_STEP,
    TERM,
    Arm,
    Factor,
    Planned,
    cross,
    placebo_knobs,
    spec,
    with_controls,
)
from studies.engine.configuring import configured, shared_entries
from studies.engine.options import Options
from studies.engine.plan import Plan

# The ceiling trains on the whole training split: one network a seed, for at most so many steps.
FULL_STEPS = 500
FULL_NETWORKS = 1
CAPPED = {"evaluation.networks": str(FULL_NETWORKS), "evaluation.max_steps": str(FULL_STEPS)}

# The role of a setting of a method, among which one is chosen.
SETTING = "design"

Extra = Callable[[Flat], Mapping[str, str]]
"""Returns further assignments for an arm with this configuration, such as the recipe of its published number."""


def registered_methods(*, longer_steps: bool = True) -> tuple[str, ...]:
    """The specs of all registered methods: selections, bases, full data.

    Each base that allows it is listed alone, with the MI term, and, with `longer_steps`, with steps as long as with it.
    """
    built = {name: METHODS.build(name) for name in METHODS.names() if METHODS.get(name) is not Mim}
    selections = [name for name, method in built.items() if method.iterations == 0 and name != "full"]
    specs = sorted(selections, key=lambda name: (name != "random", name))
    for name, method in built.items():
        if method.iterations:
            specs.append(name)
            if _takes_the_term(name):
                term: Flat = {"method.base": name, **EQUAL_STRENGTH}
                specs.append(spec(TERM, term))
                specs += [spec(TERM, {**term, **LONGER_STEP})] if longer_steps else []
    return (*specs, "full")


def _takes_the_term(base: str) -> bool:
    try:
        METHODS.build("mim", {"base": base})
    except KnobError:
        return False
    return True


def plan_arms(
    options: Options[Any],
    specs: Sequence[str],
    extra: Extra | None = None,
    cap: Extra | None = None,
    factors: Sequence[Factor] = (),
) -> tuple[list[Planned], Plan]:
    """Every method of `specs` (`NAME[:knob=value,...]`) at every level of the factors, for every seed.

    `--set` assigns to each method that has the knob; it overrides `extra`, and `cap` overrides it.
    Raises: InputError, UnknownNameError or KnobError.
    """
    planned = [arm_of(options, text, extra, cap) for text in specs]
    repeated = [key for key, count in Counter(item.arm.key for item in planned).items() if count > 1]
    if repeated:
        raise InputError(f"{repeated[0]} is given twice; give one of them")
    named: dict[str, str] = {}
    for arm in (item.arm for item in planned):
        # As a base alone and its term of weight 0.
        if (other := named.setdefault(arm.name, arm.key)) != arm.key:
            raise InputError(f"{other} and {arm.key} are both {arm.name} in tables and figures; give one of them")
    for key, text in options.assigned.items():
        require_read(options, key, text, planned)
    settings, trials = cross(planned, factors, options.seeds)
    return planned, Plan((), tuple(with_controls(settings)), trials, factors=tuple(factors))


def capped(flat: Flat) -> dict[str, str]:
    """The `cap` of `plan_arms` that limits the training on full data."""
    return dict(CAPPED) if flat["method"] == CEILING else {}


def arm_of(options: Options[Any], text: str, extra: Extra | None = None, cap: Extra | None = None) -> Planned:
    """The arm of a method's spec, with its configuration but without a control, which depends on the other arms.

    extra, cap: as in `plan_arms`. Raises: InputError, UnknownNameError or KnobError.
    """
    name, _, knobs = text.partition(":")
    METHODS.get(name)
    in_spec = assignments([text.strip() for text in knobs.split(",") if text.strip()], "--method")
    base = {key: text for key, text in in_spec.items() if key in ("base", "method.base")}
    defaults = configured(options, {"method": name}, base).flat
    method_knobs = {_method_knob(key, defaults): text for key, text in in_spec.items()}
    flat, shared = _set_knobs(options, name, method_knobs)
    assigned = (dict(extra(flat)) if extra else {}) | shared
    assigned |= (dict(cap(flat)) if cap else {}) | method_knobs
    config = {**shared_entries(options), **configured(options, {"method": name}, assigned).flat}
    named = [*(["method.base"] if name == TERM else []), *method_knobs]
    # A tacit knob at its default is in no configuration, and distinguishes nothing.
    distinguishing: Flat = {key: config[key] for key in named if key in config}
    # An arm shows that it is a placebo also where `--set` makes it one.
    distinguishing |= placebo_knobs(config)
    role = name if name in (FLOOR, CEILING) and not distinguishing else "method"
    return Planned(Arm(spec(name, distinguishing), name, distinguishing, role=role), config)


def require_read(options: Options[Any], key: str, text: str, planned: Sequence[Planned]) -> None:
    """Require that a value of `--set` is one of its knob, and that an arm has it, whatever the arms' own specs say.

    Raises: InputError, UnknownNameError or KnobError.
    """
    components = [{k: v for k, v in item.config.items() if k.partition(".")[0] in PARTS} for item in planned]
    named = [(knob, config) for config in components if (knob := set_knob(key, config))]
    if not named:
        raise unknown("knob", key, sorted({name for config in components for name in settable(config)}))
    if not any(apply(config, {knob: text})[knob] == config[knob] for knob, config in named):
        (knob, config), *_ = named
        raise InputError(
            f"--set {key}={text} is read by no method of this study, whose own specs set it: "
            f"give it as --method {config['method']}:{knob.removeprefix('method.')}={text}"
        )


def _method_knob(key: str, config: Flat) -> str:
    """The method's knob that a key of a spec names, even if other components have the same knob: `method.lr` for `lr`.

    Raises: InputError for a knob of another component, UnknownNameError if no knob of the method fits, or several do.
    """
    knobs = [name for name in settable(config) if f"{name}.".startswith("method.")]
    if not matching(key, knobs) and matching(key, settable(config)):
        other = resolve(key, settable(config))
        raise InputError(f"--method is for the method's own knobs, got {key}; set {other} with --set")
    return resolve(key, knobs)


def shared_configuration(options: Options[Any]) -> Configuration:
    """The configuration that the methods of a comparison share: data set, network and recipe."""
    return configured(options, {"method": "random"}, _set_knobs(options, "random", {})[1])


def _set_knobs(options: Options[Any], method: str, own: Mapping[str, str]) -> tuple[Flat, dict[str, str]]:
    """A method's configuration with its own knobs alone, and what `--set` gives it.

    A component that `--set` chooses brings knobs of its own: `network=vit`, then `network.heads=2`.
    Raises: as `set_knob`, and KnobError.
    """
    alone = flat = configured(options, {"method": method}, own).flat
    found: dict[str, str] = {}
    for _ in options.assigned:
        more = {knob: text for key, text in options.assigned.items() if (knob := set_knob(key, flat))}
        if more == found:
            break
        found = more
        flat = configured(options, {"method": method}, {**found, **own}).flat
    return alone, found


def set_knob(key: str, config: Flat, part: str = "") -> str | None:
    """The knob of a configuration that a key of `--set` names, or None; `base.lr` is the `lr` of a bare base.

    part: the start of the knobs that may be meant, as `method.`; "" for all.

    Raises: UnknownNameError for an ambiguous key: one method's rate must not be another's recipe.
    """
    bare_base = config["method"] != "mim" and key.startswith(("base.", "method.base."))
    name = key.replace("base.", "", 1) if bare_base else key
    names = [one for one in settable(config) if one.startswith(part)]
    return resolve(name, names) if matching(name, names) else None
