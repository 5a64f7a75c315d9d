"""Operations: a method's formula beside what torch counts."""

from __future__ import annotations

import math

import numpy as np

from studies.answers.ledger import Ledger
from studies.answers.results import Cell, Results
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Sentence, Table

# Formula and count may differ by so much before the answer names the case.
MISMATCH = 0.02


def cost_of(results: Results, cell: Cell, key: str) -> float:
    """A number that is the same in every repeat; NaN where no row has it."""
    return next((row.costs[key] for row in results.rows(cell) if key in row.costs), math.nan)


def operations_table(ledger: Ledger, levels: list[str]) -> Table:
    """Formula, count, their ratio and the term's share, of an iteration; and the operations of the other stages."""
    results, rows = ledger.results, list[dict[str, Entry]]()
    for level in levels:
        for arm in results.arms:
            cell = Cell(arm, (level,))
            formula, counted = (cost_of(results, cell, key) for key in ("iteration_flops", "counted_flops"))
            preparing = cost_of(results, cell, "preparation_flops")
            if not (formula > 0 or preparing > 0):
                continue
            term = cost_of(results, cell, "heads_flops"), cost_of(results, cell, "critic_flops")
            rows.append(
                {
                    "problem": level,
                    "method": results.arms[arm].name,
                    "an iteration by formula": _flops(formula),
                    "counted": _flops(counted),
                    "formula / counted": _ratio(formula, counted),
                    "heads, % of it": _share(term[0], formula),
                    "critic, % of it": _share(term[1], formula),
                    "preparation": _flops(preparing),
                    "evaluation": _flops(cost_of(results, cell, "training_flops")),
                }
            )
    return Table.of(
        "operations",
        "Operations by formula, and as torch counts them",
        rows,
        "FLOPs: two for each multiply-add of convolutions and matrix products; norms, activations, pooling, "
        "augmentation and random numbers are in neither. Counted by torch.utils.flop_counter on one iteration "
        "between two reports. Heads: the term's embeddings of both sides; critic: its scores, C x C x ipc x batch x "
        "D for every block, and their gradient.",
    )


def _flops(value: float) -> Quantity | None:
    return Quantity(value, unit="flops") if value > 0 else None


def _ratio(formula: float, counted: float) -> float | None:
    return round(formula / counted, 3) if formula > 0 and counted > 0 else None


def _share(part: float, whole: float) -> float | None:
    return round(100 * part / whole, 1) if part > 0 and whole > 0 else None


def operations_sentence(ledger: Ledger, levels: list[str]) -> Sentence | None:
    """How far the formulas are from the counts, over all methods and problems; and the term's share of operations."""
    results, ratios, shares, off = ledger.results, list[float](), list[float](), list[str]()
    for level in levels:
        for key, arm in results.arms.items():
            cell = Cell(key, (level,))
            formula, counted = (cost_of(results, cell, name) for name in ("iteration_flops", "counted_flops"))
            if formula > 0 and counted > 0:
                ratios.append(formula / counted)
                off += [f"{arm.name} on {level}"] if abs(formula / counted - 1) > MISMATCH else []
            if arm.has_term and formula > 0:
                own = [cost_of(results, cell, name) for name in ("heads_flops", "critic_flops")]
                shares.append(float(np.nansum(own)) / formula)
    if not ratios:
        return None
    low, high = min(ratios), max(ratios)
    middle = float(np.median(ratios))
    claims = [
        ledger.estimate(
            "formula", "operations by formula over counted ones, median and range", middle, low, high, len(ratios)
        )
    ]
    text = (
        f"The formulas give {low:.2f} to {high:.2f} times the operations that torch counts, over {len(ratios)} cases "
        "of method and problem"
    )
    if shares:
        most = max(shares)
        claims.append(
            ledger.estimate(
                "term-flops",
                "largest share of heads and critic in the operations",
                most,
                None,
                None,
                len(shares),
                "percent",
            )
        )
        text += f"; heads and critic of the MI term are at most {100 * most:.1f}% of them"
    return Sentence(f"{text}.", tuple(claims))
