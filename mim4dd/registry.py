"""Components and their knobs: declared once, beside themselves, as frozen dataclasses.

A knob's declaration says what is *valid* (checked), what to *search* (the default space of a study) and on which
scale. The check, the command line's help and the Optuna space all read it. Components travel as flat scalars
(`method=mim, method.base=dm, method.base.iterations=300`) and are rebuilt and checked again by the receiver.
"""

from __future__ import annotations

import difflib
import functools
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Generic, TypeVar

from mim4dd.documenting import Documented
from mim4dd.errors import InputError, KnobError, UnknownNameError, exact
from mim4dd.functions import Functions
from mim4dd.interface import require_component
from mim4dd.origins import REGISTERED, Registered, plugin_of

Scalar = str | int | float | bool
Flat = dict[str, Scalar]
C = TypeVar("C")
# The entry of a component's flat scalars that names the plug-in from which it comes.
PLUGIN = "plugin"


@dataclass(frozen=True)
class Knob:
    """What a component declares about one of its fields.

    low, high: the valid closed range; above: a valid open lower end; choices: the valid values, or functions, of which
    a knob names one. search: the ends of the
    default search range, or the values to search. log: the scale of the search. symbol: how axes and tables name it.
    tacit: flat scalars leave the knob out at its default, so that records from before it existed keep their hash.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    choices: tuple[Scalar, ...] | Functions = ()
    search: tuple[Scalar, ...] = ()
    log: bool = False
    symbol: str = ""
    help: str = ""
    tacit: bool = False


def knob(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: Iterable[Scalar] = (),
    search: Iterable[Scalar] = (),
    log: bool = False,
    symbol: str = "",
    help: str = "",
    tacit: bool = False,
) -> Any:
    """A dataclass field with its declaration; see `Knob`. Raises: ValueError for a range to search from high to low."""
    search = tuple(search)
    match search:
        case (int() | float() as least, int() | float() as most) if not least < most:
            raise ValueError(f"search must be (low, high) with low < high, got ({least}, {most})")
    valid = choices if isinstance(choices, Functions) else tuple(choices)
    declared = Knob(low, high, above, valid, search, log, symbol, help, tacit)
    return field(default=default, metadata={"knob": declared})


def part(registry: Registry[Any], default: str, *, help: str = "") -> Any:
    """A field that holds another component, such as the base that `mim` wraps."""
    return field(
        default_factory=lambda: registry.build(default),
        metadata={"registry": registry, "default": default, "knob": Knob(help=help)},
    )


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for an unregistered name, with the nearest one and, unless it is long, the list of known names."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near and len(names) > 12:
        return UnknownNameError(f"unknown {kind} '{name}'; did you mean '{near[0]}'?")
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return UnknownNameError(f"unknown {kind} '{name}'{hint} Known: {', '.join(names)}")


class Registry(Generic[C]):
    """Named components of one kind. To register a component is to list, document, test and search it."""

    def __init__(self, kind: str, interface: type | None = None) -> None:
        """interface: a Protocol, whose members every class must have."""
        self.kind, self.interface = kind, interface
        self._classes: dict[str, type[C]] = {}

    def add(self, name: str) -> Callable[[type[C]], type[C]]:
        """Register a frozen dataclass under `name`; its docstring lists its knobs, which every new instance checks.

        Raises: ValueError for a name that is taken; TypeError for what is no frozen dataclass or lacks a member of the
        interface.
        """

        def register(cls: type[C]) -> type[C]:
            if name in self._classes:
                raise ValueError(f"{self.kind} '{name}' is registered already; choose another name")
            require_component(f"{self.kind} '{name}'", cls, self.interface)
            # A component's own check comes after ours, so that it gets values of the declared types.
            hook = "__post_init__" if hasattr(cls, "__post_init__") else "__init__"
            original = getattr(cls, hook)

            @functools.wraps(original)  # help() and IDEs show its signature
            def init(self: Any, *args: Any, **kwargs: Any) -> None:
                if hook == "__init__":
                    original(self, *args, **kwargs)
                check(self)
                if hook == "__post_init__":
                    original(self)

            setattr(cls, hook, init)
            cls.name = name  # type: ignore[attr-defined]
            cls.kind = self.kind  # type: ignore[attr-defined]
            cls.__doc__ = Documented(cls)
            self._classes[name] = cls
            REGISTERED.append(Registered(self.kind, name, cls.__module__))
            return cls

        return register

    def names(self) -> list[str]:
        return sorted(self._classes)

    def __contains__(self, name: str) -> bool:
        return name in self._classes

    def get(self, name: str) -> type[C]:
        """The class registered under `name`.

        Raises: UnknownNameError with the nearest name.
        """
        if name not in self._classes:
            raise unknown(self.kind, name, self._classes)
        return self._classes[name]

    def build(self, name: str, flat: Mapping[str, Scalar] | None = None) -> C:
        """The component `name` from flat scalars (`{"base": "dm", "base.iterations": 300, "temperature": 0.5}`).

        Raises: UnknownNameError for a name or knob that does not exist; KnobError for a value out of range.
        """
        cls = self.get(name)
        remaining = dict(flat or {})
        planned = remaining.pop(PLUGIN, None)
        values: dict[str, Any] = {}
        for item in component_fields(cls):
            inside = [key for key in remaining if key.startswith(f"{item.name}.")]
            nested = {key.split(".", 1)[1]: remaining.pop(key) for key in inside}
            inner: Registry[Any] | None = item.metadata.get("registry")
            if inner is None:
                if nested:
                    raise KnobError(f"{name}.{item.name} is a value and has no knobs of its own")
                if item.name in remaining:
                    values[item.name] = parse(f"{name}.{item.name}", default_of(item), remaining.pop(item.name))
            elif item.name in remaining or nested:
                default = name_of(default_of(item))
                values[item.name] = inner.build(str(remaining.pop(item.name, default)), nested)
        if remaining:
            raise unknown(f"knob of {self.kind} {name}", next(iter(remaining)), knobs(cls))
        component = cls(**values)
        if planned not in (None, origin := origin_of(component)):
            raise InputError(
                f"{self.kind} {name} was planned with the plug-in {planned}, here it is {origin or 'ours'}"
            )
        return component


def name_of(component: Any) -> str:
    """The name that a component (class or instance) is registered under."""
    return str(component.name)


def component_fields(component: Any) -> list[Field[Any]]:
    """The fields that are knobs or parts, in order."""
    return [item for item in fields(component) if "knob" in item.metadata]


def default_of(item: Field[Any]) -> Any:
    """A field's default value."""
    if item.default_factory is not MISSING:
        return item.default_factory()
    return item.default


