"""What methods and the MI term cost, how that grows, and what it buys."""

from __future__ import annotations

import numpy as np

from studies.answers.cost.beside import beside_published, published_sentence, published_table
from studies.answers.cost.cells import TEN
from studies.answers.cost.counts import operations_sentence, operations_table
from studies.answers.cost.experts import experts_sentence
from studies.answers.cost.growing import growing
from studies.answers.cost.machine import machine_notes
from studies.answers.cost.overhead import minimal, overhead_sentence, overhead_table, overheads
from studies.answers.cost.plain import plain
from studies.answers.cost.rates import speeds_of
from studies.answers.cost.stages import stage_figure, stage_table, stages, total_of
from studies.answers.cost.worth import worth
from studies.answers.ledger import Ledger, Part
from studies.answers.parts.overview import ended, losses
from studies.answers.results import Cell, Results
from studies.engine.answer import Answer, Claim, Sentence
from studies.engine.folder import StudyFolder
from studies.engine.speeds import FILE


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, the tables and the figures."""
    ledger = Ledger(Results(folder))
    results = ledger.results
    planned = stage_levels(results)
    found = [level for level in planned if _measured(results, level)]
    if not any(row.status == "ok" for row in folder.rows.values()):
        return ledger.compose(
            Part([Sentence(f"There is no answer yet, because no trial finished ({ended(results)}).")])
        )
    rulings = {metric: overheads(ledger, planned, metric) for metric in ("overhead", "peak")}
    whole = [level for level in found if level != TEN]
    published = {ipc: level for ipc, level in {1: "32x32", 10: TEN}.items() if level in found}
    beside = beside_published(ledger, published)
    growth, (bought, equal_cost) = growing(ledger), worth(ledger)
    speeds = speeds_of(results)
    sentences = [
        *(overhead_sentence(ledger, rulings["overhead"], level) for level in whole),
        minimal(ledger, rulings["overhead"]),
        *(_totals(ledger, level) for level in whole),
        *(experts_sentence(ledger, level) for level in whole),
        published_sentence(beside),
        operations_sentence(ledger, found),
        *growth.sentences,
        *bought.sentences,
        losses(ledger.results),
    ]
    tables = [
        overhead_table(ledger, rulings),
        stage_table(ledger, whole),
        operations_table(ledger, found),
        published_table(beside),
        *growth.tables,
        *bought.tables,
    ]
    figures = [stage_figure(ledger, whole), *growth.figures, *bought.figures]
    notes = [*machine_notes(results), *growth.notes, *bought.notes]
    return ledger.compose(
        Part(sentences, tables, figures, notes, files={FILE: speeds.json()} if speeds is not None else None),
        Part(plain=[*plain(ledger, rulings["overhead"], equal_cost), *growth.plain]),
    )


def stage_levels(results: Results) -> list[str]:
    """The levels at which every stage is measured: those on no axis."""
    return [level.label for factor in results.factors for level in factor.levels if not level.curve]


def _measured(results: Results, level: str) -> bool:
    """Whether a stage of a method was measured at a level."""
    metrics = ("iteration", "training", "selection")
    cells = [Cell(arm, (level,)) for arm in results.arms]
    return any(np.isfinite(results.sets(cell, metric)).any() for cell in cells for metric in metrics)


def _totals(ledger: Ledger, level: str) -> Sentence | None:
    """What a set of every method takes in all, least first."""
    results, totals, evaluated = ledger.results, list[tuple[float, str, Claim]](), True
    for key, arm in results.arms.items():
        total, claim = total_of(ledger, key, level)
        if total.mean is not None:
            evaluated = stages(results, key, level).evaluated
            totals.append((total.mean, f"{arm.name} {total}", claim))
    if not totals:
        return None
    what = "preparation and evaluation included" if evaluated else "preparation included, evaluation not measured"
    listed = "; ".join(text for _, text, _ in sorted(totals))
    text = f"On {level}, one synthetic set by the protocol's iterations takes, {what}: {listed}."
    return Sentence(text, tuple(claim for *_, claim in totals))
