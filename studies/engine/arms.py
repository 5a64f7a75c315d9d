"""What a study compares: arms, at the levels of factors, each for every seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any

from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from mim4dd.origins import plugin_of
from mim4dd.registry import Flat, Scalar
from studies.engine.names import PLACEBOS, arm_name, label_of
from studies.engine.reading import checked
from studies.engine.trial import Trial

# About as many rows have been written and answered (`make scale`: 5,000).
MOST_TRIALS = 20_000
FLOOR, CEILING, TERM = "random", "full", "mim"
# The MI term as a suite compares it: its gradient as large as its base's, whatever the scale of the base's loss.
EQUAL_STRENGTH: Flat = {"method.balance": "gradnorm", "method.weight": 1.0}
# The base with its update as long as base and term make it together: a control, or placebo, of the term.
LONGER_STEP: Flat = {"method.direction": "base"}


@dataclass(frozen=True)
class Arm:
    """A method with the knobs that distinguish it from the other arms of its study.

    key: unique in the study; knobs: by their names in a trial's configuration. control: the key of the arm that it is
    paired with (for a base with the MI term, the base alone), "" for none. role: why the study includes it: `random`
    and `full` (the anchors), `base`, `default`, `variant`, `placebo` (a variant that is a control of the term), `extra`
    (requested with `--method` in addition), `method` (compared), `design` and `search` (settings of knobs), `stopped`
    (ended early by a scheduler). label: the base's name where a plug-in has it: a folder is read without plug-ins.
    """

    key: str
    method: str
    knobs: Flat = field(default_factory=dict)
    control: str = ""
    role: str = "method"
    label: str = ""

    def __post_init__(self) -> None:
        if not self.label and self.base in METHODS and plugin_of(METHODS.get(self.base)):
            object.__setattr__(self, "label", label_of(self.base))

    @property
    def base(self) -> str:
        """The registered name of the method, or of the base that the MI term is added to."""
        return str(self.knobs.get("method.base", "dm")) if self.method == TERM else self.method

    @property
    def has_term(self) -> bool:
        """Whether the MI term is on, which a placebo does not have."""
        return self.method == TERM and self.knobs.get("method.weight") != 0 and not self.placebo

    @property
    def placebo(self) -> bool:
        """Whether the arm is a control that leaves out of the MI term what it is tested for."""
        return bool(placebo_knobs(self.knobs))

    @property
    def anchor(self) -> bool:
        """Whether the arm is the floor (random real images) or the ceiling (full data)."""
        return self.method in (FLOOR, CEILING)

    @property
    def name(self) -> str:
        """`DM`, `DC (batch_real=32)`, `DM + MIM4DD (τ=0.5, λ=8)`, of a placebo `DM, longer step (equal strength)`."""
        placebo = "".join(PLACEBOS[pair] for pair in placebo_knobs(self.knobs).items())
        added = placebo or " + MIM4DD" * self.has_term
        return arm_name(self.label or label_of(self.base), added, self.knobs, term=self.method == TERM)

    def json(self) -> dict[str, Any]:
        return asdict(self)


def spec(method: str, knobs: Mapping[str, Scalar]) -> str:
    """A method with its knobs as it is written on a command line: `mim:base=dm,weight=8`."""
    short = [f"{key.removeprefix('method.')}={_exact(value)}" for key, value in knobs.items()]
    return f"{method}:{','.join(short)}" if short else method


def placebo_knobs(config: Mapping[str, Scalar]) -> Flat:
    """The entries of a configuration that make its MI term a placebo; none for the method itself."""
    return {key: value for key, value in PLACEBOS if config.get(key) == value}


def base_arm(base: str) -> Arm:
    """A study's base alone: the code of the MI term at weight 0."""
    return Arm(base, TERM, {"method.base": base, "method.weight": 0.0}, role="base")


def default_arm(configuration: Mapping[str, Scalar], fixed: Sequence[str]) -> Arm:
    """The MI term on a study's base, with the knobs of the term that `--set` fixed."""
    base = str(configuration.get("method.base", "dm"))
    term = [key for key in fixed if key.startswith("method.") and not f"{key}.".startswith("method.base.")]
    knobs: Flat = {"method.base": base, **{key: configuration[key] for key in term}}
    return Arm(spec(TERM, knobs), TERM, knobs, base, "default")


def changed(default: Arm, role: str, changes: Mapping[str, Scalar]) -> Arm:
    """The default with some knobs changed: a variant or placebo, or a setting of a design or a search."""
    knobs: Flat = {**default.knobs, **changes}
    key = spec(default.method, knobs)
    arm = Arm(key if role in ("variant", "placebo") else f"{role}:{key}", default.method, knobs, default.control, role)
    return replace(arm, control="") if arm.placebo else arm


def unplanned(arms: Iterable[Arm], config: Mapping[str, Scalar], varied: Iterable[str]) -> Arm:
    """The arm of a trial that is in no setting yet, because a search has just suggested it."""
    default = next((arm for arm in arms if arm.role == "default"), None)
    if default is None:
        return Arm(str(config["method"]), str(config["method"]))
    return changed(default, "search", {key: config[key] for key in varied if key in config})


