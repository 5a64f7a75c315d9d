"""The MI term against its placebos: what takes the term's place at the same strength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.contrasts import wins
from studies.answers.parts.step_control import NOTE, controlled
from studies.answers.parts.wording import chance, grouped
from studies.answers.results import Cell, Results
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Sentence, Table
from studies.engine.arms import Arm, placebo_knobs
from studies.engine.names import PLACEBOS
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

LESS = {
    Decision.GAIN: "higher than with",
    Decision.LOSS: "lower than with",
    Decision.NEGLIGIBLE: "not different beyond half a point from that with",
    Decision.UNDECIDED: "undecided against that with",
}
OVER = {
    Decision.GAIN: "higher with",
    Decision.LOSS: "lower with",
    Decision.NEGLIGIBLE: "not different beyond half a point with",
    Decision.UNDECIDED: "undecided with",
}
WORDS = {pair: words.removeprefix(", ") for pair, words in PLACEBOS.items()}
OTHERS, OVER_BASE = "the term against its other placebos", "its other placebos against the base"


@dataclass(frozen=True)
class Tried:
    """A placebo of the term at the references. of_term: the term less it; of_base: it less the base alone."""

    arm: str
    of_term: Ruling
    of_base: Ruling


def placebos_of(arm: Arm, arms: Sequence[Arm]) -> list[Arm]:
    """The placebos that differ from an arm with the term in the knob that makes them one."""

    def rest(one: Arm, without: Arm) -> dict[str, object]:
        return {key: value for key, value in one.knobs.items() if key not in placebo_knobs(without.knobs)}

    return [
        other
        for other in arms
        if other.placebo and other.method == arm.method and rest(other, other) == rest(arm, other)
    ]


def against_placebos(ledger: Ledger, term: str) -> list[Tried]:
    """Judge the term against the longer step of its base, and, in families of their own, its other placebos."""
    results = ledger.results
    step = controlled(ledger, [term], [results.reference])
    twins = {case.twin for case in step}
    found = placebos_of(results.arms[term], list(results.arms.values()))
    others, base = [arm.key for arm in found if arm.key not in twins], results.arms[term].control
    of_term = ledger.family(OTHERS, [results.against(term, arm) for arm in others])
    of_base = ledger.family(OVER_BASE, [results.against(arm, base) for arm in others])
    tried = [Tried(case.twin, case.of_term, case.of_step) for case in step if case.of_step is not None]
    tried += [Tried(*one) for one in zip(others, of_term, of_base, strict=True)]
    return tried


def placebos_part(ledger: Ledger, term: str, tried: Sequence[Tried]) -> Part:
    """Two sentences and a table; empty without placebos."""
    if not tried:
        return Part()
    results = ledger.results
    kinds = [placebo_knobs(results.arms[one.arm].knobs).items() for one in tried]
    names = [" and ".join(WORDS[pair] for pair in kind) for kind in kinds]
    arm = results.arms[term]
    sentences = [
        Sentence(
            f"The test accuracy of {arm.name} is {grouped([one.of_term for one in tried], names, LESS)} in place of "
            "the term.",
            tuple(one.of_term.claim for one in tried),
        ),
        Sentence(
            f"Compared with {results.arms[arm.control].name} alone, test accuracy is "
            f"{grouped([one.of_base for one in tried], names, OVER)}.",
            tuple(one.of_base.claim for one in tried),
        ),
    ]
    return Part(sentences, [_table(ledger, term, tried)], notes=[NOTE, WHAT])


WHAT = (
    "The other placebos, each as strong as the term: shuffled labels pair the real batch with labels permuted at every "
    "update, so that the contrast knows no class; positives only and negatives only are the two summands of nce; a "
    "random direction replaces the term's pixel gradient by one of its length, drawn at every update."
)


def _table(ledger: Ledger, term: str, tried: Sequence[Tried]) -> Table:
    results, rows = ledger.results, list[dict[str, Entry]]()
    base = results.arms[term].control
    gain = ledger[results.gain(term)]
    rows.append(_row(ledger, term, gain, None))
    rows += [_row(ledger, one.arm, one.of_base, one.of_term) for one in tried]
    return Table.of(
        "placebos",
        "The MI term against what takes its place",
        rows,
        "Test accuracy and usable information: means over sets with 95% t intervals. Differences in test accuracy are "
        f"paired by seed, with pointwise 95% t intervals. Less {results.arms[base].name}: the gain of the term, and of "
        "each placebo. Term less it: positive where the term is better. Decisions: three paired t tests with a margin "
        "of half a point; a longer step, which decides, is a family of its own, and the other placebos "
        f"({plural(len(tried) - 1, 'comparison')}) are Holm-corrected together. P(term better): share of pairs won.",
    )


def _row(ledger: Ledger, arm: str, over_base: Ruling, of_term: Ruling | None) -> dict[str, Entry]:
    results, cell = ledger.results, ledger.results.cell(arm)
    usable = ledger.mean(cell, "usable", "information")
    return {
        "method": results.arms[arm].name,
        "test accuracy": Quantity.of(ledger.mean(cell), "percent"),
        "usable information, nats": Quantity.of(usable, "nats") if usable.n else None,
        "less the base": over_base.quantity,
        "decision": over_base.word,
        "term less it": of_term.quantity if of_term else None,
        "decision on that": of_term.word if of_term else None,
        "p (Holm)": of_term.judged.difference if of_term else None,
        "P(term better)": _won(results, of_term),
        "pairs": over_base.interval.n,
        "pairs lost": over_base.lost,
        "pairs that would decide": of_term.needed or None if of_term else None,
    }


def _won(results: Results, ruling: Ruling | None) -> Quantity | None:
    if ruling is None:
        return None
    cells: list[Cell] = [cell for _, cell in ruling.contrast.terms]
    return chance(wins(results, cells[0], cells[1], ruling.contrast.metric))
