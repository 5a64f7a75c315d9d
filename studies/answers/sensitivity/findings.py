"""Every number of the sensitivity answer, from rows alone."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from mim4dd.errors import InputError
from studies.engine.design import Setting
from studies.engine.evidence import Array, Evidence
from studies.engine.space import DUMMY, Axis
from studies.engine.statistics import (
    Importances,
    InteractionShares,
    Region,
    Regret,
    ResponseCurve,
    ResponseMap,
    Surface,
    VarianceComponents,
    fit_surface,
    interaction_shares,
    knob_importance,
    one_standard_error_region,
    regret_of,
    response_curves,
    response_maps,
    set_means,
    variance_components,
)


@dataclass(frozen=True, eq=False)
class Findings:
    """What the rows say. tried: the default, then the settings of the design or search; accuracy [tried, R, E].

    units: each tried setting's place on each axis, [tried, d]; importances, surface and what follows from it are None
    where the settings are too few or an optimizer chose them.
    """

    tried: list[Setting]
    accuracy: Array
    test: Array
    base: Array
    units: Array
    importances: Importances | None
    surface: Surface | None
    curves: tuple[ResponseCurve, ...]
    maps: tuple[ResponseMap, ...]
    shares: InteractionShares | None
    variance: VarianceComponents
    region: Region
    regret: Regret

    @property
    def means(self) -> Array:
        """Each tried setting's mean over sets and networks; NaN where a set is missing, [tried]."""
        return set_means(self.accuracy).mean(1)

    @property
    def base_sets(self) -> Array:
        """The base alone: mean accuracy of each seed's set, [R]."""
        return set_means(self.base[None])[0]

    @property
    def best(self) -> int:
        """The best setting on validation, the default included."""
        return self.regret.best if self.regret.best is not None else 0


def find(evidence: Evidence) -> Findings:
    """Compute every statistic of the answer; seconds, most of them for the importances."""
    tried = [*evidence.having("default"), *evidence.having("design", "search")]
    accuracy, test = evidence.accuracy(tried), evidence.accuracy(tried, "test")
    units = np.array([[_unit(setting, axis) for axis in evidence.space] for setting in tried])
    symbols = [axis.symbol for axis in evidence.space]
    designed = [i for i, setting in enumerate(tried) if setting.role == "design"]
    importances = None
    if len(designed) > 1 and all(tried[i].dummy is not None for i in designed):
        dummies = np.array([[tried[i].dummy] for i in designed], dtype=float)
        points = np.hstack([units[designed], dummies])
        workers = min(8, os.cpu_count() or 1)
        importances = knob_importance(points, accuracy[designed], [*symbols, DUMMY], dummy=DUMMY, processes=workers)
    inside = [i for i in range(len(tried)) if ((units[i] >= 0) & (units[i] <= 1)).all()]
    surface = fit_surface(units[inside], accuracy[inside], symbols) if inside else None
    return Findings(
        tried=tried,
        accuracy=accuracy,
        test=test,
        base=evidence.accuracy(evidence.having("base"))[0],
        units=units,
        importances=importances,
        surface=surface,
        curves=response_curves(surface) if surface else (),
        maps=response_maps(surface) if surface and len(symbols) > 1 else (),
        shares=interaction_shares(surface) if surface and len(symbols) > 1 else None,
        variance=variance_components(accuracy),
        region=one_standard_error_region(accuracy),
        regret=regret_of(0, accuracy),
    )


def _unit(setting: Setting, axis: Axis) -> float:
    """A setting's place on an axis; rounding of a printed value at an end of the range is undone."""
    try:
        place = axis.unit(setting.knobs[axis.key])
    except InputError:
        return float("nan")  # a default that --range leaves out of a listed knob has no place
    return float(np.clip(place, 0, 1)) if -1e-5 < place < 1 + 1e-5 else place
