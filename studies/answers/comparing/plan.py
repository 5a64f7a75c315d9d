"""The methods of a comparison as arms: each a complete configuration, all with the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mim4dd.configuration import Configuration, assignments
from mim4dd.errors import InputError, KnobError
from mim4dd.methods import METHODS, Mim
from mim4dd.registry import Flat, matching, resolve, unknown
from studies.engine.asked import TERM
from studies.engine.design import Setting
from studies.engine.identity import shared_entries
from studies.engine.options import Options
from studies.engine.study import Plan, configured
from studies.engine.trial import Trial


@dataclass(frozen=True)
class Arm:
    """A method of a comparison: how it is called, and everything that decides its trials but the seed.

    knobs: `method`, and those that were named with it, under their whole names.
    """

    name: str
    config: Flat
    knobs: Flat

    @property
    def base(self) -> str:
        """The registered name of the method, or of the base that the MI term is added to."""
        return str(self.config.get("method.base", self.config["method"]))

    @property
    def has_term(self) -> bool:
        """Whether the MI term is on."""
        return self.config["method"] == "mim" and float(self.config["method.weight"]) > 0


Extra = Callable[[Flat], Mapping[str, str]]
"""Further assignments for an arm by its configuration, such as the recipe it was published with."""


def own_methods() -> tuple[str, ...]:
    """Whatever is registered: selections first, each base alone and with the MI term if it takes one, full data last.

    A method joins by being registered.
    """
    built = {name: METHODS.build(name) for name in METHODS.names() if METHODS.get(name) is not Mim}
    selections = [name for name, method in built.items() if method.iterations == 0 and name != "full"]
    found = sorted(selections, key=lambda name: (name != "random", name))
    for name, method in built.items():
        if method.iterations:
            found += [name, f"mim:base={name},{TERM}"] if _takes_the_term(name) else [name]
    return (*found, "full")


def _takes_the_term(base: str) -> bool:
    try:
        METHODS.build("mim", {"base": base})
    except KnobError:
        return False
    return True


def plan_arms(
    options: Options, specs: Sequence[str], extra: Extra | None = None, cap: Extra | None = None
) -> tuple[list[Arm], Plan]:
    """Every method of `specs` (`NAME[:knob=value,...]`) for every seed.

    What `--set` assigns goes to each method that has such a knob: over what `extra` assigns, under what `cap` does.
    Raises: InputError, UnknownNameError or KnobError.
    """
    arms = [arm_of(options, spec, extra, cap) for spec in specs]
    for key in options.assigned:
        if not any(_meant(key, arm.config) for arm in arms):
            raise unknown("knob", key, [name for arm in arms for name in arm.config])
    settings: list[Setting] = []
    trials: dict[str, Trial] = {}
    for arm in arms:
        own = [Trial.of({**arm.config, "seed": seed}) for seed in options.seeds]
        settings.append(Setting(len(settings), arm.name, {}, None, tuple(trial.hash for trial in own)))
        trials |= {trial.hash: trial for trial in own}
    return arms, Plan((), tuple(settings), tuple(trials.values()))


def arm_of(options: Options, spec: str, extra: Extra | None = None, cap: Extra | None = None) -> Arm:
    """One method as it is given on a command line."""
    name, _, knobs = spec.partition(":")
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
    told = ["method", *(["method.base"] if name == "mim" else []), *own]
    return Arm(arm_name(spec), config, {key: config[key] for key in told})


def _of_the_method(key: str, config: Flat) -> str:
    """The method's knob that a key means, whatever else bears that name: `lr` is `method.lr`.

    Raises: InputError for a knob of another component, UnknownNameError for none or two of the method's.
    """
    knobs = [name for name in config if f"{name}.".startswith("method.")]
    if not matching(key, knobs) and matching(key, config):
        raise InputError(f"--method is for the method's own knobs, got {key}; set {resolve(key, config)} with --set")
    return resolve(key, knobs)


def arm_name(spec: str) -> str:
    """`dc:batch_real=32` as `dc (batch_real=32)`, `mim:base=dsa,weight=1` as `dsa + mim (weight=1)`."""
    name, _, knobs = spec.partition(":")
    told = [text.strip() for text in knobs.split(",") if text.strip()]
    if name == "mim":
        base = next((text.partition("=")[2] for text in told if text.startswith("base=")), "dm")
        name, told = f"{base} + mim", [text for text in told if not text.startswith("base=")]
    return f"{name} ({', '.join(told)})" if told else name


def shared_configuration(options: Options) -> Configuration:
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
