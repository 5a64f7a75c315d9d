"""The declared contrasts of a sensitivity study, on test accuracy.

The main questions are one family: does the default differ from the base; does the same term differ from the default
when it is as strong as the base; and does the best setting, chosen on some seeds, differ from the base on the others?
The knobs over their ranges are a family of their own, and so is the regret of the default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.answers.ledger import Ledger, Ruling
from studies.answers.results import Cell, Contrast, slug
from studies.answers.sensitivity.strength import WEIGHT
from studies.engine.rows import Array
from studies.engine.space import Axis, Space
from studies.engine.statistics.contrasts import FEWEST_PAIRS
from studies.engine.statistics.selection import best_setting

THIRDS = ("lower", "middle", "upper")


@dataclass(frozen=True)
class Thirds:
    """The settings of a design by the third of an axis in which they lie, as indices of tried arms."""

    axis: Axis
    lower: tuple[int, ...]
    middle: tuple[int, ...]
    upper: tuple[int, ...]

    def span(self, third: int) -> str:
        """A third's values in words: `ρ 0.3 to 3`, `D 128, 256`."""
        axis = self.axis
        if axis.values:
            values = [value for k, value in enumerate(axis.values) if third_of(axis, axis.unit(value)) == third]
            return f"{axis.symbol} {', '.join(map(str, values))}"
        low, high = (axis.from_unit(end / 3) for end in (third, third + 1))
        return f"{axis.symbol} {_short(low)} to {_short(high)}"

    def ends(self, third: int) -> tuple[float, float]:
        """Where a third begins and ends on the axis, a little inside, for a figure."""
        axis = self.axis
        if not axis.values:
            return third / 3 + 0.02, (third + 1) / 3 - 0.02
        units = [unit for value in axis.values if third_of(axis, unit := axis.unit(value)) == third]
        return min(units) - 0.04, max(units) + 0.04


def _short(value: float) -> str:
    """Two significant digits, `0.097`, `100`."""
    return f"{float(f'{value:.2g}'):g}"


def third_of(axis: Axis, unit: float) -> int:
    """The third of an axis, 0 to 2, in which a position lies; listed values are divided by their rank."""
    if axis.values:
        count = len(axis.values)
        unit = (unit * (count - 1) + 0.5) / count
    return min(2, int(3 * unit + 1e-9))


def thirds(axis: Axis, units: Array, designed: Sequence[int]) -> Thirds:
    """The settings in each third of an axis. Shapes: units [tried], in [0, 1] where designed."""
    members: tuple[list[int], ...] = ([], [], [])
    for i in designed:
        members[third_of(axis, float(units[i]))].append(i)
    lower, middle, upper = map(tuple, members)
    return Thirds(axis, lower, middle, upper)


