"""The space of a study: the knobs that vary, their ranges and scales. Default ranges are declared with the knobs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mim4dd.errors import InputError, KnobError
from mim4dd.registry import Flat, Knob, Scalar, check_value, knobs, parse
from mim4dd.resolving import resolve
from studies.engine.reading import checked

if TYPE_CHECKING:
    from optuna import Trial as OptunaTrial
    from optuna.distributions import BaseDistribution

# A coordinate that no trial reads: its importance shows the noise of an importance measure.
DUMMY = "dummy"
# A knob on which accuracy and cost depend alike.
BUDGET = "iterations"


@dataclass(frozen=True)
class Axis:
    """One knob that varies: between `low` and `high`, or over ordered `values`. whole: only integers.

    name, help: of the axis, if not the knob's own; given: other knobs' values with which the knob has this meaning,
    such as `balance=gradnorm` for a weight that is a strength; every setting of the axis has them.
    """

    key: str
    symbol: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    values: tuple[Scalar, ...] = ()
    name: str = ""
    help: str = ""
    given: tuple[tuple[str, Scalar], ...] = ()

    @property
    def short(self) -> str:
        """The axis's name in words, or the knob's own name without the component's."""
        return self.name or self.key.rpartition(".")[2]

    def setting(self, sampled: Scalar) -> Flat:
        """The knobs that a sample of Optuna sets."""
        return {**dict(self.given), self.key: self.value(sampled)}

    def covers(self, values: Mapping[str, Scalar]) -> bool:
        """Whether a configuration lies on the axis, inside its range."""
        if any(values.get(key) != value for key, value in self.given):
            return False
        try:
            return -1e-9 <= self.unit(values[self.key]) <= 1 + 1e-9
        except InputError:
            return False  # not among the listed values

    @staticmethod
    def read(record: Mapping[str, Any]) -> Axis:
        """The axis of its `asdict`, as JSON holds it.

        Raises: ValueError for a record of another shape.
        """
        return checked(record, Axis)

    def distribution(self) -> BaseDistribution:
        """The axis as Optuna stores it, and its dashboard shows it: listed values by themselves, not by rank."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.values:
            return CategoricalDistribution(self.values)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def value(self, sampled: Scalar) -> Scalar:
        """The knob's value for a sample of Optuna; floats get 3 significant digits, so that printed ones are exact."""
        if self.values:
            return sampled
        if self.whole:
            return int(sampled)
        return min(max(float(f"{float(sampled):.3g}"), self.low), self.high)

    def unit(self, value: Scalar) -> float:
        """The value's position on the axis's scale, in [0, 1] for values in the range.

        Raises: InputError when it is not among the `values` of the axis.
        """
        if self.values:
            if value not in self.values:
                raise InputError(f"{self.key}={value} is not among {', '.join(map(str, self.values))}")
            return self.values.index(value) / max(1, len(self.values) - 1)
        low, high, x = (math.log(v) if self.log else v for v in (self.low, self.high, float(value)))
        return (x - low) / (high - low)

    def sample(self, position: float) -> Scalar:
        """The sample of Optuna at a position in [0, 1), values and whole numbers with equal shares of it."""
        if self.values:
            return self.values[int(position * len(self.values))]
        if self.whole and not self.log:
            return int(self.low + position * (self.high - self.low + 1))
        return round(self.from_unit(position)) if self.whole else self.from_unit(position)

    def from_unit(self, position: float) -> float:
        """The inverse of `unit` for a continuous axis; for an axis of `values` their index, not rounded."""
        if self.values:
            return position * (len(self.values) - 1)
        if self.log:
            return float(self.low * (self.high / self.low) ** position)
        return self.low + position * (self.high - self.low)


Space = tuple[Axis, ...]


def make_space(
    keys: Sequence[str],
    ranges: Mapping[str, str],
    config: Flat,
    declared: Mapping[str, Knob],
    fixed: Sequence[str],
    made: Axis | None = None,
) -> Space:
    """The axes of a study: its own knobs (`keys`) except fixed ones, and those named by `--range`, with their ranges.

    declared: every knob of the configuration by its dotted name; config: their default values; made: the axis of one of
    the study's own knobs, which is not made from its declaration.
    Raises: UnknownNameError, KnobError or InputError for a range that cannot be searched.
    """
    texts = {resolve(key, declared): text for key, text in ranges.items()}
    for key in texts:
        if key in fixed:
            raise InputError(f"{key} is fixed by --set and varied by --range; give only one of them")
    for key in texts:
        if key.startswith("source."):
            raise InputError(f"{key} belongs to the data, which all trials share; choose it with --set {key}=VALUE")
        if any(other.startswith(f"{key}.") for other in declared):
            raise InputError(f"{key} is a component, which --range cannot vary; choose one with --set {key}=NAME")
    absent = [key for key in keys if key not in declared]
    if absent:
        raise InputError(f"{config['method']} has no knob {absent[0]}; this study searches the knobs of mim on a base")
    searched = [key for key in keys if key not in fixed]
    searched += [key for key in texts if key not in searched]
    if not searched:
        raise InputError("--set fixes every knob of this study, so that none varies; leave one free")
    return tuple(
        made if made and key == made.key else make_axis(key, declared[key], config[key], texts.get(key, ""))
        for key in searched
    )


