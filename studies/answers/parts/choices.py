"""Every combination of some factors' levels with one arm: what each adds to its control, and what choices change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.drawing import INCHES_A_LETTER, panels
from studies.answers.parts.heat_maps import difference_cell, differences, heat_map
from studies.answers.parts.matrix import MARKED
from studies.answers.parts.wording import listed
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Sentence, Table
from studies.engine.arms import Factor
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

Labels = tuple[str, ...]
# Without its normaliser nce collapses under some heads and layers: averaged in, that would be all that other choices
# are about.
APART = "nce_raw"


class _Grid:
    """The combinations of the levels of these factors, every other one at its reference."""

    def __init__(self, results: Results, arm: str, names: Sequence[str]) -> None:
        self.results, self.arm = results, arm
        self.varied = [factor for factor in results.factors if factor.name in names]
        self.all = list(product(*([level.label for level in factor.levels] for factor in self.varied)))

    @property
    def run(self) -> bool:
        """Whether the study runs all of them, which are more than those of its factorial."""
        more = any(level.at is None for factor in self.varied for level in factor.levels)
        return more and all(self.results.setting(self.cell(labels)) for labels in self.all)

    def cell(self, labels: Labels) -> Cell:
        own = {factor.name: label for factor, label in zip(self.varied, labels, strict=True)}
        levels = tuple(own.get(factor.name, factor.reference.label) for factor in self.results.factors)
        return Cell(self.arm, levels)

    def gain(self, labels: Labels) -> Contrast:
        """What a combination adds to the control."""
        base = self.results.arms[self.results.arms[self.arm].control]
        what = f"{' · '.join(labels)} less {base.name}"
        terms = ((1.0, self.cell(labels)), (-1.0, Cell(base.key, self.results.reference)))
        return self.results.contrast(slug("gain", *labels), what, *terms)

    def choice(self, factor: Factor, label: str) -> Contrast:
        """A level less its factor's reference, mean over the levels of the others but APART."""
        position, reference = self.varied.index(factor), factor.reference.label
        kept = [labels for labels in self.all if APART not in (*labels[:position], *labels[position + 1 :])]
        of, to = ([labels for labels in kept if labels[position] == one] for one in (reference, label))
        terms = [(sign / len(half), self.cell(labels)) for half, sign in ((to, 1.0), (of, -1.0)) for labels in half]
        apart = f" but {APART}" if len(kept) < len(self.all) and APART not in (label, reference) else ""
        what = f"{label} less {reference}, mean over the levels of the others{apart}"
        return self.results.contrast(slug("choice", label), what, *terms)


def choices_part(ledger: Ledger, results: Results, gain: Ruling, names: Sequence[str]) -> Part:
    """The gain of every combination, and each level against its factor's reference; empty where they are not run.

    gain: of the arm over its control at the references, which is judged already; names: of the factors.
    """
    grid = _Grid(results, gain.contrast.terms[0][1].arm, names)
    if not grid.run:
        return Part()
    what = listed([factor.name for factor in grid.varied])
    others = [labels for labels in grid.all if grid.cell(labels).levels != results.reference]
    ruled = ledger.rest(f"gains with every {what}", [grid.gain(labels) for labels in others])
    judged = dict(zip(others, ruled, strict=True))
    gains = {labels: judged.get(labels, gain) for labels in grid.all}
    choices = [(factor, level.label) for factor in grid.varied for level in factor.levels[1:]]
    rulings = ledger.rest(f"choices of {what}", [grid.choice(*one) for one in choices])
    return Part(
        [_sentence(what, gains, choices, rulings)],
        [_gains_table(grid, gains), _choices_table(choices, rulings)],
        [_figure(grid, gains)],
    )


def _sentence(
    what: str, gains: dict[Labels, Ruling], choices: Sequence[tuple[Factor, str]], rulings: Sequence[Ruling]
) -> Sentence:
    """How many combinations gain, and which choices differ from the reference."""
    counts = {decision: sum(one.decision is decision for one in gains.values()) for decision in Decision}
    words = {
        Decision.GAIN: "a gain",
        Decision.LOSS: "a loss",
        Decision.NEGLIGIBLE: "no difference beyond half a point",
        Decision.UNDECIDED: "undecided",
    }
    told = listed([f"{words[decision]} in {counts[decision]}" for decision in words if counts[decision]])
    named = [
        f"{label} less {factor.reference.label} {ruling.points} ({ruling.statement})"
        for (factor, label), ruling in zip(choices, rulings, strict=True)
    ]
    return Sentence(
        f"Of {plural(len(gains), 'combination')} of {what}, the difference from the base is {told}. Each choice, mean "
        f"over the others: {'; '.join(named)}.",
        tuple(ruling.claim for ruling in (*rulings, *gains.values())),
    )


def _gains_table(grid: _Grid, gains: dict[Labels, Ruling]) -> Table:
    rows: list[dict[str, Entry]] = []
    for labels, ruling in gains.items():
        test, usable = (grid.results.mean(grid.cell(labels), metric) for metric in ("test", "usable"))
        rows.append(
            {
                **{factor.name: label for factor, label in zip(grid.varied, labels, strict=True)},
                "test accuracy": Quantity.of(test, "percent"),
                "gain over the base": ruling.quantity,
                "decision": ruling.word,
                "usable information, nats": Quantity.of(usable, "nats") if usable.n else None,
                "pairs": ruling.interval.n,
                "pairs lost": ruling.lost,
            }
        )
    return Table.of(
        "choices",
        f"Every {listed([factor.name for factor in grid.varied])}",
        rows,
        "Means over sets with 95% t intervals; gains over the base alone are paired by seed and Holm-corrected over "
        "this table, the reference apart, which is the study's main question.",
    )


def _choices_table(choices: Sequence[tuple[Factor, str]], rulings: Sequence[Ruling]) -> Table:
    rows: list[dict[str, Entry]] = [
        {
            "of": factor.name,
            "level": label,
            "less": factor.reference.label,
            "difference": ruling.quantity,
            "decision": ruling.word,
            "p (Holm)": ruling.judged.difference,
            "pairs": ruling.interval.n,
            "pairs that would decide": ruling.needed or None,
        }
        for (factor, label), ruling in zip(choices, rulings, strict=True)
    ]
    return Table.of(
        "levels",
        "Each choice, mean over the others",
        rows,
        f"Each level less the reference of its factor, mean over the levels of the others (but {APART}, whose collapse "
        "would be in every mean), in points of test accuracy, paired by seed, with pointwise 95% t "
        "intervals; Holm-corrected over this table.",
    )


def _figure(grid: _Grid, gains: dict[Labels, Ruling]) -> Figure:
    """A row for each level of the first factor, a column for each combination of the others."""
    rows = [level.label for level in grid.varied[0].levels]
    columns = list(dict.fromkeys(labels[1:] for labels in grid.all))
    names = [" · ".join(labels) for labels in columns] or [""]
    cells = [[difference_cell(gains[(row, *column)]) for column in columns] for row in rows]
    beside, below = (INCHES_A_LETTER * max(map(len, found)) for found in (rows, names))
    size = (max(6.0, 0.85 * len(columns) + beside + 0.4), 0.42 * len(rows) + 0.6 * below + 0.4)
    drawing, (axes,) = panels(1, 1, size)
    heat_map(axes, cells, rows, names, differences(cells))
    return Figure(
        "choices",
        f"Every {listed([factor.name for factor in grid.varied])}",
        "Gain over the base alone in points of test accuracy, paired by seed, with its pointwise 95% interval over "
        f"{plural(len(grid.results.seeds), 'set')}; {MARKED}.",
        drawing,
    )