@dataclass(frozen=True)
class Step:
    """The contrast of two thirds of an axis: the settings in `to` less those in `of`.

    where: the condition that the settings fulfil besides, `ρ below 3`; "" for none.
    """

    thirds: Thirds
    of: int
    to: int
    where: str = ""

    @property
    def members(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The settings that are subtracted, and those that they are subtracted from."""
        split = (self.thirds.lower, self.thirds.middle, self.thirds.upper)
        return split[self.of], split[self.to]


@dataclass(frozen=True)
class Questions:
    """The rulings. strength: of the term at equal strength over the default; knobs: of the middle third of the strength
    (or weight) over its lower and of its upper over its middle, and of the upper third of each other axis over its
    lower. Empty or None where the design cannot answer.

    chosen: the best setting, as an index of tried arms; choosing, judging: the seeds that it is chosen and judged on.
    """

    default: Ruling
    strength: Ruling | None
    best: Ruling | None
    regret: Ruling | None
    knobs: tuple[tuple[Step, Ruling], ...]
    chosen: int | None
    choosing: tuple[int, ...]
    judging: tuple[int, ...]


def split_seeds(seeds: Sequence[int], shared: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The seeds to choose on and those to judge on.

    shared: the number of seeds, from the first on, that every setting has. Where these are all, the first fifth of them
    choose, while the others are enough to decide.
    """
    choosing = shared
    if shared >= len(seeds):
        choosing = max(1, min(round(0.2 * len(seeds)), len(seeds) - FEWEST_PAIRS)) if len(seeds) > 1 else 0
    return tuple(seeds[:choosing]), tuple(seeds[choosing:])


class Judge:
    """Judges the declared contrasts of one kind of training data.

    tried: the cells of the default, then of the designed or searched settings; base: the cell of the base alone.
    units: positions of the tried arms on the axes, [tried, d]; validation: their accuracies, [tried, R, E].
    """

    def __init__(
        self, ledger: Ledger, tried: Sequence[Cell], base: Cell, space: Space, units: Array, validation: Array
    ) -> None:
        self.ledger, self.results, self.space = ledger, ledger.results, space
        self.tried, self.base, self.units, self.validation = tried, base, units, validation
        self.at = self.results.at(base.levels)

    def answer(self, designed: Sequence[int], equal: Cell | None) -> Questions:
        """The rulings.

        designed: the tried arms that a fixed design chose; none where an optimizer searched. equal: the cell of the
        default's term at equal strength; None where the default has it.
        """
        finite = [i for i in designed if np.isfinite(self.results.sets(self.tried[i])).any()]
        steps = [step for step in self._steps(finite) if all(step.members)]
        shared = min((len(self.results.trials(self.tried[i])) for i in designed), default=0)
        choosing, judging = split_seeds(self.results.seeds, shared) if designed else ((), ())
        chosen = self._best(choosing) if choosing else None
        asked = [self.results.gain(self.tried[0].arm, self.base.levels)]
        asked += [self._strength(equal)] if equal is not None else []
        asked += [self._chosen(chosen, judging, self.base, "best")] if chosen is not None else []
        ruled = self.ledger.family(f"the main questions{self.at}", asked)
        knobs = self.ledger.family(f"the knobs over their ranges{self.at}", map(self._step, steps))
        return Questions(
            default=ruled[0],
            strength=ruled[1] if equal is not None else None,
            best=ruled[-1] if chosen is not None else None,
            regret=self._regret(chosen, judging) if chosen else None,  # none where it is the default
            knobs=tuple(zip(steps, knobs, strict=True)),
            chosen=chosen,
            choosing=choosing,
            judging=judging,
        )

    def _steps(self, designed: Sequence[int]) -> list[Step]:
        """The steps along each knob; those of other knobs than the weight are taken where the term is not too strong.

        In the upper third of its range the term overpowers the base, and how much depends on all other knobs: with
        these settings, the contrast of any knob would mostly show how strong its strongest setting happens to be.
        """
        split = [thirds(axis, self.units[:, k], designed) for k, axis in enumerate(self.space)]
        weight = next((one for one in split if one.axis.key == WEIGHT), None)
        if weight is None or weight.axis.values:
            return [Step(one, 0, 2) for one in split]
        moderate = [*weight.lower, *weight.middle]
        where = f"{weight.axis.symbol} below {_short(weight.axis.from_unit(2 / 3))}"
        steps = []
        for k, one in enumerate(split):
            others = thirds(one.axis, self.units[:, k], moderate)
            steps += [Step(one, 0, 1), Step(one, 1, 2)] if one is weight else [Step(others, 0, 2, where)]
        return steps

    def _strength(self, equal: Cell) -> Contrast:
        """The term at equal strength less the default, all other knobs being the same."""
        return self.results.against(equal.arm, self.tried[0].arm, self.base.levels, kind="strength")

    def _best(self, choosing: Sequence[int]) -> int | None:
        """The best setting on the validation accuracies of the seeds to choose on."""
        return best_setting(self.validation[:, [self.results.seeds.index(seed) for seed in choosing]])

    def _step(self, step: Step) -> Contrast:
        """The mean of the settings in one third of an axis less that of those in another."""
        of, to = step.members
        terms = [(weight / len(half), self.tried[i]) for half, weight in ((to, 1.0), (of, -1.0)) for i in half]
        name, axis = step.thirds.axis.short, step.thirds.axis
        what = f"settings in the {THIRDS[step.to]} third of {axis.symbol} less those in the {THIRDS[step.of]}"
        what += f", {step.where}{self.at}" if step.where else self.at
        return self.results.contrast(slug("third", name, THIRDS[step.to], *self.base.levels), what, *terms)

    def _chosen(self, chosen: int, judging: Sequence[int], other: Cell, id: str) -> Contrast:
        """The chosen setting less another cell, on the seeds that the choice did not read."""
        name = self.results.arms[other.arm].name
        what = f"the best setting on the other seeds less {name}{self.at}"
        terms = ((1.0, self.tried[chosen]), (-1.0, other))
        return self.results.contrast(slug(id, *other.levels), what, *terms, among=judging)

    def _regret(self, chosen: int, judging: Sequence[int]) -> Ruling:
        """The best setting less the default."""
        contrast = self._chosen(chosen, judging, self.tried[0], "regret")
        return self.ledger.family(f"the regret of the default{self.at}", [contrast])[0]
