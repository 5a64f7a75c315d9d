"""Arms along the curves of a factor: what each level costs, what is left of a gain, and the slope between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.wording import COSTS, at, grouped, listed
from studies.answers.results import Cell, slug
from studies.engine.answer import Sentence
from studies.engine.arms import Curve
from studies.engine.rows import Array
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

Levels = tuple[str, ...]
# More undecided levels than this are counted and not named.
NAMED = 3


@dataclass(frozen=True)
class Slope:
    """What one unit of a curve does to an arm. upto: the last level that enters; misfit: the largest distance of a
    level's mean from the mean line, None where two points always lie on it."""

    curve: Curve
    arm: str
    ruling: Ruling
    upto: str
    misfit: float | None


class Response:
    """The families of arms under levels: gains over controls, costs against the reference, changes of gains, slopes.

    metric: test accuracies: nothing is chosen by them. main: the arms that sentences and curves are about.
    """

    def __init__(self, ledger: Ledger, metric: str, main: Sequence[str]) -> None:
        results = self.results = ledger.results
        self.ledger, self.metric, self.main = ledger, metric, list(main)
        self.terms = [arm.key for arm in results.arms.values() if arm.control]
        beyond = [levels for levels in results.levels if levels != results.reference]
        runs = [
            (arm, levels) for levels in results.levels for arm in results.arms if results.setting(Cell(arm, levels))
        ]
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
        """The references in words, `clean`."""
        return " · ".join(self.results.reference)

    def name(self, arm: str) -> str:
        return self.results.arms[arm].name

    def _slopes(self) -> list[Slope]:
        """Each seed's least-squares slope, a weighted sum of its cells: a contrast like any other."""
        contrasts, told = [], []
        for curve, points_ in self.curves:
            places = np.array([place for place, _ in points_])
            inside = [k for k in range(len(places)) if curve.upto is None or places[k] <= curve.upto]
            if len(inside) < 2:
                continue
            x = np.log10(np.maximum(places, 1)) if curve.scale == "log" else curve.units * places
            x, kept = x[inside], [points_[k][1] for k in inside]
            weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
            for arm in self.results.arms:
                cells = [Cell(arm, levels) for levels in kept]
                what = f"{self.name(arm)} per {curve.unit} of {curve.noun}, up to {' · '.join(kept[-1])}"
                terms = [(float(w), cell) for w, cell in zip(weights, cells, strict=True)]
                contrasts.append(
                    self.results.contrast(slug("slope", arm, curve.name), what, *terms, metric=self.metric)
                )
                told.append((curve, arm, " · ".join(kept[-1]), self._misfit(x, cells)))
        # Over two levels that lie one unit apart a slope is the cost of the second, which is judged already.
        rulings = self.ledger.rest("slopes", contrasts)
        return [Slope(c, a, one, upto, misfit) for (c, a, upto, misfit), one in zip(told, rulings, strict=True)]

    def _misfit(self, x: Array, cells: Sequence[Cell]) -> float | None:
        sets = np.array([self.results.sets(cell, self.metric) for cell in cells])
        # A seed enters with all its levels or not at all.
        whole = sets[:, np.isfinite(sets).all(axis=0)]
        if not whole.shape[1] or len(cells) < 3:
            return None
        line = np.polynomial.Polynomial.fit(x, whole.mean(axis=1), 1)
        return float(np.abs(whole.mean(axis=1) - line(x)).max())

    # In words

    def costs(self) -> list[Sentence]:
        """What each curve costs the main arms: by its slope, and at its last level where the slope ends before it."""
        sentences = []
        for curve, points_ in self.curves:
            slopes = [one for one in self.slopes if one.curve == curve and one.arm in self.main]
            if not slopes:
                continue
            misfits = [one.misfit for one in slopes if one.misfit is not None]
            misfit = f"; every mean lies within {100 * max(misfits):.1f} points of its fitted line" if misfits else ""
            rulings = [one.ruling for one in slopes]
            told = grouped(rulings, [self.name(one.arm) for one in slopes], COSTS, cost=True)
            text = f"The cost of {curve.noun} per {curve.unit}, up to {slopes[0].upto}, is: {told}{misfit}."
            sentences.append(Sentence(text, tuple(one.claim for one in rulings)))
            worst = points_[-1][1]
            if slopes[0].upto != " · ".join(worst):
                rulings = [self.cost(arm, worst) for arm in self.main]
                told = grouped(rulings, [self.name(arm) for arm in self.main], COSTS, cost=True)
                text = f"At {' · '.join(worst)}, the total cost is: {told}."
                sentences.append(Sentence(text, tuple(one.claim for one in rulings)))
        return sentences

    def gains(self) -> list[Sentence]:
        """One sentence an arm with a control: its gain at the references and at each curve's end."""
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
            here, change = self.gain(arm, worst), self.change(arm, worst)
            rulings += [here, change]
            text += f"; {here.points} {at(' · '.join(worst))} ({here.word}), a change of {change.points} "
            text += f"({self._changed(change)})"
        return Sentence(f"{text}. {self._decided(arm)}", tuple(one.claim for one in rulings))

    @staticmethod
    def _changed(change: Ruling) -> str:
        """What the rule says of a gain's change from the references."""
        words = {Decision.GAIN: "an increase", Decision.LOSS: "a decrease"}
        return words.get(change.decision, change.statement)

    def _decided(self, arm: str) -> str:
        """At which levels of its family an arm's gain is decided, and how."""
        where: dict[Decision, list[str]] = {}
        for levels in self.results.levels:
            if self.results.setting(Cell(arm, levels)):
                where.setdefault(self.gain(arm, levels).decision, []).append(at(" · ".join(levels)))
        words = {
            Decision.GAIN: "a gain",
            Decision.LOSS: "a loss",
            Decision.NEGLIGIBLE: "no difference beyond half a point",
        }
        told = [f"{word} {listed(where[decision])}" for decision, word in words.items() if decision in where]
        count, open_ = sum(map(len, where.values())), where.get(Decision.UNDECIDED, [])
        if not told:
            return f"It is undecided at all {plural(count, 'level')}."
        if open_:
            told.append(f"undecided {listed(open_) if len(open_) <= NAMED else f'at the other {len(open_)}'}")
        return f"The decisions at the {plural(count, 'level')} are: {'; '.join(told)}."

    def size(self, family: str) -> int:
        """How many contrasts a family has."""
        return sum(one.judged.family == family for one in self.ledger.rulings)
