"""The register of failure modes: each a named detector with thresholds as knobs, a value, and what it says in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from mim4dd.registry import Registry
from studies.engine.statistics.contrasts import Judged

Array = npt.NDArray[np.float64]
FAILED, HEALTHY, UNDECIDED = "failed", "healthy", "undecided"


@dataclass(frozen=True)
class Finding:
    """What a detector says. value and threshold are in the mode's own unit; side: which end failed, or ""."""

    state: str
    value: float | None
    threshold: float
    evidence: str
    side: str = ""

    def json(self) -> dict[str, Any]:
        return asdict(self)


class TrialDetector(Protocol):
    """Reads the record of one trial: its result and its history; None where the mode cannot occur."""

    scope: ClassVar[str]

    def __call__(self, result: Mapping[str, Any], history: Sequence[Mapping[str, float]]) -> Finding | None: ...


@dataclass(frozen=True, eq=False)
class Group:
    """One arm at one level over its seeds: its accuracies, and contrasts that the answer has judged by the one rule.

    accuracy: [seeds, networks], NaN where a trial is missing; over_random: less random real images; gain: less its
    control; rejected: the share of synthetic images whose label the clean reference rejects, less that of the control
    without label noise; memorising: the share of flipped real images that networks trained on the set give their wrong
    label, less `chance`; each None where the comparison makes no sense. chance: one in the other classes.
    """

    accuracy: Array
    over_random: Judged | None = None
    gain: Judged | None = None
    rejected: Judged | None = None
    memorising: Judged | None = None
    chance: float = 0.0


class GroupDetector(Protocol):
    """Reads a group; None where the mode cannot occur, `undecided` where the rule decides nothing."""

    scope: ClassVar[str]

    def __call__(self, group: Group) -> Finding | None: ...


FAILURES: Registry[Any] = Registry("failure mode")


def named(mode: str, side: str) -> str:
    """A mode with the end at which it failed, `critic_saturated (flat)`."""
    return f"{mode} ({side})" if side else mode


def describe(name: str) -> str:
    """A mode's meaning: the first line of its docstring."""
    return str(FAILURES.get(name).__doc__).splitlines()[0]
