"""The registry of failure modes: named detectors with thresholds as knobs, and the records they read and return."""

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
    """A detector's result.

    state: FAILED, HEALTHY or UNDECIDED; value, threshold: in the mode's unit; evidence: the numbers in words; side: of
    a mode with two thresholds the one that failed, otherwise "".
    """

    state: str
    value: float | None
    threshold: float
    evidence: str
    side: str = ""

    def json(self) -> dict[str, Any]:
        return asdict(self)


class TrialDetector(Protocol):
    """Reads the result and the history of one trial; returns None if the mode cannot occur in it.

    scope: `trial`, or `term` for a failure mode of the MI term.
    """

    scope: ClassVar[str]

    def __call__(self, result: Mapping[str, Any], history: Sequence[Mapping[str, float]]) -> Finding | None: ...


@dataclass(frozen=True, eq=False)
class Group:
    """One arm at one level over its seeds: accuracies, and contrasts as the answer judged them.

    accuracy: [seeds, networks], NaN if a trial is missing. over_random: less random real images; gain: less its
    control; rejected: the share of synthetic images whose label the clean reference rejects, less that of the control
    without label noise; memorising: the share of flipped real images that networks trained on the set give their wrong
    label, less `chance`; each None if there is no such comparison. chance: 1 / (C - 1). changed: the accuracy on
    another network less that on the network that the set was distilled on; transferred: less the same of random real
    images; doubled: the same less so many times that of random images as `overfits_architecture` allows.
    """

    accuracy: Array
    over_random: Judged | None = None
    gain: Judged | None = None
    rejected: Judged | None = None
    memorising: Judged | None = None
    chance: float = 0.0
    changed: Judged | None = None
    transferred: Judged | None = None
    doubled: Judged | None = None


class GroupDetector(Protocol):
    """Reads a group; returns None if the mode cannot occur in it, `undecided` if the contrast is undecided."""

    scope: ClassVar[str]

    def __call__(self, group: Group) -> Finding | None: ...


FAILURES: Registry[Any] = Registry("failure mode")


def named(mode: str, side: str) -> str:
    """A mode with the side on which it failed, `critic_saturated (flat)`."""
    return f"{mode} ({side})" if side else mode


def describe(name: str) -> str:
    """A mode's meaning: the first line of its docstring."""
    return str(FAILURES.get(name).__doc__).splitlines()[0]
