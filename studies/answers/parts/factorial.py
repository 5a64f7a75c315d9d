"""A two-level factorial over an arm and factors: main effects, interactions and Shapley values, from real runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from studies.answers.ledger import Ledger, Ruling
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.answer import Claim
from studies.engine.arms import Factor
from studies.engine.rows import Array
from studies.engine.statistics import Interval, mean_interval
from studies.engine.statistics.factorial import aliases, complete, effect_weights, fraction, shapley_weights

Run = tuple[bool, ...]


class Factorial:
    """The runs of a factorial: which components are present, and the cells that have their values.

    names: the components; the first is the one by which two arms differ, the others are the factors with a level at 0
    (absent) and one at 1 (present). A factor at which the arm without the first component has no other level than the
    reference does nothing there. draws: the levels of the factor that repeats the design, over which values are means.
    Shapes: runs [runs, components], all of them or a fraction.
    """

    def __init__(
        self, ledger: Ledger, results: Results, arms: tuple[str, str], first: str, repeated: str, halvings: int = 0
    ) -> None:
        """arms: keys, without and with the first component; repeated: that factor's name; halvings: of the design."""
        self.ledger, self.results, self.arms = ledger, results, arms
        self.factors = [
            factor for factor in self.results.factors if any(level.at is not None for level in factor.levels)
        ]
        self.names = (first, *(factor.name for factor in self.factors))
        self.runs, self.words = fraction(len(self.names), halvings)
        again = next((factor for factor in self.results.factors if factor.name == repeated), None)
        self.repeated = repeated
        self.draws = tuple(level.label for level in again.levels) if again else ("",)
        self._idle = {factor.name for factor in self.factors if _idle(self.results, arms[0], factor)}

    @property
    def complete(self) -> bool:
        return len(self.runs) == 2 ** len(self.names)

    def cell(self, run: Sequence[bool], draw: str) -> Cell:
        """The cell of a run; runs that differ only in what does nothing share one."""
        levels = []
        for factor in self.results.factors:
            if factor.name == self.repeated:
                levels.append(draw)
            elif factor.name not in self.names or (not run[0] and factor.name in self._idle):
                levels.append(factor.reference.label)
            else:
                levels.append(self.level(factor.name, bool(run[self.names.index(factor.name)])))
        return Cell(self.arms[bool(run[0])], tuple(levels))

    def level(self, name: str, present: bool) -> str:
        """The label of a factor's level."""
        factor = next(factor for factor in self.factors if factor.name == name)
        return next(level.label for level in factor.levels if level.at == float(present))

    def distinct(self) -> Iterator[tuple[Run, tuple[Cell, ...]]]:
        """Every run that differs from those before it, with its cells by draw."""
        seen = set[tuple[Cell, ...]]()
        for run in self.runs.tolist():
            cells = tuple(self.cell(run, draw) for draw in self.draws)
            if cells not in seen:
                seen.add(cells)
                yield tuple(run), cells

    def sets(self, cells: Sequence[Cell], metric: str = "test") -> Array:
        """A metric of each set, the mean over draws, [seeds]; NaN where one is missing."""
        return np.asarray(np.mean([self.results.sets(cell, metric) for cell in cells], axis=0))

    def contrast(
        self, id: str, what: str, weights: Array, metric: str = "test", by_draw: Sequence[float] | None = None
    ) -> Contrast:
        """A weighted sum of the runs. weights: [runs]; by_draw: of the draws, by default their mean."""
        shares = [1 / len(self.draws)] * len(self.draws) if by_draw is None else by_draw
        terms: dict[Cell, float] = {}
        for share, draw in zip(shares, self.draws, strict=True):
            for run, weight in zip(self.runs.tolist(), weights, strict=True):
                cell = self.cell(run, draw)
                terms[cell] = terms.get(cell, 0.0) + share * float(weight)
        kept = [(weight, cell) for cell, weight in terms.items() if abs(weight) > 1e-12]
        return self.results.contrast(id, what, *kept, metric=metric)

    def all_or_none(self) -> Array:
        """The weights of the run with every component less the run without any, [runs]."""
        return np.asarray(self.runs.all(axis=1) * 1.0 - (~self.runs).all(axis=1) * 1.0)

    def aliased(self, members: Sequence[int]) -> str:
        """The effects of at most two components that cannot be told from this one, `critic × head, layers`."""
        found = aliases(self.words, members)
        return ", ".join(" × ".join(self.names[k] for k in effect) or "the mean" for effect in found)


