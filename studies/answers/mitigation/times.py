"""What a remedy needs beforehand, in seconds: the cleaning of the data, or what a method with it prepares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from studies.answers.ledger import Ledger, Part
from studies.answers.parts.wording import at, listed
from studies.answers.results import Cell, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Sentence, Table
from studies.engine.statistics import Interval

UNIT = "s"
NOTE = (
    "Seconds beforehand were measured while other trials ran, in a process that may first have had to import what it "
    "needs, so a median says more than a mean. They say nothing of the iterations: those that a knob makes slower are "
    "timed, in turns on a quiet machine, by `python studies/cost.py --method METHOD --method METHOD:KNOB=VALUE`."
)


@dataclass(frozen=True)
class Needed:
    """What a remedy needs once for each condition and seed. where: the data in words; with_it, without: cells whose
    rows say what making their data took and what their methods prepared.
    """

    where: str
    remedy: str
    with_it: Cell
    without: Cell

    def seconds(self, results: Results) -> list[float]:
        """With the remedy less without it, of each seed that has both."""
        cleans = self.with_it.levels != self.without.levels
        key = "perturbed_seconds" if cleans else "prepared_seconds"
        found = []
        for seed in range(len(results.seeds)):
            rows = [results.row(cell, seed) for cell in (self.with_it, self.without)]
            spent = [row.measured[key] for row in rows if row is not None and key in row.measured]
            # Experts that are prepared either way differ by chance.
            if len(spent) == len(rows) and (cleans or not spent[1]):
                found.append(spent[0] - spent[1])
        return found


def beforehand_part(ledger: Ledger, results: Results, needed: Iterable[Needed]) -> Part:
    """The median seconds of each remedy on each kind of data; empty where none needs any, or no row says so."""
    found: dict[tuple[str, str], tuple[Needed, list[float]]] = {}
    for one in needed:  # methods share what is made of the data: the first with times says it
        seconds = one.seconds(results)
        if (one.remedy, one.where) not in found and seconds and np.median(seconds) > 0:
            found[one.remedy, one.where] = one, seconds
    if not found:
        return Part()
    claims = [
        ledger.estimate(
            slug("beforehand", one.remedy, one.where),
            f"median seconds that {one.remedy} needs beforehand, {one.where}",
            float(np.median(seconds)),
            None,
            None,
            len(seconds),
            UNIT,
        )
        for one, seconds in found.values()
    ]
    quantities = [_median(seconds) for _, seconds in found.values()]
    told = [
        f"{one.remedy} {at(one.where)} {quantity}"
        for (one, _), quantity in zip(found.values(), quantities, strict=True)
    ]
    rows: list[dict[str, Entry]] = [
        {"remedy": one.remedy, "data": one.where, "seconds beforehand": quantity, "sets": len(seconds)}
        for (one, seconds), quantity in zip(found.values(), quantities, strict=True)
    ]
    text = f"Once for each kind of data and seed, before trials that need it, these take a median time: {listed(told)}."
    caption = (
        "Median over the seeds of the seconds that making the data, or what a method prepares, takes more with it."
    )
    table = Table.of("beforehand", "What each remedy needs beforehand", rows, caption)
    return Part([Sentence(text, tuple(claims))], [table], notes=[NOTE])


def _median(seconds: Sequence[float]) -> Quantity:
    return Quantity.of(Interval(float(np.median(seconds)), None, None, len(seconds)), UNIT)
