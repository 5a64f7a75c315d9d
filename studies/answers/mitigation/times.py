"""What a remedy costs in time: distilling with it over distilling without it, what it needs beforehand included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.wording import at, listed
from studies.answers.results import Cell, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Sentence, Table
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

WITH_DATA, WITHOUT_DATA = "spent_with_data", "spent"
TAKES = {Decision.GAIN: "takes longer for", Decision.LOSS: "takes less time for"}
OPEN = {Decision.NEGLIGIBLE: "differs by no more than 5%", Decision.UNDECIDED: "is undecided"}
NOTE = (
    "The time to a set includes what a method prepares and making its data, so a cleaning with its classifier, as if "
    "each set had to make its own: a study makes both once for each condition and seed. Rows of before lack the time "
    "of their data; a ratio leaves it out where both sides have the same data. Times were taken while other trials ran "
    "on the machine, and as ratios they belong to these data and this protocol."
)


@dataclass(frozen=True)
class Timed:
    """A method with a remedy and without it. where: the data in words; remedy, method: their names."""

    where: str
    remedy: str
    method: str
    with_it: Cell
    without: Cell

    def metric(self, results: Results) -> str:
        """The time that rows of both sides have; "" for none, also where their data differ and their times lack."""
        same = self.with_it.levels == self.without.levels
        for metric in (WITH_DATA, *([WITHOUT_DATA] if same else [])):
            if all(results.mean(cell, metric).n for cell in (self.with_it, self.without)):
                return metric
        return ""


def time_part(ledger: Ledger, results: Results, pairs: Sequence[Timed]) -> Part:
    """The time of each method with a remedy over that without it, as one family; empty where no row has times."""
    timed = [(one, metric) for one in pairs if (metric := one.metric(results))]
    if not timed:
        return Part()
    contrasts = [
        results.contrast(
            slug("time", one.with_it.arm, *one.with_it.levels),
            f"the time of {one.method}, {one.where}, with {one.remedy} over that without",
            (1.0, one.with_it),
            (-1.0, one.without),
            metric=metric,
        )
        for one, metric in timed
    ]
    rulings = ledger.family("the time of a method with a remedy over itself without", contrasts)
    found = [(one, ruling) for (one, _), ruling in zip(timed, rulings, strict=True)]
    remedies = dict.fromkeys(one.remedy for one, _ in found)
    sentences = [_told(remedy, [(one, ruling) for one, ruling in found if one.remedy == remedy]) for remedy in remedies]
    rows: list[dict[str, Entry]] = [
        {
            "data": one.where,
            "remedy": one.remedy,
            "method": one.method,
            "without": Quantity.of(results.mean(one.without, metric), "log seconds"),
            "with": Quantity.of(results.mean(one.with_it, metric), "log seconds"),
            "with over without": ruling.starred,
            "decision": ruling.word,
            "pairs": ruling.interval.n,
        }
        for (one, metric), ruling in zip(timed, rulings, strict=True)
    ]
    caption = (
        "Time to a set, its geometric mean, and the ratio within pairs of one seed with its pointwise 95% t interval; "
        "a star marks a ratio that is decided, Holm-corrected over the column."
    )
    return Part(sentences, [Table.of("remedy_time", "What each remedy takes", rows, caption)], notes=[NOTE])


def _told(remedy: str, found: Sequence[tuple[Timed, Ruling]]) -> Sentence:
    """`With last_weight=0, a set takes longer for DM at ... (1.2 times [...] the time); the time to a set is ...`"""
    parts = []
    for decision, start in TAKES.items():
        decided = [
            f"{one.method} {at(one.where)} ({ruling.points} the time)"
            for one, ruling in found
            if ruling.decision is decision
        ]
        parts += [f"a set {start} {listed(decided)}"] if decided else []
    others = Counter(ruling.decision for _, ruling in found if ruling.decision in OPEN)
    cases = plural(len(found), "case")
    parts += [f"the time to a set {OPEN[decision]} in {count} of {cases}" for decision, count in others.items()]
    return Sentence(f"With {remedy}, {'; '.join(parts)}.", tuple(ruling.claim for _, ruling in found))
