"""All numbers of the sensitivity answer, computed from the rows, and the ruling on each gain."""

from __future__ import annotations

import os

import numpy as np

from mim4dd.errors import InputError
from mim4dd.registry import Scalar
from studies.answers.comparing.staging import CHOSEN_BY
from studies.answers.ledger import Ledger, Ruling
from studies.answers.results import Cell, Results, slug
from studies.answers.sensitivity.questions import Judge
from studies.engine import statistics
from studies.engine.answer import Claim
from studies.engine.arms import FLOOR, TERM, Arm
from studies.engine.folder import StudyFolder
from studies.engine.rows import Array
from studies.engine.space import DUMMY, Axis
from studies.engine.statistics.agreement import Agreement

# Importances, surfaces and maps of fewer settings are mostly noise (docs/results/calibration.md).
ENOUGH_SETTINGS = 32
Estimated = statistics.Estimate | statistics.Importance | Agreement


def having(results: Results, *roles: str) -> list[Arm]:
    """The arms with one of these roles, in the plan's order."""
    return [arm for arm in results.arms.values() if arm.role in roles]


def default_name(folder: StudyFolder) -> str:
    """The name of the default setting: the paper's, unless some knob of the term was set by hand, or a method's."""
    if folder.configuration["method"] != TERM:
        return "the method's default"
    fixed = folder.study.get("fixed", ())
    by_hand = any(key.startswith("method.") and not key.startswith("method.base") for key in fixed)
    return "the default as set" if by_hand else "the paper's default"


