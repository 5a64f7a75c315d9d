"""The response of arms to the levels of a factor: costs, gains, changes of gains, and slopes along its curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.wording import COSTS, at, decisions, grouped
from studies.answers.results import Cell, slug
from studies.engine.answer import Sentence
from studies.engine.arms import Curve
from studies.engine.rows import Array
from studies.engine.statistics.contrasts import Decision

Levels = tuple[str, ...]


@dataclass(frozen=True)
class Slope:
    """The change of an arm's accuracy per unit of a curve. upto: the last level of the fit; misfit: the largest
    distance of a level's mean from the mean line, None with fewer than three levels or no seed that has them all."""

    curve: Curve
    arm: str
    ruling: Ruling
    upto: str
    misfit: float | None


class Response:
    """The families of contrasts of arms and levels: gains over controls, costs, changes of gains, and slopes.

    metric: a test accuracy, by which nothing is chosen; main: the arms of sentences and curves. Placebos have none of
    these contrasts: they are there to be compared with the term (`step_control`).
    """

    def __init__(self, ledger: Ledger, metric: str, main: Sequence[str]) -> None:
        results = self.results = ledger.results
        self.ledger, self.metric, self.main = ledger, metric, list(main)
        self.terms = [arm.key for arm in results.arms.values() if arm.control]
        self.arms = [arm.key for arm in results.arms.values() if not arm.placebo]
        beyond = [levels for levels in results.levels if levels != results.reference]
        runs = [(arm, levels) for levels in results.levels for arm in self.arms if results.setting(Cell(arm, levels))]
        gains = [results.gain(arm, levels, metric) for arm, levels in runs if arm in self.terms]
        ledger.family("gains over the base", gains)
        ledger.family("costs", [results.cost(arm, levels, metric) for arm, levels in runs if levels in beyond])
        changes = [
            results.change(arm, levels, metric) for arm, levels in runs if arm in self.terms and levels in beyond
        ]
        ledger.family("changes of gains", changes)
        self.curves = list(results.curves())
        self.slopes = self._slopes()

    def gain(self, arm: str, levels: Levels) -> Ruling:
        return self.ledger[self.results.gain(arm, levels, self.metric)]

    def cost(self, arm: str, levels: Levels) -> Ruling:
        return self.ledger[self.results.cost(arm, levels, self.metric)]

    def change(self, arm: str, levels: Levels) -> Ruling:
        return self.ledger[self.results.change(arm, levels, self.metric)]

    @property
    def at_reference(self) -> str:
        """The reference levels joined, `clean`."""
        return " · ".join(self.results.reference)

    def name(self, arm: str) -> str:
        return self.results.arms[arm].name

    def _slopes(self) -> list[Slope]:
        """The least-squares slopes. A seed's slope is a weighted sum of its cells, and so a contrast."""
        contrasts, details = [], []
        for curve, points_ in self.curves:
            positions = np.array([position for position, _ in points_])
            inside = [k for k in range(len(positions)) if curve.upto is None or positions[k] <= curve.upto]
            if len(inside) < 2:
                continue
            x = np.log10(np.maximum(positions, 1)) if curve.scale == "log" else curve.units * positions
            x, kept = x[inside], [points_[k][1] for k in inside]
            weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
            for arm in self.arms:
                cells = [Cell(arm, levels) for levels in kept]
                what = f"{self.name(arm)} per {curve.unit} of {curve.noun}, up to {' · '.join(kept[-1])}"
                terms = [(float(w), cell) for w, cell in zip(weights, cells, strict=True)]
                contrasts.append(
                    self.results.contrast(slug("slope", arm, curve.name), what, *terms, metric=self.metric)
                )
                details.append((curve, arm, " · ".join(kept[-1]), self._misfit(x, cells)))
        # Over two levels one unit apart, the slope equals the cost of the second, which is judged already.
        rulings = self.ledger.rest("slopes", contrasts)
        return [
            Slope(c, a, ruling, upto, misfit) for (c, a, upto, misfit), ruling in zip(details, rulings, strict=True)
        ]

    def _misfit(self, x: Array, cells: Sequence[Cell]) -> float | None:
        """The largest distance of a cell's mean from the mean line, as a fraction. x: [cells]."""
        sets = np.array([self.results.sets(cell, self.metric) for cell in cells])
        # A seed enters only if it has all levels.
        whole = sets[:, np.isfinite(sets).all(axis=0)]
        if not whole.shape[1] or len(cells) < 3:
            return None
        line = np.polynomial.Polynomial.fit(x, whole.mean(axis=1), 1)
        return float(np.abs(whole.mean(axis=1) - line(x)).max())

    # Sentences

    def costs(self) -> list[Sentence]:
        """The slope of each curve for the main arms, and the cost at its last level if the slope ends before it."""
        sentences = []
        for curve, points_ in self.curves:
            slopes = [slope for slope in self.slopes if slope.curve == curve and slope.arm in self.main]
            if not slopes:
                continue
            misfits = [slope.misfit for slope in slopes if slope.misfit is not None]
            misfit = f"; every mean lies within {100 * max(misfits):.1f} points of its fitted line" if misfits else ""
            rulings = [slope.ruling for slope in slopes]
            costs = grouped(rulings, [self.name(slope.arm) for slope in slopes], COSTS, cost=True)
            text = f"The cost of {curve.noun} per {curve.unit}, up to {slopes[0].upto}, is: {costs}{misfit}."
            sentences.append(Sentence(text, tuple(ruling.claim for ruling in rulings)))
            worst = points_[-1][1]
            if slopes[0].upto != " · ".join(worst):
                rulings = [self.cost(arm, worst) for arm in self.main]
                costs = grouped(rulings, [self.name(arm) for arm in self.main], COSTS, cost=True)
                text = f"At {' · '.join(worst)}, the total cost is: {costs}."
                sentences.append(Sentence(text, tuple(ruling.claim for ruling in rulings)))
        return sentences

    def gains(self) -> list[Sentence]:
        """One sentence for each arm with a control: its gain at the references and at the last level of each curve."""
        return [self._gain(arm) for arm in self.terms]

    def _gain(self, arm: str) -> Sentence:
        results, clean = self.results, self.gain(arm, self.results.reference)
        text = (
            f"The gain of {self.name(arm)} over {self.name(results.arms[arm].control)} is {clean.points} "
            f"{at(self.at_reference)} (n = {clean.interval.n}; {clean.statement})"
        )
        rulings = [clean]
        for _, points_ in self.curves:
            worst = points_[-1][1]
            gain, change = self.gain(arm, worst), self.change(arm, worst)
            rulings += [gain, change]
            text += f"; {gain.points} {at(' · '.join(worst))} ({gain.word}), a change of {change.points} "
            text += f"({self._changed(change)})"
        return Sentence(f"{text}. {self._decided(arm)}", tuple(ruling.claim for ruling in rulings))

    @staticmethod
    def _changed(change: Ruling) -> str:
        """The decision on a gain's change from the references, in words."""
        phrases = {Decision.GAIN: "an increase", Decision.LOSS: "a decrease"}
        return phrases.get(change.decision, change.statement)

    def _decided(self, arm: str) -> str:
        """The levels at which an arm's gain is decided, by decision."""
        where = [levels for levels in self.results.levels if self.results.setting(Cell(arm, levels))]
        return decisions({" · ".join(levels): self.gain(arm, levels) for levels in where})

    def size(self, family: str) -> int:
        """The number of contrasts in a family."""
        return sum(ruling.judged.family == family for ruling in self.ledger.rulings)
