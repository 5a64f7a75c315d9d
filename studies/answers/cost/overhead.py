"""The overhead of the MI term: a paired ratio of what base and term cost to what the base costs alone."""

from __future__ import annotations

from collections.abc import Sequence

from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.wording import listed
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Sentence, Table
from studies.engine.arms import Arm
from studies.engine.names import label_of
from studies.engine.problems import MEMORY
from studies.engine.statistics.contrasts import Decision

WHAT = {"overhead": "time of an iteration", "peak": "peak memory of an iteration"}


def overheads(ledger: Ledger, levels: Sequence[str], metric: str) -> list[Ruling]:
    """Every method with the term over its base alone, at these levels, by the logarithm of a cost.

    Of time each repeat has measured the ratio itself, iterations in turns; of memory, base and term are two trials, and
    repeats that are not planned to measure it are none of its pairs.
    """
    results, contrasts = ledger.results, list[Contrast]()
    for level in levels:
        for arm in results.arms.values():
            cell = Cell(arm.key, (level,))
            if not arm.has_term or not results.setting(cell):
                continue
            if metric == "overhead":
                what = f"time of an iteration of {arm.name} over {base_name(results, arm)}{results.at((level,))}"
                contrasts.append(results.contrast(slug("overhead", arm.key, level), what, (1.0, cell), metric=metric))
            elif arm.control and (weighed := weighed_seeds(results, cell)):
                what = f"peak memory of an iteration of {arm.name} over {base_name(results, arm)}{results.at((level,))}"
                terms = ((1.0, cell), (-1.0, Cell(arm.control, (level,))))
                id = slug("overhead", arm.key, level)
                contrasts.append(results.contrast(id, what, *terms, metric=metric, among=weighed))
    return ledger.family(f"overheads in {WHAT[metric]}", contrasts)


def base_name(results: Results, arm: Arm) -> str:
    """The name of the base of an arm with the term, whether it is an arm too or not."""
    return results.arms[arm.control].name if arm.control else label_of(arm.base)


def weighed_seeds(results: Results, cell: Cell) -> list[int]:
    """The repeats of a cell that are planned to measure memory: those whose trials, once run, say so."""
    rows = [results.row(cell, k) for k in range(len(results.seeds))]
    return [seed for seed, row in zip(results.seeds, rows, strict=True) if row is None or row.config.get(MEMORY)]


def overhead_table(ledger: Ledger, rulings: dict[str, list[Ruling]]) -> Table:
    """Ratios of time and of memory, side by side."""
    rows: list[dict[str, Entry]] = []
    peaks = {ruling.contrast.terms[0][1]: ruling for ruling in rulings["peak"]}
    for ruling in rulings["overhead"]:
        cell = ruling.contrast.terms[0][1]
        peak = peaks.get(cell)
        rows.append(
            {
                "problem": cell.levels[0],
                "method": ledger.results.arms[cell.arm].name,
                "time, times the base": ruling.quantity,
                "decision on time": ruling.word,
                "memory, times the base": peak.quantity if peak else None,
                "decision on memory": peak.word if peak else None,
                "pairs": ruling.interval.n,
                "pairs of memory": peak.interval.n if peak else None,
            }
        )
    return Table.of(
        "overhead",
        "What the MI term adds to an iteration",
        rows,
        "Ratios of an iteration with the term to the same base's without. Time: of a repeat the median over "
        "neighbouring iterations, base and term in turns in one process. Memory: each in fresh processes. Geometric "
        "means over repeats with 95% t intervals. Each of time and memory is one family for Holm's correction; a "
        "ratio within 5% either way counts as no difference.",
    )


def overhead_sentence(ledger: Ledger, rulings: Sequence[Ruling], level: str) -> Sentence | None:
    """How much longer an iteration takes with the term, for every base at one level."""
    own = [ruling for ruling in rulings if ruling.contrast.terms[0][1].levels == (level,)]
    if not own:
        return None
    results = ledger.results
    names = [base_name(results, results.arms[ruling.contrast.terms[0][1].arm]) for ruling in own]
    parts = [f"{ruling.points} on {name} ({ruling.word})" for ruling, name in zip(own, names, strict=True)]
    return Sentence(
        f"On {level}, the time of an iteration with the MI term, over the base's without it, is {listed(parts)}.",
        tuple(ruling.claim for ruling in own),
    )


def minimal(ledger: Ledger, rulings: Sequence[Ruling]) -> Sentence | None:
    """Whether the claim that the term's overhead is minimal holds: within 5% of the base's time."""
    if not rulings:
        return None
    shown = [
        r
        for r in rulings
        if r.decision is Decision.NEGLIGIBLE or (r.decision is not Decision.UNDECIDED and r.judged.size == "below")
    ]
    large = [r for r in rulings if r.decision is Decision.GAIN and r.judged.size == "beyond"]
    text = (
        f"That the overhead is minimal, at most 5% of an iteration's time, is shown in {len(shown)} and refuted in "
        f"{len(large)} of {len(rulings)} cases of base and problem"
    )
    if large:
        most = max(large, key=lambda ruling: ruling.interval.mean or 0.0)
        cell = most.contrast.terms[0][1]
        text += f"; the largest is {most.points}, of {ledger.results.arms[cell.arm].name} on {cell.levels[0]}"
    return Sentence(f"{text}.", tuple(ruling.claim for ruling in rulings))
