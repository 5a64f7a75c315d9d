"""Seconds of an iteration beside published ones: as multiples of DM's, since machines differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mim4dd.complexity import iteration_operations
from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS
from mim4dd.registry import Flat, unflatten
from studies.answers.cost.published import PUBLISHED
from studies.answers.cost.stages import seconds
from studies.answers.ledger import Ledger
from studies.answers.parts.wording import listed
from studies.answers.results import Cell, slug
from studies.engine.answer import Claim, Quantity, Sentence, Table
from studies.engine.problems import COST, OWN, Problem
from studies.engine.rows import Row
from studies.engine.statistics import mean_interval

REFERENCE = next(published for published in PUBLISHED if published.base == "dm")


@dataclass(frozen=True)
class Beside:
    """One method's iteration as a multiple of DM's, as published and here. loops: those that were not measured."""

    ipc: int
    name: str
    published: float
    here: Quantity
    loops: float
    claim: Claim


def beside_published(ledger: Ledger, levels: dict[int, str]) -> list[Beside]:
    """Every method that has published seconds and was measured beside DM. levels: by images per class."""
    results, found = ledger.results, list[Beside]()
    for ipc, level in levels.items():
        for published in PUBLISHED:
            cell, dm = Cell(published.base, (level,)), Cell(REFERENCE.base, (level,))
            if published is REFERENCE or not results.rows(cell) or not results.rows(dm):
                continue
            loops, name = as_published(results.rows(cell)[0], ipc), results.arms[published.base].name
            interval = mean_interval(
                np.log(loops * seconds(results, cell, "iteration") / seconds(results, dm, "iteration"))
            )
            claim = ledger.estimate(
                slug("over-dm", published.base, str(ipc)),
                f"time of an iteration of {name} over DM, {level}, with the loops as published",
                *(interval.mean, interval.low, interval.high, interval.n),
                "times",
            )
            ratio = published.seconds[ipc] / REFERENCE.seconds[ipc]
            found.append(Beside(ipc, name, ratio, Quantity.of(interval, "times"), loops, claim))
    return found


def published_sentence(cases: list[Beside]) -> Sentence | None:
    """Every method's iteration as a multiple of DM's, with the published multiple."""
    if not cases:
        return None
    told = [
        f"with {case.ipc} image{'s' if case.ipc > 1 else ''} per class {case.here} of {case.name} "
        f"(published {case.published:.1f})"
        for case in cases
    ]
    return Sentence(
        f"On 32x32 images, an iteration takes this many times DM's: {listed(told)}.",
        tuple(case.claim for case in cases),
    )


def published_table(cases: list[Beside]) -> Table | None:
    """Seconds of an iteration as multiples of DM's, published and here."""
    rows = [
        {
            "images per class": case.ipc,
            "method": case.name,
            "published, times DM": round(case.published, 1),
            "here, times DM": case.here,
            "loops from the formula": round(case.loops, 1) if case.loops != 1 else None,
        }
        for case in cases
    ]
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
