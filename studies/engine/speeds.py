"""How long operations take on a machine: rates that are fitted to measured trials, and serve forecasts.

A stage takes step x launches + multiply_add x multiply-adds + number x numbers written + draw x numbers drawn seconds,
with rates of at least 0: the launches bound small networks, the products large ones, and norms, activations and pooling
move numbers in between. A single rate a multiply-add misses small networks by a factor of ten.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mim4dd.durable import read_json
from mim4dd.errors import InputError
from studies.engine.reading import checked, reason

if TYPE_CHECKING:
    from mim4dd.complexity import Operations

# A file of rates that a study of cost has written; that of this package is used where a machine has none of its own.
FILE = "speeds.json"
SHIPPED = Path(__file__).with_name(FILE)
ANY = "any method"


@dataclass(frozen=True)
class Rate:
    """Seconds of each; off: the typical factor by which the fit misses, 1 for a perfect one."""

    step: float
    multiply_add: float
    number: float
    draw: float
    off: float = 1.0
    n: int = 0

    def seconds(self, operations: Operations, times: float = 1.0) -> float:
        """The seconds of so many repetitions of these operations."""
        products = operations.flops / 2
        return times * (
            self.step * operations.steps
            + self.multiply_add * products
            + self.number * operations.activations
            + self.draw * operations.drawn
        )

    def times(self, factor: float) -> Rate:
        """Those of a machine that takes so many times the seconds."""
        slower = {name: factor * getattr(self, name) for name in ("step", "multiply_add", "number", "draw")}
        return replace(self, **slower)


@dataclass(frozen=True)
class Driver:
    """Seconds besides operations: of a trial, of one that measures, more of one that measures memory too; of a study,
    until its first trial starts, and between two of them."""

    trial_seconds: float
    measuring_seconds: float
    memory_seconds: float
    startup_seconds: float
    between_seconds: float

    def times(self, factor: float) -> Driver:
        """Those of a machine that takes so many times the seconds."""
        return Driver(**{name: factor * seconds for name, seconds in asdict(self).items()})


@dataclass(frozen=True)
class Speeds:
    """The rates of a machine. iteration: by base, and `any method`; training, classification: of networks.

    machine: in words; device, threads: of a trial that was measured. driver: seconds of a study besides its trials,
    see `studies.engine.estimate`. pace: `pace_seconds` of the machine, 0 where it was not measured.
    """

    machine: str
    device: str
    threads: int
    iteration: Mapping[str, Rate]
    training: Rate
    classification: Rate
    driver: Driver
    pace: float = 0.0

    def of(self, base: str) -> Rate:
        """The rate of a method's iterations; that of all methods for one that was not measured."""
        return self.iteration.get(base) or self.iteration[ANY]

    def at(self, pace: float) -> Speeds:
        """Those of a machine of another pace; these, where the pace of theirs is unknown or they are a GPU's."""
        if not self.pace or self.device != "cpu":
            return self
        factor = pace / self.pace
        return Speeds(
            f"{self.machine}, times {factor:.2g} for this machine",
            self.device,
            self.threads,
            {base: rate.times(factor) for base, rate in self.iteration.items()},
            self.training.times(factor),
            self.classification.times(factor),
            self.driver.times(factor),
            pace,
        )

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of_record(record: Any) -> Speeds:
        """The inverse of `json`.

        Raises: ValueError for a record of another shape.
        """
        speeds: Speeds = checked(record, Speeds)
        return speeds

    @staticmethod
    def read(path: Path) -> Speeds:
        """The rates in a file.

        Raises: InputError.
        """
        try:
            return Speeds.of_record(read_json(path))
        except ValueError as error:
            raise InputError(f"{path} holds no speeds of a machine ({reason(error)}); remove it") from error


def speeds_beside(out: Path, device: str, threads: int) -> Speeds:
    """The latest rates of such trials that a study of cost has left beside a study's folder, or those of this package.

    Raises: InputError for a file that cannot be read.
    """
    written = sorted(out.parent.glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime, reverse=True)
    found = (Speeds.read(path) for path in written)
    return next((s for s in found if (s.device, s.threads) == (device, threads)), None) or Speeds.read(SHIPPED)


def fit(operations: Sequence[Operations], seconds: Sequence[float]) -> Rate:
    """Rates by non-negative least squares of the relative errors.

    Raises: ValueError for no measurement.
    """
    import numpy as np
    from scipy.optimize import nnls

    if not operations:
        raise ValueError("rates need at least one measurement")
    features = np.array([[one.steps, one.flops / 2, one.activations, one.drawn] for one in operations], dtype=float)
    relative = features / np.asarray(seconds, dtype=float)[:, None]
    scale = np.maximum(relative.max(axis=0), 1e-300)  # so that the solver sees columns of one size
    found, _ = nnls(relative / scale, np.ones(len(relative)))
    errors = np.log(np.maximum(relative @ (found / scale), 1e-12))
    off = math.exp(float(np.sqrt(np.mean(errors**2))))
    step, multiply_add, number, draw = (float(rate) for rate in found / scale)
    return Rate(step, multiply_add, number, draw, off, len(relative))