def with_controls(settings: Sequence[Setting]) -> list[Setting]:
    """The same settings, each arm with the MI term paired with its base alone if that is among the arms."""
    arms = list({setting.arm.key: setting.arm for setting in settings}.values())

    def paired(arm: Arm) -> Arm:
        return replace(arm, control=arm.control or control_of(arm, arms))

    return [replace(setting, arm=paired(setting.arm)) for setting in settings]


def control_of(arm: Arm, arms: Sequence[Arm]) -> str:
    """The key of the base alone with the same knobs, "" if it is not among the arms."""
    if not arm.has_term:
        return ""
    base_knobs = {key: value for key, value in arm.knobs.items() if key.startswith("method.base.")}
    for other in arms:
        other_knobs = {
            (key if other.method == TERM else key.replace("method.", "method.base.", 1)): value
            for key, value in other.knobs.items()
            if key not in ("method.base", "method.weight")
        }
        if not other.has_term and other.base == arm.base and other_knobs == base_knobs:
            return other.key
    return ""


def longer_step_of(arm: Arm, arms: Iterable[Arm]) -> str:
    """The key of the base whose steps are as long as an arm's with the MI term, "" if it is not among the arms."""
    if not arm.has_term:
        return ""
    knobs = {**arm.knobs, **LONGER_STEP}
    return next((other.key for other in arms if other.method == TERM and other.knobs == knobs), "")


def _exact(value: Scalar) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Curve:
    """Levels of a factor that lie on one numeric axis, with the factor's reference as the origin.

    axis: the label of the x axis; scale: `share`, `log` or `linear`; noun: what varies, `symmetric noise`. unit: what
    a slope is per, with `units` of them in 1 of the axis (for `log`, in a factor of ten). upto: the largest x that
    enters a slope. realised: the key of the perturbation's record with a level's realised x, "" for its nominal `at`.
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
    """One value of a factor. entry: what it adds to a trial's configuration; at: its nominal x on its curve.

    curve: the curve's name, "" for none. parts: the labels of the levels that it combines, such as noise and imbalance.
    view: the part of a trial's row that the level reads (`studies.engine.judging`), "" for the row itself.
    """

    label: str
    entry: Flat = field(default_factory=dict)
    at: float | None = None
    curve: str = ""
    parts: tuple[str, ...] = ()
    view: str = ""


@dataclass(frozen=True)
class Factor:
    """What a study varies besides the arms; the first level is the reference."""

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
    def read(record: Mapping[str, Any]) -> Factor:
        """The inverse of `json`.

        Raises: ValueError for a record of another shape.
        """
        return checked(record, Factor)


@dataclass(frozen=True)
class Setting:
    """One arm at one level of each factor, with a trial for each seed.

    levels: labels by factor; trials: their hashes; dummy: the coordinate of the dummy axis, which no trial reads.
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
    def read(record: Mapping[str, Any]) -> Setting:
        """The inverse of `json`.

        Raises: ValueError for a record of another shape.
        """
        return checked(record, Setting)


@dataclass(frozen=True)
class Planned:
    """An arm with the configuration of its trials, except for the factors' levels and the seed.

    once: the seeds to run at the reference levels if the arm does not depend on the seed there; None for all seeds.
    first: how many of the seeds to run, from the first on; None for all.
    """

    arm: Arm
    config: Flat
    dummy: float | None = None
    once: tuple[int, ...] | None = None
    first: int | None = None


def cross(
    planned: Sequence[Planned], factors: Sequence[Factor], seeds: Sequence[int]
) -> tuple[tuple[Setting, ...], tuple[Trial, ...]]:
    """Every arm at every combination of levels for every seed; a trial that several settings share is listed once.

    Raises: InputError for more than MOST_TRIALS.
    """
    require_few(math.prod(len(factor.levels) for factor in factors) * len(planned) * len(seeds))
    settings: list[Setting] = []
    trials: dict[str, Trial] = {}
    for levels in combinations(factors):
        entry: Flat = {key: value for level in levels.values() for key, value in level.entry.items()}
        at_reference = all(levels[factor.name] == factor.reference for factor in factors)
        for item in planned:
            arm_seeds = item.once if item.once is not None and (at_reference or not entry) else seeds[: item.first]
            arm_trials = [Trial.of(item.config | entry | {"seed": seed}) for seed in arm_seeds]
            labels = {name: level.label for name, level in levels.items()}
            hashes = tuple(trial.hash for trial in arm_trials)
            settings.append(Setting(len(settings), item.arm, labels, hashes, item.dummy))
            trials |= {trial.hash: trial for trial in arm_trials}
    return tuple(settings), tuple(trials.values())


def require_few(trials: int) -> None:
    """Raises: InputError for more trials than a study may have."""
    if trials > MOST_TRIALS:
        raise InputError(f"a study must have at most {MOST_TRIALS:,} trials, got about {trials:,}; ask for fewer")


def combinations(factors: Sequence[Factor]) -> Iterator[dict[str, Level]]:
    """One level of each factor, by name, the references first; without factors, one empty combination."""
    for levels in product(*(factor.levels for factor in factors)):
        yield {factor.name: level for factor, level in zip(factors, levels, strict=True)}
