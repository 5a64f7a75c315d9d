"""What the seconds buy: accuracy at equal cost, cost to equal accuracy, and the front of both."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from studies.answers.cost.cells import BUDGET
from studies.answers.cost.stages import own_level
from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.overview import overview
from studies.answers.parts.worth import ITERATIONS, EqualAccuracy, cost_to_equal_accuracy, equal_cost, worth_figure
from studies.answers.results import Cell, Results
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Sentence, Table
from studies.engine.arms import CEILING, FLOOR
from studies.engine.wording import decimal

# Points below the base's best mean, at which cost is compared: nearly every set of both reaches it.
BELOW = 0.02


def worth(ledger: Ledger) -> tuple[Part, dict[str, Ruling]]:
    """The part on accuracy and cost, and by arm the rulings at equal cost, at the protocol's iterations."""
    results = ledger.results
    budgets = budgets_of(results)
    whole = next((label for part, label in budgets if part == 1), "")
    if not whole or not _finished(results, budgets):
        return Part(), {}
    cells = {key: [Cell(key, (label,)) for _, label in budgets] for key in results.arms}
    pairs = [arm for arm in results.arms.values() if arm.control and results.setting(Cell(arm.key, (whole,)))]
    dearer = {arm.key: _overhead(results, arm.key) for arm in pairs}
    contrasts = [
        equal_cost(results, Cell(arm.key, (whole,)), cells[arm.control], **_unit(dearer[arm.key])) for arm in pairs
    ]
    rulings = dict(zip([arm.key for arm in pairs], ledger.family("accuracy at equal cost", contrasts), strict=True))
    equal = {arm.key: _equal_accuracy(results, cells[arm.key], cells[arm.control], dearer[arm.key]) for arm in pairs}
    found = {key: one for key, one in equal.items() if one is not None}
    costs = ledger.family("cost to equal accuracy", [one.contrast for one in found.values()])
    reached = {key: (one, ruling) for (key, one), ruling in zip(found.items(), costs, strict=True)}
    learned = {key: own for key, own in cells.items() if sum(bool(results.rows(cell)) for cell in own) > 1}
    selected = {
        key: [Cell(key, (whole,))]
        for key, arm in results.arms.items()
        if key not in learned and not arm.anchor and results.rows(Cell(key, (whole,)))
    }
    anchors = [Cell(key, (whole,)) for key in (FLOOR, CEILING) if key in results.arms]
    part = Part(
        [
            overview(ledger, [key for key in results.arms if results.rows(Cell(key, (whole,)))], "test", (whole,)),
            *(_at_equal_cost(ledger, key, ruling) for key, ruling in rulings.items()),
        ],
        [_table(ledger, rulings, reached)],
        [
            worth_figure(
                ledger,
                learned | selected,
                anchors,
                what="time of a distillation",
                along=", ".join(label for _, label in budgets),
            )
        ],
        [
            "Seconds of real runs are those of distilling on one worker alone, with what the method prepares counted "
            "whole in every set. At equal cost: the base's accuracy at as many more iterations as an iteration of "
            "base and term takes longer (at equal seconds of the runs where no iteration was measured), interpolated "
            "linearly in the logarithm between its own runs of the same seed, never extrapolated. To equal accuracy: "
            f"the time of iterations at which each first reaches {100 * BELOW:g} points less than the base's best "
            "mean. What is prepared before counts in neither; the ratio of times is taken as known.",
        ],
    )
    return part, rulings


def budgets_of(results: Results) -> list[tuple[float, str]]:
    """The parts of the iterations that real runs had, with their levels."""
    (factor,) = results.factors
    return sorted((float(level.at or 0), level.label) for level in factor.levels if level.curve == BUDGET)


def _finished(results: Results, budgets: list[tuple[float, str]]) -> bool:
    return any(np.isfinite(results.sets(Cell(key, (label,)))).any() for key in results.arms for _, label in budgets)


def _overhead(results: Results, arm: str) -> float | None:
    """What an iteration with the term takes over one without it, on the study's own data; None if not measured."""
    level = own_level(results)
    mean = results.mean(Cell(arm, (level,)), "overhead").mean if level else None
    return None if mean is None else math.exp(mean)


def _unit(dearer: float | None) -> dict[str, Any]:
    """The unit of cost: iterations, whose ratio of times is known better than any run's seconds; or these seconds."""
    return {} if dearer is None else {"cost": ITERATIONS, "dearer": dearer}


def _equal_accuracy(
    results: Results, cells: list[Cell], control: list[Cell], dearer: float | None
) -> EqualAccuracy | None:
    means = [mean for one in control if (mean := results.mean(one).mean) is not None]
    if not means:
        return None
    return cost_to_equal_accuracy(results, cells, control, max(means) - BELOW, **_unit(dearer))


def _at_equal_cost(ledger: Ledger, key: str, ruling: Ruling) -> Sentence:
    """Whether a base with the term beats the same base that has as many seconds."""
    arm = ledger.results.arms[key]
    return Sentence(
        f"{arm.name} less {ledger.results.arms[arm.control].name} that has as much time for iterations is "
        f"{ruling.points} (n = {ruling.interval.n}): {ruling.statement}.",
        (ruling.claim,),
    )


def _table(ledger: Ledger, rulings: dict[str, Ruling], reached: dict[str, tuple[EqualAccuracy, Ruling]]) -> Table:
    results, rows = ledger.results, list[dict[str, Entry]]()
    for arm, ruling in rulings.items():
        one, cost = reached.get(arm, (None, None))
        rows.append(
            {
                "method": results.arms[arm].name,
                "accuracy at the base's time": ruling.quantity,
                "decision": ruling.word,
                "pairs": ruling.interval.n,
                "accuracy to reach": None if one is None else f"{decimal(100 * one.accuracy)}%",
                "time to reach it, times the base": None if cost is None else cost.quantity,
                "decision on time": None if cost is None else cost.word,
                "sets that never reach it (term, base)": None if one is None else f"{one.never[0]}, {one.never[1]}",
            }
        )
    return Table.of(
        "worth",
        "What the term is worth at equal cost",
        rows,
        "Paired by seed, pointwise 95% t intervals; each column of decisions is one family for Holm's correction. Sets "
        "that reach the accuracy with their fewest iterations already, or never, are pairs without a ratio.",
    )
