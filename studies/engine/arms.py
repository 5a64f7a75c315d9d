"""What a study compares, as data: arms under the levels of factors, each for every seed.

A name is made from an arm here and nowhere else, and no name is taken apart again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any

from mim4dd.methods import METHODS, Mim
from mim4dd.registry import Flat, Scalar, knobs
from studies.engine.trial import Trial

FLOOR, CEILING, TERM = "random", "full", "mim"
# The term's loss as an arm of a suite tells it: as strong as its base, whatever the scale of the base's loss.
EQUAL_STRENGTH: Flat = {"method.balance": "gradnorm", "method.weight": 1.0}


@dataclass(frozen=True)
class Arm:
    """A method with the knobs that tell it from the other arms of its study.

    key: unique in the study; knobs: by their names in a trial's configuration. control: the key of the arm that it is
    paired with (a base with the MI term: the base alone), "" for none. role: what it is there for: `random` and `full`
    (the anchors), `base`, `default`, `variant`, `extra` (asked for besides), `method` (compared), `design` and `search`
    (settings of knobs), `stopped` (a setting that a scheduler ended early).
    """

    key: str
    method: str
    knobs: Flat = field(default_factory=dict)
    control: str = ""
    role: str = "method"

    @property
    def base(self) -> str:
        """The registered name of the method, or of the base that the MI term is added to."""
        return str(self.knobs.get("method.base", "dm")) if self.method == TERM else self.method

    @property
    def has_term(self) -> bool:
        """Whether the MI term is on."""
        return self.method == TERM and self.knobs.get("method.weight") != 0

    @property
    def anchor(self) -> bool:
        """Whether it is the floor (random real images) or the ceiling (full data)."""
        return self.method in (FLOOR, CEILING)

    @property
    def name(self) -> str:
        """`DM`, `DC (batch_real=32)`, `DM + MIM4DD (default)`, `DM + MIM4DD (equal strength)`, `... (τ=0.5, λ=8)`."""
        told = [_told(key, value) for key, value in self.knobs.items() if self._of_base(key)]
        label = label_of(self.base)
        if self.has_term:
            label += " + MIM4DD"
            term = {k: v for k, v in self.knobs.items() if not self._of_base(k) and k != "method.base"}
            strength = term.pop("method.balance", "none") == "gradnorm"
            for key, value in sorted(term.items(), key=lambda pair: _order(pair[0])):
                balanced = strength and key == "method.weight"
                told.append(_strength(float(value)) if balanced else _told(key, value))
            if strength and "method.weight" not in term:
                told.append(_strength(Mim().weight))
            elif not term:
                told.append("default")
        return f"{label} ({', '.join(told)})" if told else label

    def _of_base(self, key: str) -> bool:
        """Whether a knob belongs to the base and not to the term."""
        return key.startswith("method.base.") or (self.method != TERM and key != "method")

    def json(self) -> dict[str, Any]:
        return asdict(self)


def spec(method: str, knobs: Mapping[str, Scalar]) -> str:
    """A method with its knobs as a command line has it: `mim:base=dm,weight=8`."""
    short = [f"{key.removeprefix('method.')}={_shown(value)}" for key, value in knobs.items()]
    return f"{method}:{','.join(short)}" if short else method


def base_arm(base: str) -> Arm:
    """A study's base alone: the term's own code with nothing of the term."""
    return Arm(base, TERM, {"method.base": base, "method.weight": 0.0}, role="base")


def default_arm(configuration: Mapping[str, Scalar], fixed: Sequence[str]) -> Arm:
    """The MI term on a study's base, with the knobs of the term that were set by hand."""
    base = str(configuration.get("method.base", "dm"))
    own = [key for key in fixed if key.startswith("method.") and not f"{key}.".startswith("method.base.")]
    knobs: Flat = {"method.base": base, **{key: configuration[key] for key in own}}
    return Arm(spec(TERM, knobs), TERM, knobs, base, "default")


def changed(default: Arm, role: str, given: Mapping[str, Scalar]) -> Arm:
    """The default with other knobs: a variant, or a setting of a design or a search."""
    own: Flat = {**default.knobs, **given}
    key = spec(TERM, own)
    return Arm(key if role == "variant" else f"{role}:{key}", TERM, own, default.control, role)


def unplanned(arms: Iterable[Arm], config: Mapping[str, Scalar], varied: Iterable[str]) -> Arm:
    """The arm of a trial that no setting names yet: a search has suggested it."""
    default = next((arm for arm in arms if arm.role == "default"), None)
    if default is None:
        return Arm(str(config["method"]), str(config["method"]))
    return changed(default, "search", {key: config[key] for key in varied if key in config})


def with_controls(settings: Sequence[Setting]) -> list[Setting]:
    """The same settings, each arm with the MI term paired with its base alone where that is among the arms."""
    arms = {setting.arm.key: setting.arm for setting in settings}
    return [
        replace(one, arm=replace(one.arm, control=one.arm.control or control_of(one.arm, list(arms.values()))))
        for one in settings
    ]


