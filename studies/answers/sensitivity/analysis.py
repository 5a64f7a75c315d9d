"""All numbers of the sensitivity answer, computed from the rows, and the ruling on each gain."""

from __future__ import annotations

import os

import numpy as np

from mim4dd.errors import InputError
from mim4dd.registry import Scalar
from studies.answers.ledger import Ledger, Ruling
from studies.answers.results import Cell, Results, slug
from studies.engine import statistics
from studies.engine.answer import Claim
from studies.engine.arms import Arm
from studies.engine.folder import StudyFolder
from studies.engine.rows import Array
from studies.engine.space import DUMMY, Axis
from studies.engine.statistics.slopes import Agreement, Slope

METRIC = "validation"  # all choices use it
Estimated = statistics.Estimate | statistics.Importance | Slope | Agreement


def having(results: Results, *roles: str) -> list[Arm]:
    """The arms with one of these roles, in the plan's order."""
    return [arm for arm in results.arms.values() if arm.role in roles]


def default_name(folder: StudyFolder) -> str:
    """The name of the default setting: the paper's, unless some knob of the method was set by hand."""
    fixed = folder.study.get("fixed", ())
    by_hand = any(key.startswith("method.") and not key.startswith("method.base") for key in fixed)
    return "the default as set" if by_hand else "the paper's default"


