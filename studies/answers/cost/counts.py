"""Operations: a method's formula beside what torch counts, and beside published seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mim4dd.complexity import iteration_operations
from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS
from mim4dd.registry import Flat, unflatten
from studies.answers.cost.stages import iterations_of, seconds, stages
from studies.answers.ledger import Ledger
from studies.answers.parts.wording import listed
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Claim, Quantity, Sentence, Table
from studies.engine.arms import CEILING, FLOOR
from studies.engine.problems import COST, OWN, Problem
from studies.engine.rows import Row
from studies.engine.statistics import mean_interval
from studies.engine.statistics.contrasts import Decision

# Formula and count may differ by so much before the answer names the case.
MISMATCH = 0.02
# The method that prepares experts.
EXPERTS = "mtt"


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


@dataclass(frozen=True)
class Published:
    """Seconds of a step on CIFAR-10 as published, by images per class; NaN where it ran out of memory."""

    base: str
    seconds: dict[int, float]


# DataDAM's poster (Sajedi et al., ICCV 2023), one GPU.
PUBLISHED = (
    Published("dc", {1: 0.16, 10: 3.31, 50: 15.74}),
    Published("dsa", {1: 0.22, 10: 4.47, 50: 20.13}),
    Published("dm", {1: 0.08, 10: 0.08, 50: 0.08}),
    Published("mtt", {1: 0.36, 10: 0.40, 50: math.nan}),
)


def anchors_table(ledger: Ledger, levels: dict[int, str]) -> Table | None:
    """Seconds of an iteration as multiples of DM's, published and here. levels: by images per class."""
    results, rows = ledger.results, list[dict[str, Entry]]()
    reference = next(published for published in PUBLISHED if published.base == "dm")
    for ipc, level in levels.items():
        for published in PUBLISHED:
            cell, dm = Cell(published.base, (level,)), Cell("dm", (level,))
            if published.base == "dm" or not results.rows(cell) or not results.rows(dm):
                continue
            loops = as_published(results.rows(cell)[0], ipc)
            ratios = np.log(loops * seconds(results, cell, "iteration") / seconds(results, dm, "iteration"))
            rows.append(
                {
                    "images per class": ipc,
                    "method": results.arms[published.base].name,
                    "published, times DM": round(published.seconds[ipc] / reference.seconds[ipc], 1),
                    "here, times DM": Quantity.of(mean_interval(ratios), "times"),
                    "loops from the formula": round(loops, 1) if loops != 1 else None,
                }
            )
    return (
        Table.of(
            "published",
            "Beside published times",
            rows,
            "Seconds of an iteration on 32x32 images, as multiples of DM's. Published: DataDAM's poster (ICCV 2023) "
            "on its own GPU, so only ratios can be compared. Loops from the formula: with 10 images per class an "
            "iteration of DC and DSA has 10 updates and 9 x 50 epochs between them; one update was measured here, "
            "and multiplied by the operations of the whole over its own.",
        )
        if rows
        else None
    )


def as_published(row: Row, ipc: int) -> float:
    """How many times the operations of a measured iteration its published loops have; 1 where it has them already."""
    config: Flat = {**row.config}
    usual = {key: 0 for key in config if key.rpartition(".")[2] in ("outer", "inner") and key.startswith("method")}
    if not usual or row.config.get(COST) == OWN:
        return 1.0
    problem, network = Problem.of(str(row.config[COST])), unflatten(NETWORKS, config, "network")
    whole, measured = (
        iteration_operations(unflatten(METHODS, flat, "method"), network, problem.shape, problem.classes, ipc).flops
        for flat in (config | usual, config)
    )
    return float(whole / measured)


def experts_sentence(ledger: Ledger, level: str) -> Sentence | None:
    """After how many sets what MTT prepares has paid, where an iteration of MTT is shown to take less time."""
    results = ledger.results
    mtt = next((key for key, arm in results.arms.items() if arm.method == EXPERTS and not arm.has_term), None)
    bases = [
        key for key, arm in results.arms.items() if not arm.has_term and arm.method not in (FLOOR, CEILING, EXPERTS)
    ]
    bases = [key for key in bases if results.setting(Cell(key, (level,))) and results.arms[key].base == key]
    if mtt is None or not results.setting(Cell(mtt, (level,))):
        return None
    own, contrasts = stages(results, mtt, level), dict[str, Contrast]()
    for base in bases:
        if not iterations_of(results, Cell(base, (level,))):
            continue  # a selection
        other = stages(results, base, level).distilling
        what = f"time of distilling by {results.arms[base].name} over MTT, {level}"
        ratios = np.log(np.where(other > 0, other, np.nan)) - np.log(
            np.where(own.distilling > 0, own.distilling, np.nan)
        )
        terms = ((1.0, Cell(base, (level,))), (-1.0, Cell(mtt, (level,))))
        id = slug("distilling-over-mtt", base, level)
        contrasts[base] = results.contrast(id, what, *terms, metric="iteration", values=ratios)
    rulings = dict(zip(contrasts, ledger.family(f"distilling over MTT, {level}", contrasts.values()), strict=True))
    pays, never, open_, claims = list[str](), list[str](), list[str](), list[Claim]()
    for base, ruling in rulings.items():
        name = results.arms[base].name
        claims.append(ruling.claim)
        if ruling.decision is Decision.GAIN:
            saved = stages(results, base, level).distilling - own.distilling
            sets = mean_interval(np.log(own.preparing / np.where(saved > 0, saved, np.nan)))
            what = f"sets after which MTT's experts have paid against {name}, {level}"
            numbers = (sets.mean, sets.low, sets.high, sets.n)
            claims.append(ledger.estimate(slug("experts", level, base), what, *numbers, "times"))
            pays.append(" ".join(filter(None, ["after", *Quantity.of(sets, "times").written, "sets against", name])))
        elif ruling.decision is Decision.LOSS:
            never.append(f"{name} ({ruling.points})")
        else:
            open_.append(f"{name} ({ruling.points}, {ruling.word})")
    told = [f"have paid for themselves in time {listed(pays)}"] if pays else []
    told += [f"never pay against {listed(never)}, which distil in less time (theirs over MTT's)"] if never else []
    told += [f"may or may not pay against {listed(open_)}"] if open_ else []
    return Sentence(f"On {level}, MTT's experts {'; they '.join(told)}.", tuple(claims)) if told else None
