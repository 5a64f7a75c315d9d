"""Designs: which settings a study tries. Fixed ones are sampled from Optuna up front and saved with the study."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mim4dd.registry import Flat
from mim4dd.seeding import integer
from studies.engine.space import DUMMY, Axis, Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

FIXED = ("qmc", "random", "grid")
SEARCHES = ("tpe", "gp")


@dataclass(frozen=True)
class Design:
    """How the settings of a study are chosen. seed: of the draw; asha: whether a search stops poor settings early."""

    name: str = "qmc"
    settings: int = 16
    seed: int = 0
    asha: bool = False

    @property
    def adaptive(self) -> bool:
        """Whether an optimizer suggests the settings while the study runs."""
        return self.name in SEARCHES

    def describe(self) -> str:
        """The design in words, for study.json (whose hash contains them) and the report."""
        draw = f", draw {self.seed}" if self.seed else ""
        return f"{self.name}{' with ASHA' if self.asha else ''}, {self.settings} settings{draw}"


def fixed_design(name: str, space: Space, count: int, seed: int = 0) -> list[tuple[Flat, float | None]]:
    """`count` points (for `grid`, the largest full factorial that fits), each with its dummy coordinate (a grid: None).

    qmc: scrambled Sobol points; random: independent uniform ones; both on each knob's own scale.
    """
    axes = (*space, Axis(DUMMY, DUMMY))
    if name == "grid":
        return [(values, None) for values in _grid(space, count)]
    import optuna
    from optuna.exceptions import ExperimentalWarning

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {axis.key: axis.distribution() for axis in axes}
    sampler: BaseSampler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if name == "qmc":
            sampler = optuna.samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=integer("design", seed) % 2**32)
        else:
            sampler = optuna.samplers.RandomSampler(seed=integer("design", seed) % 2**32)
        study = optuna.create_study(sampler=sampler)
    # The QMC sampler learns its space from a finished trial: this one is no point of the design.
    first = {axis.key: axis.sampled(axis.values[0]) if axis.values else axis.low for axis in axes}
    study.add_trial(optuna.trial.create_trial(params=first, distributions=distributions, value=0.0))
    points: list[tuple[Flat, float | None]] = []
    for _ in range(count):
        params = study.ask(fixed_distributions=distributions).params
        values = {axis.key: axis.value(params[axis.key]) for axis in space}
        points.append((values, float(params[DUMMY])))
    return points


def _grid(space: Space, count: int) -> list[Flat]:
    """The largest grid with at most `count` points, ends included: the axis with the fewest levels grows first."""
    import itertools
    import math

    levels = [1] * len(space)
    grew = True
    while grew:
        grew = False
        for k in sorted(range(len(space)), key=lambda k: levels[k]):
            grown = [*levels[:k], levels[k] + 1, *levels[k + 1 :]]
            if math.prod(grown) <= count and grown[k] <= (len(space[k].values) or count):
                levels, grew = grown, True
                break
    columns = []
    for axis, n in zip(space, levels, strict=True):
        positions = [k / (n - 1) for k in range(n)] if n > 1 else [0.5]
        sampled = [axis.from_unit(position) for position in positions]
        columns.append([axis.value(round(s) if axis.values else s) for s in sampled])
    keys = [axis.key for axis in space]
    return [dict(zip(keys, values, strict=True)) for values in itertools.product(*columns)]


def search_sampler(name: str, seed: int) -> BaseSampler:
    """The sampler of an adaptive design."""
    import optuna

    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=8)
