"""How costs grow along each axis, beside the growth that the formulas predict."""

from __future__ import annotations

from collections import Counter

from studies.answers.cost.cells import BUDGET, IMAGES
from studies.answers.cost.counts import cost_of
from studies.answers.cost.overhead import weighed_seeds
from studies.answers.ledger import Ledger, Part
from studies.answers.parts.growth import Along, Grown, grown, growth_figure, growth_table, predicted_exponent
from studies.answers.parts.wording import listed
from studies.answers.results import Cell, Results
from studies.engine.answer import Quantity, Sentence
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

# What a cost does from one end of an axis to the other, by decision.
GROWS = {
    Decision.GAIN: "grows",
    Decision.LOSS: "falls",
    Decision.NEGLIGIBLE: "does not change beyond 5%",
    Decision.UNDECIDED: "is undecided",
}
TIME, MEMORY, EXPERTS = "time of an iteration", "peak memory of an iteration", "time of the preparation"


def growing(ledger: Ledger) -> Part:
    """Growth of time and memory of an iteration, and of what a method prepares with the number of images."""
    results, along = ledger.results, axes(ledger.results)
    if not along:
        return Part()
    methods = [key for key, arm in results.arms.items() if not arm.anchor and _planned(results, key, along)]
    cells = [Cell(key, levels) for key in methods for _, points in along for _, levels in points]
    operations = {cell: flops for cell in cells if (flops := cost_of(results, cell, "iteration_flops")) > 0}
    time = grown(ledger, "iteration", methods, along, f"growth of the {TIME}", operations)
    weighed = [seed for seed in results.seeds if any(seed in weighed_seeds(results, cell) for cell in cells)]
    memory = grown(ledger, "peak", methods, along, f"growth of the {MEMORY}", among=weighed) if weighed else []
    prepared = {cell: flops for cell in cells if (flops := cost_of(results, cell, "preparation_flops")) > 0}
    images = [(curve, points) for curve, points in along if curve.name == IMAGES]
    prepares = list(dict.fromkeys(cell.arm for cell in prepared))
    experts = grown(ledger, "preparation", prepares, images, f"growth of the {EXPERTS}", prepared)
    return Part(
        [*_sentences(ledger, time, TIME), *_sentences(ledger, experts, EXPERTS), *_sentences(ledger, memory, MEMORY)],
        [
            growth_table(ledger, time, "growth", "How the time of an iteration grows", TIME),
            growth_table(ledger, memory, "growth_memory", "How the memory of an iteration grows", MEMORY),
            *(
                [growth_table(ledger, experts, "growth_experts", "How the preparation grows", EXPERTS)]
                if experts
                else []
            ),
        ],
        [
            growth_figure(ledger, time, "growth", "How the time of an iteration grows", TIME),
            growth_figure(ledger, memory, "growth_memory", "How the memory of an iteration grows", MEMORY),
        ],
        [
            "Growth is measured apart from one centre: 16x16 images of noise, 10 classes, 100 images of each (50 of "
            "many classes), width 32, 32 real images per class, one update in an iteration of DC and DSA, 10 steps of "
            "MTT's student. What an image shows changes no cost. Resolution changes the depth of the network too, as "
            "its rule says. The predicted growth is that of the operations alone: where launching them takes longer "
            "than computing them, time grows more slowly."
        ],
        plain=[_short(time)],
    )


def axes(results: Results) -> list[Along]:
    """Each axis of growth with its (x, levels), without the budgets of real runs."""
    (factor,) = results.factors
    found = list[Along]()
    for curve in factor.curves:
        points = sorted((float(level.at or 0), (level.label,)) for level in factor.levels if level.curve == curve.name)
        if curve.name != BUDGET:
            found.append((curve, points))
    return found


def _planned(results: Results, arm: str, along: list[Along]) -> bool:
    return any(results.setting(Cell(arm, levels)) for _, points in along for _, levels in points)


def _short(cases: list[Grown]) -> Sentence | None:
    """With what an iteration's time grows for every method, and how many decide what of the other axes."""
    if not cases:
        return None
    every, others = list[str](), list[str]()
    for curve in dict.fromkeys(case.curve for case in cases):
        counts = Counter(case.ruling.decision for case in cases if case.curve == curve)
        if list(counts) == [Decision.GAIN]:
            every.append(curve.axis)
        else:
            told = [f"{word} for {counts[decision]}" for decision, word in GROWS.items() if counts[decision]]
            others.append(f"with {curve.axis} it {listed(told)} of {plural(counts.total(), 'method')}")
    grows = [f"the {TIME} grows with {listed(every)} for every method"] if every else []
    told_of = "; ".join([*grows, *others]) if grows else f"as to the {TIME}, {'; '.join(others)}"
    return Sentence(
        f"From the smallest to the largest value that was measured, {told_of}.",
        tuple(case.ruling.claim for case in cases),
    )


def _sentences(ledger: Ledger, cases: list[Grown], what: str) -> list[Sentence]:
    """One sentence for each axis: what does not grow, and the exponents of what does."""
    sentences = []
    for curve in dict.fromkeys(case.curve for case in cases):
        own = [case for case in cases if case.curve == curve]
        flat = [case for case in own if case.ruling.decision is Decision.NEGLIGIBLE]
        rest = [case for case in own if case not in flat]
        name = {case.arm: ledger.results.arms[case.arm].name for case in own}
        powers = [case for case in rest if case.exponent is not None and case.ruling.decision is Decision.GAIN]
        parts = [f"does not grow beyond 5% for {listed([name[case.arm] for case in flat])}"] if flat else []
        if powers:
            told = [f"{case.exponent}{_predicted(case)} for {name[case.arm]}" for case in powers]
            parts.append(f"grows with the exponent {'; '.join(told)}")
        if others := [case for case in rest if case not in powers]:
            told = [f"{case.ruling.points} for {name[case.arm]} ({case.ruling.word})" for case in others]
            parts.append(f"changes by {'; '.join(told)}")
        low, high = own[0].x[0], own[0].x[-1]
        sentences.append(
            Sentence(
                f"From {low:,.0f} to {high:,.0f} {curve.axis}, the {what} {'; it '.join(parts)}.",
                tuple(claim for case in own for claim in case.claims),
            )
        )
    return sentences


def _predicted(case: Grown) -> str:
    """` (predicted 1.00)`, of the operations."""
    expected = predicted_exponent(case.predicted, case.predicted_fit)
    return "" if expected is None else f" (predicted {Quantity(expected, digits=2)})"