def control_of(arm: Arm, arms: Sequence[Arm]) -> str:
    """The key of the base alone with the same knobs, "" where it is not among the arms."""
    if not arm.has_term:
        return ""
    wanted = {key: value for key, value in arm.knobs.items() if key.startswith("method.base.")}
    for other in arms:
        own = {
            (key if other.method == TERM else key.replace("method.", "method.base.", 1)): value
            for key, value in other.knobs.items()
            if key not in ("method.base", "method.weight")
        }
        if not other.has_term and other.base == arm.base and own == wanted:
            return other.key
    return ""


def _shown(value: Scalar) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def label_of(method: str) -> str:
    """What papers call a method: its own `label`, else its registered name."""
    known = vars(METHODS.get(method)) if method in METHODS else {}
    return str(known.get("label", method.replace("_", "-")))


def _told(key: str, value: Scalar) -> str:
    """A knob in words; a choice by its value alone."""
    name = key.rpartition(".")[2]
    declared = knobs(Mim).get(name) if not key.startswith("method.base.") else None
    if isinstance(value, str):
        return value
    return f"{declared.symbol if declared and declared.symbol else name}={value:g}"


def _strength(ratio: float) -> str:
    """The term's pixel gradient as a multiple of its base's."""
    return "equal strength" if ratio == 1 else f"ρ={ratio:g}"


def _order(key: str) -> int:
    """The term's knobs in the order of its declaration, τ first."""
    declared = ["temperature", *(name for name in knobs(Mim) if name != "temperature")]
    name = key.rpartition(".")[2]
    return declared.index(name) if name in declared else len(declared)


@dataclass(frozen=True)
class Curve:
    """Levels of a factor that lie on one axis, with its reference as the origin.

    axis: what stands below a figure; scale: `share`, `log` or `linear`; noun: what the curve is of, `symmetric noise`.
    unit: that of a slope, `units` of them to one of the axis (for `log` to a factor of ten). upto: the last place that
    enters a slope. realised: the number of a perturbation's record that says where a level really lies, "" for its
    own `at`.
    """

    name: str
    axis: str
    noun: str = ""
    scale: str = "linear"
    origin: float = 0.0
    unit: str = "step"
    units: float = 1.0
    upto: float | None = None
    realised: str = ""


@dataclass(frozen=True)
class Level:
    """One value of a factor. entry: what it adds to a trial's configuration; at: its place on its curve.

    curve: the curve's name, "" for none. parts: the labels of the levels that it joins, as noise and imbalance.
    """

    label: str
    entry: Flat = field(default_factory=dict)
    at: float | None = None
    curve: str = ""
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Factor:
    """What is varied besides the arms; the first level is the reference."""

    name: str
    levels: tuple[Level, ...]
    curves: tuple[Curve, ...] = ()

    @property
    def reference(self) -> Level:
        return self.levels[0]

    def level(self, label: str) -> Level:
        return next(level for level in self.levels if level.label == label)

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def read(held: Mapping[str, Any]) -> Factor:
        """The inverse of `json`."""
        levels = tuple(Level(**{**level, "parts": tuple(level["parts"])}) for level in held["levels"])
        return Factor(held["name"], levels, tuple(Curve(**curve) for curve in held["curves"]))


@dataclass(frozen=True)
class Setting:
    """One arm at one level of each factor, judged over its seeds.

    levels: by factor; trials: each seed's hash; dummy: a design's place on the axis that nothing reads.
    """

    setting: int
    arm: Arm
    levels: dict[str, str] = field(default_factory=dict)
    trials: tuple[str, ...] = ()
    dummy: float | None = None

    @property
    def name(self) -> str:
        """Arm and levels, `DM · symmetric 0.4`."""
        return " · ".join([self.arm.name, *self.levels.values()])

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def read(held: Mapping[str, Any]) -> Setting:
        """The inverse of `json`."""
        return Setting(**{**held, "arm": Arm(**held["arm"]), "trials": tuple(held["trials"])})


@dataclass(frozen=True)
class Planned:
    """An arm with all that decides its trials but the factors' levels and the seed.

    once: the seeds at the reference level where fewer do, because no seed changes the arm there.
    """

    arm: Arm
    config: Flat
    dummy: float | None = None
    once: tuple[int, ...] | None = None


def cross(
    planned: Sequence[Planned], factors: Sequence[Factor], seeds: Sequence[int]
) -> tuple[tuple[Setting, ...], tuple[Trial, ...]]:
    """Every arm at every combination of levels for every seed; a trial that two settings share is there once."""
    settings: list[Setting] = []
    trials: dict[str, Trial] = {}
    for levels in combinations(factors):
        entry: Flat = {key: value for level in levels.values() for key, value in level.entry.items()}
        for one in planned:
            at_reference = all(levels[factor.name] == factor.reference for factor in factors)
            own = [
                Trial.of(one.config | entry | {"seed": seed})
                for seed in (one.once if one.once is not None and at_reference else seeds)
            ]
            labels = {name: level.label for name, level in levels.items()}
            settings.append(Setting(len(settings), one.arm, labels, tuple(trial.hash for trial in own), one.dummy))
            trials |= {trial.hash: trial for trial in own}
    return tuple(settings), tuple(trials.values())


def combinations(factors: Sequence[Factor]) -> Iterator[dict[str, Level]]:
    """One level of each factor, by name, the references first; one empty combination without factors."""
    for levels in product(*(factor.levels for factor in factors)):
        yield {factor.name: level for factor, level in zip(factors, levels, strict=True)}
