"""The arms of a stress suite: what each is called, and which of them is a term's own base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mim4dd.methods import METHODS, Mim
from mim4dd.registry import Scalar, knobs
from studies.engine.design import Setting

NAMES = {"random": "random real images", "base": "{base}", "default": "{base} + MIM4DD", "full": "full data"}
# The roles of the arms that every suite has.
OWN = (*NAMES, "variant")


@dataclass(frozen=True)
class Arm:
    """What is compared: a method with its knobs.

    key: its role, and the knobs that tell it from the others. base: where the same method without the MI term stands
    among the arms; None for an arm that has no term, or whose base is not among them.
    """

    key: tuple[Any, ...]
    role: str
    name: str
    base: int | None

    @property
    def has_term(self) -> bool:
        """Whether the MI term is on, and its gain over the base can be told."""
        return self.base is not None


def arms_of(settings: Sequence[Setting], base: str) -> list[Arm]:
    """One for each setting of a condition; base: the registered name of the base that the suite is about."""
    return [Arm(key_of(one), one.role, _name(one, base), _base(one, base, settings)) for one in settings]


def key_of(setting: Setting) -> tuple[Any, ...]:
    """What tells an arm from the others, under every condition."""
    return (setting.role, *sorted(setting.knobs.items()))


def _base(setting: Setting, base: str, settings: Sequence[Setting]) -> int | None:
    """Where the method without the term stands among the settings."""
    if setting.role in ("default", "variant"):
        return next(i for i, one in enumerate(settings) if one.role == "base")
    if setting.role in OWN or setting.knobs["method"] != "mim":
        return None
    of_base = {key: value for key, value in setting.knobs.items() if f"{key}.".startswith("method.base.")}
    wanted = {key.replace("method.base", "method", 1): value for key, value in of_base.items()}
    for i, one in enumerate(settings):
        if one.role == "base" and wanted == {"method": base}:
            return i
        if one.role not in OWN and dict(one.knobs) == wanted:
            return i
    return None


def _name(setting: Setting, base: str) -> str:
    """What the arm is called: `DM + MIM4DD (gradnorm, λ=1)`, `herding`, `DC (batch_real=32)`."""
    if setting.role in NAMES:
        return NAMES[setting.role].format(base=base.upper())
    held = {key: value for key, value in setting.knobs.items() if key not in ("method", "method.base")}
    method = setting.knobs.get("method", "mim")
    if method == "mim":
        name = f"{str(setting.knobs.get('method.base', base)).upper()} + MIM4DD"
    else:
        name = str(method) if METHODS.build(str(method)).iterations == 0 else str(method).upper()
    return f"{name} ({_told(held)})" if held else name


def _told(held: Mapping[str, Scalar]) -> str:
    """Knobs in words, a choice by its value alone: `gradnorm, λ=1`."""
    declared = knobs(Mim)
    told = []
    for key, value in sorted(held.items(), key=lambda pair: isinstance(pair[1], int | float)):
        name = key.rpartition(".")[2]
        symbol = declared[name].symbol if name in declared else ""
        told.append(str(value) if isinstance(value, str) else f"{symbol or name}={value:g}")
    return ", ".join(told)
