"""Designs: which settings a study tries. Fixed ones are drawn up front and saved with the study."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mim4dd.errors import InputError
from mim4dd.registry import Flat
from mim4dd.seeding import generator, integer
from studies.engine.space import DUMMY, Axis, Space, setting_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

FIXED = ("latin", "qmc", "random", "grid")
LATIN = (4, 9, 25, 49)
DRAWS = 100
SEARCHES = ("tpe", "gp")
# The attribute that a setting has in Optuna: its seeds' accuracies.
BY_SEED = "validation accuracy by seed"


@dataclass(frozen=True)
class Design:
    """How the settings of a study are chosen. seed: of the draw; asha: whether a search stops poor settings early."""

    name: str = "latin"
    settings: int = 9
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
    """`count` points (for `grid`, the largest full factorial that fits), each with its dummy coordinate.

    latin: a Latin hypercube on an orthogonal array; qmc: scrambled Sobol points; random: independent uniform ones; all
    on each knob's own scale. The dummy is None for a grid, and for a Latin hypercube without a column to spare.
    Raises: InputError for a number of settings or knobs that no such Latin hypercube has.
    """
    if name == "grid":
        return [(values, None) for values in _grid(space, count)]
    if name == "latin":
        return _latin(space, count, seed)
    import optuna
    from optuna.exceptions import ExperimentalWarning

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Positions in the unit cube: `Axis.sample` gives listed values and whole numbers equal shares of it.
    unit: dict[str, BaseDistribution] = {
        axis.key: optuna.distributions.FloatDistribution(0.0, 1.0) for axis in (*space, Axis(DUMMY, DUMMY))
    }
    sampler: BaseSampler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if name == "qmc":
            sampler = optuna.samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=integer("design", seed) % 2**32)
        else:
            sampler = optuna.samplers.RandomSampler(seed=integer("design", seed) % 2**32)
        study = optuna.create_study(sampler=sampler)
    # The QMC sampler learns its space from a finished trial: this one is no point of the design.
    study.add_trial(optuna.trial.create_trial(params=dict.fromkeys(unit, 0.0), distributions=unit, value=0.0))
    points: list[tuple[Flat, float | None]] = []
    for _ in range(count):
        drawn = study.ask(fixed_distributions=unit).params
        points.append((setting_of(space, (axis.sample(drawn[axis.key]) for axis in space)), float(drawn[DUMMY])))
    return points


def _latin(space: Space, count: int, seed: int) -> list[tuple[Flat, float | None]]:
    """A Latin hypercube of strength 2 with p^2 points, p prime: any two knobs meet in all p x p pairs of their p-ths.

    The thirds of 9 points are therefore balanced over those of every other knob, which the halves of 8 Sobol points are
    not: there the halves of two of four knobs are the same. Of DRAWS hypercubes, the most uniform one is taken.
    Source: Tang 1993, "Orthogonal array-based Latin hypercubes"; Hickernell 1998 for the centred discrepancy.
    """
    from scipy.stats import qmc

    p = math.isqrt(count)
    if count not in LATIN:
        raise InputError(
            f"--design latin takes {', '.join(map(str, LATIN))} settings, got {count}; --design qmc takes any number"
        )
    if len(space) > p + 1:
        more = next((f"--settings {other}" for other in LATIN if len(space) <= math.isqrt(other) + 1), "--design qmc")
        raise InputError(
            f"--design latin with {count} settings takes at most {p + 1} knobs, got {len(space)}; {more} takes as many"
        )
    columns = min(len(space) + 1, p + 1)
    sampler = qmc.LatinHypercube(columns, strength=2, rng=generator("design", seed))
    units = min((sampler.random(count) for _ in range(DRAWS)), key=qmc.discrepancy)
    points: list[tuple[Flat, float | None]] = []
    for unit in units:
        dummy = float(unit[-1]) if columns > len(space) else None
        sampled = (axis.sample(float(u)) for axis, u in zip(space, unit, strict=False))
        points.append((setting_of(space, sampled), dummy))
    return points


def _grid(space: Space, count: int) -> list[Flat]:
    """The largest grid with at most `count` points, ends included: the axis with the fewest levels grows first."""
    import itertools

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
        columns.append([axis.values[round(rank)] for rank in sampled] if axis.values else sampled)
    return [setting_of(space, point) for point in itertools.product(*columns)]


def search_sampler(name: str, seed: int) -> BaseSampler:
    """The sampler of an adaptive design."""
    import optuna

    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=8)


def by_seed(accuracy: float) -> float | str:
    """A trial's accuracy among those of its setting, as JSON holds it and a dashboard shows it."""
    return "none" if math.isnan(accuracy) else round(accuracy, 4)