def parse(name: str, default: Any, value: Any) -> Scalar:
    """`value`, a scalar or its text from a command line, as the type of the knob's default.

    Raises: KnobError when the text is not of that type.
    """
    kind = type(default)
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "false", "1", "0", "yes", "no"):
            return str(value).lower() in ("true", "1", "yes")
    elif kind is str:
        return str(value)
    else:
        try:
            if kind is int and not isinstance(value, bool) and float(value) == int(float(value)):
                return int(float(value))
            if kind is float:
                return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise KnobError(f"{name} must be {_kinds[kind]}, got {reprlib.repr(value)}")


_kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def check(component: Any) -> None:
    """Check every knob of a component against its declaration, and give numbers their declared type.

    Raises: KnobError with the rule and the value.
    """
    for item in component_fields(component):
        name, value = f"{name_of(component)}.{item.name}", getattr(component, item.name)
        if "registry" in item.metadata:
            if item.metadata["registry"].kind != getattr(value, "kind", None):
                raise KnobError(f"{name} must be a {item.metadata['registry'].kind}, got {value!r}")
            continue
        value = parse(name, default_of(item), value)
        check_value(name, item.metadata["knob"], value)
        object.__setattr__(component, item.name, value)


def check_value(name: str, declared: Knob, value: Scalar) -> None:
    """Check one value against a knob's declaration.

    Raises: KnobError with the rule and the value.
    """
    if declared.choices and value not in declared.choices:
        raise KnobError(f"{name} must be one of {', '.join(map(str, declared.choices))}, got {value}")
    if isinstance(value, str) or isinstance(value, bool):
        return
    if not math.isfinite(value):
        raise KnobError(f"{name} must be finite, got {value}")
    low, high, above = declared.low, declared.high, declared.above
    bad = (low is not None and value < low) or (high is not None and value > high)
    if bad or (above is not None and value <= above):
        opening = f"({exact(above)}" if above is not None else f"[{exact(low)}" if low is not None else "(-inf"
        closing = f"{exact(high)}]" if high is not None else "inf)"
        raise KnobError(f"{name} must be in {opening}, {closing}, got {exact(value)}")


def knobs(component: Any, prefix: str = "") -> dict[str, Knob]:
    """Every knob of a component (class or instance) by its dotted name, parts included."""
    declared: dict[str, Knob] = {}
    for item in component_fields(component):
        declared[prefix + item.name] = item.metadata["knob"]
        if "registry" in item.metadata:
            inner = default_of(item) if isinstance(component, type) else getattr(component, item.name)
            declared |= knobs(inner, f"{prefix}{item.name}.")
    return declared


def flatten(component: Any, prefix: str) -> Flat:
    """A component as flat scalars: its registered name under `prefix`, its knobs under `prefix.knob`.

    A tacit knob is left out at its default. The component of a plug-in has an entry that names it by its content.
    """
    flat: Flat = {prefix: name_of(component)}
    if origin := origin_of(component):
        flat[f"{prefix}.{PLUGIN}"] = origin
    for item in component_fields(component):
        value = getattr(component, item.name)
        if "registry" in item.metadata:
            flat |= flatten(value, f"{prefix}.{item.name}")
        elif not item.metadata["knob"].tacit or value != default_of(item):
            flat[f"{prefix}.{item.name}"] = value
    return flat


def origin_of(component: Any) -> str:
    """The plug-ins from which a component and the functions that its knobs name come, "" for our own."""
    named = [
        item.metadata["knob"].choices.added(getattr(component, item.name))
        for item in component_fields(component)
        if isinstance(item.metadata["knob"].choices, Functions)
    ]
    return plugin_of(type(component), *named)


def unflatten(registry: Registry[C], flat: Mapping[str, Scalar], prefix: str) -> C:
    """The component that `flatten(component, prefix)` described."""
    inner = {key[len(prefix) + 1 :]: value for key, value in flat.items() if key.startswith(f"{prefix}.")}
    return registry.build(str(flat[prefix]), inner)