class Analysis:
    """The analysis of one kind of training data; with many settings it takes seconds, most of them for importances.

    tried: the default, the same at equal strength, then the settings of the design or search; designed: the indices of
    the design's. validation, test: accuracies, [tried, R, E] for R sets and E networks; differences: of test accuracy
    from the base's, network by network, [tried, R, E]; base_sets: test accuracy of the base alone, [R]; rho: measured
    strengths, [tried]; units: each tried arm's position on each of the d axes, in [0, 1] inside the range, [tried, d];
    of_term: whether the MI term is studied on its base, and not a method's own knobs; the base is then random real
    images, which `over` names. shared: the number of seeds, from the first on, that all tried arms have; best: the
    index of the best tried arm on their validation accuracies.
    importances, surface, curves, maps and shares are None or empty below ENOUGH_SETTINGS settings of a design.
    questions: the declared contrasts; gains: each tried arm less the base; over_random: less random real images, empty
    where these did not run.
    """

    def __init__(self, ledger: Ledger, levels: tuple[str, ...]) -> None:
        results = self.results = ledger.results
        self.ledger, self.levels = ledger, levels
        self.folder, self.space = results.folder, results.folder.space
        self.base = having(results, "base")[0]
        self.of_term = self.base.method != FLOOR
        self.over = "the base" if self.of_term else self.base.name
        equal = having(results, "variant")
        self.tried = [*having(results, "default"), *equal, *having(results, "design", "search")]
        cells = self.cells = [Cell(arm.key, levels) for arm in self.tried]
        alone = Cell(self.base.key, levels)
        self.validation = np.array([results.networks_of(cell, CHOSEN_BY) for cell in cells])
        self.test = np.array([results.networks_of(cell) for cell in cells])
        self.differences = self.test - results.networks_of(alone)
        shared = self.shared = min((len(results.trials(cell)) for cell in cells), default=0)
        self.base_sets = results.sets(alone)
        strengths = [statistics.mean_interval(results.sets(cell, "rho")).mean for cell in cells]
        self.rho = np.array([np.nan if strength is None else strength for strength in strengths])
        self.units = np.array([[self._unit(i, axis) for axis in self.space] for i in range(len(cells))])
        self.designed = [i for i, arm in enumerate(self.tried) if arm.role == "design"]
        self.best = statistics.best_setting(self.validation[:, :shared]) or 0
        self._fit_surface()
        self.variance = statistics.crossed_components(self.test[:, :shared])
        judge = Judge(ledger, cells, alone, self.space, self.units, self.validation)
        self.questions = judge.answer(self.designed, Cell(equal[0].key, levels) if equal else None)
        contrasts = [results.gain(arm.key, levels) for arm in self.tried[1:]]
        others = ledger.family(f"settings against the base{results.at(levels)}", contrasts)
        self.gains: list[Ruling] = [self.questions.default, *others]
        self.over_random = self._over_random() if self.of_term else self.gains

    def value(self, index: int, axis: Axis) -> Scalar:
        """A tried arm's value of a knob; that of the configuration where the arm does not set it."""
        value: Scalar = self.tried[index].knobs.get(axis.key, self.folder.configuration[axis.key])
        return value

    def place(self, index: int, axis: Axis) -> Scalar:
        """An arm's value on an axis: of an unbalanced term on the axis of strength, its measured strength."""
        if self.given(index, axis):
            return self.value(index, axis)
        return float(f"{self.rho[index]:.3g}")

    def label(self, index: int) -> str:
        """`default`, `equal` (its strength) or the setting's number, for ticks and tables."""
        setting = self.results.setting(self.cells[index])
        if index == 0 or setting is None:
            return "default"
        return "equal" if self.tried[index].role == "variant" else str(setting.setting)

    def estimate(self, id: str, what: str, statistic: Estimated, n: int, unit: str = "") -> Claim:
        """Record a statistic of this training data as a claim."""
        return self.ledger.estimate(
            slug(id, *self.levels), what, statistic.value, statistic.low, statistic.high, n, unit
        )

    def gain_means(self) -> Array:
        """Each tried arm's mean gain over the base on test, NaN without a pair, [tried]."""
        return np.array([np.nan if gain.interval.mean is None else gain.interval.mean for gain in self.gains])

    @property
    def informative(self) -> bool:
        """Whether the cross-validated R² of the response surface is high enough for its curves to be read."""
        return bool(self.curves) and self.surface is not None and self.surface.fit.explains

    def given(self, index: int, axis: Axis) -> bool:
        """Whether an arm has the other knobs with which the axis has its meaning."""
        arm, flat = self.tried[index], self.folder.configuration
        return all(arm.knobs.get(key, flat.get(key)) == value for key, value in axis.given)

    def _unit(self, index: int, axis: Axis) -> float:
        """A tried arm's position on an axis; rounding errors at the ends of the range are clipped."""
        value = self.place(index, axis)
        if value != value or (axis.log and float(value) <= 0):
            return float("nan")
        try:
            position = axis.unit(value)
        except InputError:
            return float("nan")  # --range may leave the default out of a knob's listed values
        return float(np.clip(position, 0, 1)) if -1e-5 < position < 1 + 1e-5 else position

    def _fit_surface(self) -> None:
        """Importances, surface, curves and maps, from ENOUGH_SETTINGS settings of a design on."""
        self.importances, self.surface = None, None
        self.curves: tuple[statistics.ResponseCurve, ...] = ()
        self.maps: tuple[statistics.ResponseMap, ...] = ()
        self.shares: tuple[statistics.Share, ...] = ()
        if len(self.designed) < ENOUGH_SETTINGS:
            return
        symbols = [axis.symbol for axis in self.space]
        units, gains = self.units[self.designed], self.differences[self.designed, : self.shared]
        self.surface = statistics.fit_surface(units, gains, symbols)
        self.importances = self._importances(symbols)
        if self.surface is not None:
            # One seed does not show the error of the level, so the band is for the shape alone.
            self.curves = statistics.response_curves(self.surface, level=self.surface.fit.n_seeds > 1)
            if len(self.space) > 1:
                self.maps = statistics.response_maps(self.surface)
                self.shares = statistics.interaction_shares(self.surface).pairs

    def _importances(self, symbols: list[str]) -> statistics.Importances | None:
        """The importance of each knob and of the dummy; None for a grid, which has no dummy."""
        settings = [self.results.setting(self.cells[i]) for i in self.designed]
        dummies = [setting.dummy for setting in settings if setting is not None and setting.dummy is not None]
        if len(dummies) < len(self.designed):
            return None
        points, names = np.column_stack([self.units[self.designed], dummies]), [*symbols, DUMMY]
        workers = min(8, os.cpu_count() or 1)
        test = self.test[self.designed, : self.shared]
        return statistics.knob_importance(points, test, names, dummy=DUMMY, processes=workers)

    def _over_random(self) -> list[Ruling]:
        """The gains of all tried arms over random real images."""
        floors = [arm.key for arm in having(self.results, "random")]
        contrasts = [self.results.against(arm.key, key, self.levels) for key in floors for arm in self.tried]
        return self.ledger.family(f"settings against random{self.results.at(self.levels)}", contrasts)
