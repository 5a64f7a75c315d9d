"""What a remedy costs in time: distilling with it over distilling without it, what it needs beforehand included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studies.answers.ledger import Ledger, Part
from studies.answers.parts.wording import at, grouped
from studies.answers.results import Cell, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Sentence, Table
from studies.engine.statistics.contrasts import Decision

PHRASES = {
    Decision.GAIN: "longer for",
    Decision.LOSS: "shorter for",
    Decision.NEGLIGIBLE: "no different beyond 5% for",
    Decision.UNDECIDED: "undecided for",
}
NOTE = (
    "Times include making the data, so the cleaning with its out-of-fold classifier, and what a method prepares, as if "
    "each set had to make its own: a study makes both once for each condition and seed. They were taken while other "
    "trials ran on the machine, and as ratios they belong to these data, this protocol and one thread."
)


@dataclass(frozen=True)
class Timed:
    """A method with a remedy and without it. where: the data in words; remedy, method: their names."""

    where: str
    remedy: str
    method: str
    with_it: Cell
    without: Cell

    @property
    def metric(self) -> str:
        """The time that the two may differ in: that of making their data, where one of them is cleaned."""
        return "spent" if self.with_it.levels == self.without.levels else "spent_with_data"


def time_part(ledger: Ledger, results: Results, pairs: Sequence[Timed]) -> Part:
    """The time of each method with a remedy over that without it, as one family; empty where no row has times."""
    timed = [one for one in pairs if all(results.mean(cell, one.metric).n for cell in (one.with_it, one.without))]
    if not timed:
        return Part()
    contrasts = [
        results.contrast(
            slug("time", one.with_it.arm, *one.with_it.levels),
            f"the time of {one.method}, {one.where}, with {one.remedy} over that without",
            (1.0, one.with_it),
            (-1.0, one.without),
            metric=one.metric,
        )
        for one in timed
    ]
    rulings = ledger.family("the time of a method with a remedy over itself without", contrasts)
    found = list(zip(timed, rulings, strict=True))
    sentences, rows = list[Sentence](), list[dict[str, Entry]]()
    for where, remedy in dict.fromkeys((one.where, one.remedy) for one in timed):
        own = [(one, ruling) for one, ruling in found if (one.where, one.remedy) == (where, remedy)]
        judged = [ruling for _, ruling in own]
        told = grouped(judged, [one.method for one, _ in own], PHRASES)
        place = at(where)
        text = f"{place[0].upper()}{place[1:]}, the time to a set with {remedy} over that without is {told}."
        sentences.append(Sentence(text, tuple(ruling.claim for ruling in judged)))
    for one, ruling in found:
        rows.append(
            {
                "data": one.where,
                "remedy": one.remedy,
                "method": one.method,
                "without": Quantity.of(results.mean(one.without, one.metric), "log seconds"),
                "with": Quantity.of(results.mean(one.with_it, one.metric), "log seconds"),
                "with over without": ruling.starred,
                "decision": ruling.word,
                "pairs": ruling.interval.n,
            }
        )
    caption = (
        "Time to a set, its geometric mean, and the ratio within pairs of one seed with its pointwise 95% t interval; "
        "a star marks a ratio that is decided, Holm-corrected over the column."
    )
    table = Table.of("remedy_time", "What each remedy takes", rows, caption)
    return Part(sentences, [table], notes=[NOTE])
