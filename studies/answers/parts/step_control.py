"""The control of step length: base and MI term against the base alone with steps as long as theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.wording import at, decisions
from studies.answers.results import Cell
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Sentence, Table
from studies.engine.arms import longer_step_of
from studies.engine.wording import plural

Levels = tuple[str, ...]
TERM, STEP = "the term against a longer step of its base", "a longer step against the base"
NOTE = (
    "(longer step) is a control of the MI term: the base alone, its pixel gradient scaled at each update to the length "
    "that base and term have together, at the same network and real batch. What the term gains over it is due to the "
    "term's direction; what it gains over the base is due to longer steps."
)


@dataclass(frozen=True)
class Controlled:
    """An arm with the MI term (`arm`) at some levels, its base with steps as long (`twin`), and the base (`control`).

    control, of_step: "" and None if the base alone is not among the arms.
    """

    arm: str
    twin: str
    control: str
    levels: Levels
    of_term: Ruling
    of_step: Ruling | None


def controlled(ledger: Ledger, arms: Iterable[str], levels: Sequence[Levels], metric: str = "test") -> list[Controlled]:
    """Judge both families of contrasts, over those of the arms that have a twin, at the levels where both run.

    arms: keys, in any role; levels: labels in the factors' order, the references first.
    """
    results, all_arms = ledger.results, ledger.results.arms
    twins = {arm: longer_step_of(all_arms[arm], all_arms.values()) for arm in arms}
    cells = [
        (arm, twin, all_arms[arm].control, one)
        for arm, twin in twins.items()
        for one in levels
        if twin and results.setting(Cell(arm, one)) and results.setting(Cell(twin, one))
    ]
    of_term = ledger.family(TERM, [results.against(arm, twin, one, metric) for arm, twin, _, one in cells])
    with_base = [cell for cell in cells if cell[2]]
    judged = ledger.family(STEP, [results.against(twin, base, one, metric) for _, twin, base, one in with_base])
    of_step = dict(zip(with_base, judged, strict=True))
    return [Controlled(*cell, ruling, of_step.get(cell)) for cell, ruling in zip(cells, of_term, strict=True)]


def step_control(ledger: Ledger, cases: Sequence[Controlled]) -> Part:
    """A sentence for each arm, a table, and what a longer step is; empty without cases."""
    if not cases:
        return Part()
    by_arm: dict[str, list[Controlled]] = {}
    for case in cases:
        by_arm.setdefault(case.arm, []).append(case)
    return Part([_sentence(ledger, of_arm) for of_arm in by_arm.values()], [_table(ledger, cases)], notes=[NOTE])


def _sentence(ledger: Ledger, cases: Sequence[Controlled]) -> Sentence:
    """The two contrasts of an arm at its first level, and their decisions at all its levels if there are more."""
    of_term = {case.levels: case.of_term for case in cases}
    of_step = {case.levels: case.of_step for case in cases if case.of_step is not None}
    parts = [_gain(ledger, rulings) for rulings in (of_term, of_step) if rulings]
    claims = [ruling.claim for rulings in (of_term, of_step) for ruling in rulings.values()]
    return Sentence(" ".join(parts), tuple(claims))


def _gain(ledger: Ledger, rulings: dict[Levels, Ruling]) -> str:
    levels, first = next(iter(rulings.items()))
    (_, a), (_, b) = first.contrast.terms
    arms, where = ledger.results.arms, f" {at(' · '.join(levels))}" if levels else ""
    text = (
        f"The gain of {arms[a.arm].name} over {arms[b.arm].name} is {first.points}{where} (n = {first.interval.n}; "
        f"{first.statement})."
    )
    if len(rulings) == 1:
        return text
    return f"{text} {decisions({' · '.join(one): ruling for one, ruling in rulings.items()})}"


def _table(ledger: Ledger, cases: Sequence[Controlled]) -> Table:
    sizes = [len(cases), sum(case.of_step is not None for case in cases)]
    return Table.of(
        "step",
        "The MI term against a longer step of its base",
        [_row(ledger, case) for case in cases],
        "Longer step: the base alone, its pixel gradient scaled at each update to the length of base and term "
        "together. Differences in test accuracy, paired by seed, with pointwise 95% t intervals. Decisions: three "
        "paired t tests with a margin of half a point, each Holm-corrected over the "
        f"{plural(sizes[0], 'comparison')} with a longer step and over the {plural(sizes[1], 'comparison')} of a "
        "longer step with its base. ρ: the norm of the term's pixel gradient over that of the base's; effective λ: the "
        "factor of the term's loss that this amounts to; both with the term, medians over a run and means over sets.",
    )


def _row(ledger: Ledger, case: Controlled) -> dict[str, Entry]:
    results, cell = ledger.results, Cell(case.arm, case.levels)
    rho, weight = (ledger.mean(cell, metric, "(median over the run)") for metric in ("rho", "effective_weight"))
    step = case.of_step
    return {
        **{factor.name: label for factor, label in zip(results.factors, case.levels, strict=True)},
        "with the term": results.arms[case.arm].name,
        "the base with steps as long": results.arms[case.twin].name,
        "term less longer step": case.of_term.quantity,
        "decision": case.of_term.word,
        "p (Holm)": case.of_term.judged.difference,
        "longer step less base": step.quantity if step else None,
        "decision on the step": step.word if step else None,
        "p of the step (Holm)": step.judged.difference if step else None,
        "pairs": case.of_term.interval.n,
        "pairs lost": case.of_term.lost,
        "pairs that would decide": case.of_term.needed or None,
        "ρ": Quantity.of(rho, ""),
        "effective λ": Quantity.of(weight, ""),
    }