def own_knobs(method: Any) -> list[str]:
    """The knobs of a method (class or instance) that a study of it varies: those with a range to search.

    How many iterations it runs is a budget, on which its accuracy and its cost depend alike.
    """
    return [name for name, knob in knobs(method).items() if knob.search and name.rpartition(".")[2] != BUDGET]


def around(axis: Axis, default: Scalar) -> Axis:
    """The axis, or, where a positive default lies outside its logarithmic range, as wide a range around the default.

    A protocol may set a rate for images of another size than the declared range is for.
    """
    if axis.values or not axis.log or not isinstance(default, int | float) or default <= 0:
        return axis
    if axis.low <= default <= axis.high:
        return axis
    half = math.sqrt(axis.high / axis.low)
    return replace(axis, low=float(f"{default / half:.3g}"), high=float(f"{default * half:.3g}"))


def inside(space: Space, values: Flat) -> bool:
    """Whether a configuration lies on every axis, inside its range; `--range` may exclude a default."""
    return all(axis.covers(values) for axis in space)


def setting_of(space: Space, sampled: Iterable[Scalar]) -> Flat:
    """The knobs that samples of Optuna set, one for each axis."""
    knobs: Flat = {}
    for axis, sample in zip(space, sampled, strict=True):
        knobs |= axis.setting(sample)
    return knobs


def keys_of(space: Space) -> tuple[str, ...]:
    """The knobs that a setting of the space has: those of the axes, and those given with them."""
    return tuple(dict.fromkeys(key for axis in space for key in (*(key for key, _ in axis.given), axis.key)))


def make_axis(key: str, knob: Knob, default: Scalar, text: str) -> Axis:
    """One axis from a knob's declared range, or from the text of `--range`: `low:high` or `a,b,c`; "" for none.

    Raises: InputError or KnobError for a range that the knob cannot have.
    """
    if not text and not knob.search:
        raise InputError(f"{key} declares no search range; give one with --range {key}=low:high or a,b,c")
    symbol = knob.symbol or key.rpartition(".")[2]
    listed = bool(knob.search) and not (knob.log or len(knob.search) == 2)
    if text and ":" not in text:
        values = tuple(parse(key, default, part.strip()) for part in text.split(","))
        return _listed(key, symbol, knob, values)
    if not text:
        if listed:
            return _listed(key, symbol, knob, knob.search)
        low, high = (float(end) for end in knob.search)
    else:
        if isinstance(default, str | bool):
            raise InputError(f"{key} takes values, not a range; give --range {key}={','.join(map(str, knob.choices))}")
        parts = text.split(":")
        if len(parts) != 2:
            raise InputError(f"--range {key} must be low:high or a,b,c, got '{text}'")
        low, high = (float(parse(key, 0.0, part)) for part in parts)
        if listed:
            values = tuple(value for value in knob.search if low <= float(value) <= high)
            return _listed(key, symbol, knob, values or (low,))
    for end in (low, high):
        check_value(key, knob, end)
    if not low < high:
        raise KnobError(f"--range {key} must have low < high, got {low:g}:{high:g}")
    if knob.log and low <= 0:
        raise KnobError(f"--range {key} is searched on a log scale and must start above 0, got {low:g}")
    return Axis(key, symbol, low, high, knob.log, isinstance(default, int))


def _listed(key: str, symbol: str, knob: Knob, values: tuple[Scalar, ...]) -> Axis:
    for value in values:
        check_value(key, knob, value)
    if len(set(values)) < 2:
        raise KnobError(f"--range {key} must leave at least two values, got {', '.join(map(str, values)) or 'none'}")
    return Axis(key, symbol, values=values)


@dataclass(frozen=True)
class Suggest:
    """The space as a function of an Optuna trial; a module-level class, so that Tune can pickle it by reference."""

    space: Space

    def __call__(self, trial: OptunaTrial) -> None:
        for axis in self.space:
            if axis.values:
                trial.suggest_categorical(axis.key, axis.values)
            elif axis.whole:
                trial.suggest_int(axis.key, int(axis.low), int(axis.high), log=axis.log)
            else:
                trial.suggest_float(axis.key, axis.low, axis.high, log=axis.log)