def _idle(results: Results, arm: str, factor: Factor) -> bool:
    """Whether an arm is run at the reference of a factor alone."""
    levels = {setting.levels[factor.name] for setting in results.folder.settings if setting.arm.key == arm}
    return levels <= {factor.reference.label}


@dataclass(frozen=True)
class Effects:
    """The rulings of a factorial. shapley, total: none of a fraction; noise: none without other draws.

    noise: by component, half the difference of its Shapley values under the two draws: what it would be without any
    effect; nats: its share in usable information, by Shapley values, or by main effects of a fraction.
    """

    main: list[Ruling]
    pairs: dict[tuple[int, int], Ruling]
    shapley: list[Ruling]
    total: Ruling | None
    noise: list[tuple[Interval, Claim]]
    nats: list[tuple[Interval, Claim]]

    @property
    def carried(self) -> list[Ruling]:
        """What each component carries: its Shapley value, or its main effect in a fraction."""
        return self.shapley or self.main


def effects(design: Factorial) -> Effects:
    """Judge main effects, interactions and Shapley values, each kind in its family."""
    ledger, names, runs = design.ledger, design.names, design.runs
    members = range(len(names))
    main = [
        design.contrast(slug("effect", names[k]), f"main effect of {names[k]}", effect_weights(runs, [k]))
        for k in members
    ]
    pairs = [
        design.contrast(
            slug("interaction", names[a], names[b]),
            f"effect of {names[a]} with {names[b]} less without it",
            effect_weights(runs, [a, b]),
        )
        for a, b in combinations(members, 2)
    ]
    ruled = ledger.family("main effects", main)
    # In a fraction some are the same weighted sum, which is judged once; so are others of two components.
    ledger.rest("interactions of two components", {one.key: one for one in reversed(pairs)}.values())
    crossed = {pair: ledger[one] for pair, one in zip(combinations(members, 2), pairs, strict=True)}
    if not design.complete:
        nats = [_nats(design, names[k], effect_weights(runs, [k])) for k in members]
        return Effects(ruled, crossed, [], None, [], nats)
    weights = [shapley_weights(runs, k) for k in members]
    values = [
        design.contrast(slug("shapley", name), f"Shapley value of {name}", weight)
        for name, weight in zip(names, weights, strict=True)
    ]
    whole = design.contrast("shapley/total", "all components less none", design.all_or_none())
    (total,) = ledger.rest("all components against none", [whole])
    return Effects(
        ruled,
        crossed,
        ledger.rest("Shapley values", values),
        total,
        [_noise(design, *one) for one in zip(names, weights, strict=True)] if len(design.draws) == 2 else [],
        [_nats(design, name, weight) for name, weight in zip(names, weights, strict=True)],
    )


def _noise(design: Factorial, name: str, weights: Array) -> tuple[Interval, Claim]:
    """A component's noise floor."""
    what = f"half the difference of the Shapley value of {name} under two draws"
    interval = mean_interval(design.contrast("", what, weights, by_draw=(-0.5, 0.5)).differences)
    return interval, claimed(design.ledger, slug("noise", name), what, interval, "points")


def _nats(design: Factorial, name: str, weights: Array) -> tuple[Interval, Claim]:
    """What a component carries of usable information."""
    interval = mean_interval(design.contrast("", name, weights, "usable").differences)
    what = f"usable information that {name} carries"
    return interval, claimed(design.ledger, slug("usable", name), what, interval, "nats")


def claimed(ledger: Ledger, id: str, what: str, interval: Interval, unit: str) -> Claim:
    """Record an interval about which nothing is decided."""
    return ledger.estimate(id, what, interval.mean, interval.low, interval.high, interval.n, unit)


def share_of_runs(design: Factorial) -> str:
    """What was run, in words: `all 64 combinations of 6 components, of which 36 differ`."""
    every, count = len(complete(len(design.names))), len(list(design.distinct()))
    what = f"{every} combinations of {len(design.names)} components"
    if not design.complete:
        return f"{len(design.runs)} of {what}, of which {count} differ"
    return f"all {what}, of which {count} differ"
