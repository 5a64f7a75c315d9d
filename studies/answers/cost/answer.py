"""What methods and the MI term cost, how that grows, and what it buys."""

from __future__ import annotations

import numpy as np

from studies.answers.cost.counts import anchors_table, experts_sentence, operations_sentence, operations_table
from studies.answers.cost.growing import growing
from studies.answers.cost.machine import machine_notes
from studies.answers.cost.overhead import minimal, overhead_sentence, overhead_table, overheads
from studies.answers.cost.plain import plain
from studies.answers.cost.plan import TEN
from studies.answers.cost.rates import speeds_of
from studies.answers.cost.stages import logged, stage_figure, stage_table, stages
from studies.answers.cost.worth import worth
from studies.answers.ledger import Ledger, Part
from studies.answers.parts.overview import losses
from studies.answers.results import Cell, Results
from studies.engine.answer import Answer, Sentence
from studies.engine.arms import FLOOR
from studies.engine.folder import StudyFolder
from studies.engine.rows import Array
from studies.engine.speeds import FILE


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, the tables and the figures."""
    ledger = Ledger(Results(folder))
    levels = stage_levels(ledger.results)
    found = [level for level in levels if _measured(ledger.results, level)]
    if not found:
        return ledger.compose(Part([Sentence("There is no answer yet, because no iteration has been measured.")]))
    rulings = {metric: overheads(ledger, found, metric) for metric in ("overhead", "peak")}
    whole = [level for level in found if level != TEN]
    published = {ipc: level for ipc, level in {1: "32x32", 10: TEN}.items() if level in found}
    growth, (bought, equal_cost) = growing(ledger), worth(ledger)
    speeds = speeds_of(ledger.results)
    sentences = [
        *(overhead_sentence(ledger, rulings["overhead"], level) for level in whole),
        minimal(ledger, rulings["overhead"]),
        *(_totals(ledger, level) for level in whole),
        *(experts_sentence(ledger, level, _parts(ledger.results, level)) for level in whole),
        operations_sentence(ledger, found),
        *growth.sentences,
        *bought.sentences,
        losses(ledger),
    ]
    tables = [
        overhead_table(ledger, rulings),
        stage_table(ledger, whole),
        operations_table(ledger, found),
        anchors_table(ledger, published),
        *growth.tables,
        *bought.tables,
    ]
    figures = [stage_figure(ledger, whole), *growth.figures, *bought.figures]
    notes = [*machine_notes(ledger.results), *growth.notes, *bought.notes]
    return ledger.compose(
        Part(sentences, tables, figures, notes, files={FILE: speeds.json()} if speeds is not None else None),
        Part(plain=plain(ledger, rulings["overhead"], equal_cost)),
    )


def stage_levels(results: Results) -> list[str]:
    """The levels at which every stage is measured: those on no axis."""
    return [level.label for factor in results.factors for level in factor.levels if not level.curve]


def _measured(results: Results, level: str) -> bool:
    return any(np.isfinite(results.sets(Cell(arm, (level,)), "iteration")).any() for arm in results.arms)


def _parts(results: Results, level: str) -> dict[str, tuple[Array, Array]]:
    """(preparing, distilling) seconds of each base alone, by repeat."""
    bases = [key for key, arm in results.arms.items() if not arm.has_term and key == arm.base]
    found = {key: stages(results, key, level) for key in bases if results.rows(Cell(key, (level,)))}
    return {
        key: (s.preparing, s.distilling)
        for key, s in found.items()
        if np.isfinite(results.sets(Cell(key, (level,)), "iteration")).any()
    }


def _totals(ledger: Ledger, level: str) -> Sentence | None:
    """What a set of every method takes in all, least first."""
    results, totals = ledger.results, []
    for key, arm in results.arms.items():
        if (arm.anchor and key != FLOOR) or not results.rows(Cell(key, (level,))):
            continue
        total = logged(stages(results, key, level).total, "log seconds")
        if total.mean is not None:
            totals.append((total.mean, f"{arm.name} {total}"))
    if not totals:
        return None
    listed = "; ".join(text for _, text in sorted(totals))
    return Sentence(
        f"On {level}, one synthetic set by the protocol's iterations takes, preparation and evaluation included: "
        f"{listed}."
    )