class Analysis:
    """The analysis of one kind of training data; it takes seconds, most of them for the importances.

    tried: the default, then the settings of the design or search; accuracy, test: on validation and on test,
    [tried, R, E] for R sets and E networks; sets, means: of `accuracy` over networks, [tried, R], and over sets too,
    [tried], NaN where a set is missing; base_sets: the base alone, [R]; units: each tried arm's position on each of
    the d axes, in [0, 1] inside the range, [tried, d]; best: the index of the best tried arm on validation.
    importances, surface, curves, maps and shares are None or empty where the settings are too few or, for the
    importances, an optimizer chose them. gains: each tried arm less the base; over_random: less random real images,
    empty where these did not run.
    """

    def __init__(self, ledger: Ledger, levels: tuple[str, ...]) -> None:
        results = self.results = ledger.results
        self.ledger, self.levels = ledger, levels
        self.folder, self.space = results.folder, results.folder.space
        symbols = [axis.symbol for axis in self.space]
        self.base = having(results, "base")[0]
        self.tried = [*having(results, "default"), *having(results, "design", "search")]
        cells = self.cells = [Cell(arm.key, levels) for arm in self.tried]
        accuracy = self.accuracy = np.array([results.networks_of(cell, METRIC) for cell in cells])
        self.test = np.array([results.networks_of(cell) for cell in cells])
        self.sets = statistics.set_means(accuracy)
        self.means = self.sets.mean(1)
        self.base_sets = results.sets(Cell(self.base.key, levels), METRIC)
        units = self.units = np.array([[self._unit(i, axis) for axis in self.space] for i in range(len(cells))])
        inside = ((units >= 0) & (units <= 1)).all(1)
        surface = statistics.fit_surface(units[inside], accuracy[inside], symbols) if inside.any() else None
        self.surface, pairs = surface, surface if len(self.space) > 1 else None
        self.curves = statistics.response_curves(surface) if surface else ()
        self.maps = statistics.response_maps(pairs) if pairs else ()
        self.shares = statistics.interaction_shares(pairs).pairs if pairs else ()
        self.importances = self._importances(symbols)
        self.variance = statistics.variance_components(accuracy)
        self.region = statistics.one_standard_error_region(accuracy)
        self.regret = statistics.regret_of(0, accuracy)
        self.best = self.regret.best or 0
        self.gains = self._gains()
        self.over_random = self._over_random()
        self.tuning = self._tuning()

    def value(self, index: int, axis: Axis) -> Scalar:
        """A tried arm's value of a knob; that of the configuration where the arm does not set it."""
        value: Scalar = self.tried[index].knobs.get(axis.key, self.folder.configuration[axis.key])
        return value

    def label(self, index: int) -> str:
        """`default` or the setting's number, for ticks and tables."""
        setting = self.results.setting(self.cells[index])
        return "default" if index == 0 or setting is None else str(setting.setting)

    def knobs(self, index: int) -> dict[str, Scalar]:
        """A tried arm's values on the axes, by their symbols."""
        return {axis.symbol: self.value(index, axis) for axis in self.space}

    def estimate(self, id: str, what: str, statistic: Estimated, n: int, unit: str = "") -> Claim:
        """Record a statistic of this training data as a claim."""
        return self.ledger.estimate(
            slug(id, *self.levels), what, statistic.value, statistic.low, statistic.high, n, unit
        )

    @property
    def informative(self) -> bool:
        """Whether the cross-validated R² of the response surface is high enough for its curves to be read."""
        return bool(self.curves) and self.surface is not None and self.surface.fit.explains

    @property
    def spreads(self) -> tuple[tuple[statistics.Estimate, Claim], tuple[statistics.Estimate, Claim]] | None:
        """The standard deviations of validation accuracy between settings (seed noise removed) and between the sets of
        one setting, each with its claim; None where the seeds are too few to separate them."""
        settings, sets, n = self.variance.settings, self.variance.sets, self.variance.n_settings
        if settings is None or sets is None:
            return None
        what = "standard deviation of validation accuracy between"
        return (
            (settings, self.estimate("spread/settings", f"{what} settings", settings, n, "points")),
            (sets, self.estimate("spread/sets", f"{what} sets of one setting", sets, n, "points")),
        )

    def _unit(self, index: int, axis: Axis) -> float:
        """A tried arm's position on an axis; rounding errors at the ends of the range are clipped."""
        try:
            position = axis.unit(self.value(index, axis))
        except InputError:
            return float("nan")  # --range may leave the default out of a knob's listed values
        return float(np.clip(position, 0, 1)) if -1e-5 < position < 1 + 1e-5 else position

    def _importances(self, symbols: list[str]) -> statistics.Importances | None:
        """The importance of each knob and of the dummy; None without at least two settings of a fixed design."""
        designed = [i for i, arm in enumerate(self.tried) if arm.role == "design"]
        settings = [self.results.setting(self.cells[i]) for i in designed]
        dummies = [setting.dummy for setting in settings if setting is not None and setting.dummy is not None]
        if len(designed) < 2 or len(dummies) < len(designed):
            return None
        points, names = np.column_stack([self.units[designed], dummies]), [*symbols, DUMMY]
        workers = min(8, os.cpu_count() or 1)
        return statistics.knob_importance(points, self.accuracy[designed], names, dummy=DUMMY, processes=workers)

    def _gains(self) -> list[Ruling]:
        """The gains over the base: the default is a family of its own, the other settings are another one."""
        at = self.results.at(self.levels)
        gains = [self.results.gain(arm.key, self.levels, METRIC) for arm in self.tried]
        default = self.ledger.family(f"the default against the base{at}", gains[:1])
        return default + self.ledger.family(f"settings against the base{at}", gains[1:])

    def _over_random(self) -> list[Ruling]:
        """The gains of all tried arms over random real images."""
        floors = [arm.key for arm in having(self.results, "random")]
        contrasts = [self.results.against(arm.key, key, self.levels, METRIC) for key in floors for arm in self.tried]
        return self.ledger.family(f"settings against random{self.results.at(self.levels)}", contrasts)

    def _tuning(self) -> Ruling:
        """The gain of tuning: on each seed, the setting chosen on the other seeds less the default."""
        seeds = range(len(self.base_sets))
        values: Array = np.full(len(seeds), np.nan)
        if self.regret.choices:
            ran = [all(self.results.row(cell, seed) is not None for cell in self.cells) for seed in seeds]
            values = np.where(ran, self.sets[list(self.regret.choices), seeds] - self.sets[0], np.nan)
        at, terms = self.results.at(self.levels), [(1.0, cell) for cell in self.cells]
        what = f"a setting chosen on the other seeds less {self.tried[0].name} on the seed left out{at}"
        id = slug("tuning", *self.levels)
        contrast = self.results.contrast(id, what, *terms, metric=METRIC, values=values)
        return self.ledger.family(f"tuning{at}", [contrast])[0]
