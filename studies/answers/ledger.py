"""The contrasts, means and estimates of one answer, each with its claim.

A contrast is judged once, within its family. Sentences, tables, marks in figures and failure detectors read that one
decision, so no two parts of an answer can disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from studies.answers.metrics import METRICS
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.answer import Answer, Claim, Figure, Quantity, Sentence, Table
from studies.engine.statistics import Interval
from studies.engine.statistics.contrasts import FEWEST_PAIRS, Decision, Judged, judge, three_tests
from studies.engine.units import UNITS

OPPOSITE = {Decision.GAIN: Decision.LOSS, Decision.LOSS: Decision.GAIN}


@dataclass(frozen=True)
class Ruling:
    """A contrast and its decision."""

    contrast: Contrast
    judged: Judged

    @property
    def interval(self) -> Interval:
        return self.judged.interval

    @property
    def decision(self) -> Decision:
        return self.judged.decision

    @property
    def differs(self) -> bool:
        """Whether a gain or a loss is decided."""
        return self.decision in OPPOSITE

    @property
    def points(self) -> str:
        """`+1.1 points [+0.8, +1.4]`, in the unit of the contrast."""
        return str(self.quantity)

    @property
    def quantity(self) -> Quantity:
        """The interval in the unit of the contrast, for a table with a separate column for the decision."""
        return Quantity.of(self.interval, self.contrast.unit)

    @property
    def starred(self) -> Quantity:
        """The interval in the unit of the contrast, with a star where a gain or a loss is decided."""
        return Quantity.of(self.interval, self.contrast.unit, starred=self.differs)

    @property
    def word(self) -> str:
        """The decision in words, without the pairs that are needed."""
        return UNITS[self.contrast.unit].ruling(self.decision, self.judged.size, self.contrast.margin)

    @property
    def direction(self) -> str:
        """The decision in words, without its size: `a gain`, `larger`, `no difference beyond half a point`."""
        return UNITS[self.contrast.unit].ruling(self.decision, "", self.contrast.margin)

    @property
    def statement(self) -> str:
        """The decision in words; if undecided, also why, or the number of pairs that would decide."""
        if self.decision is not Decision.UNDECIDED:
            return self.word
        why = self.judged.tested.why_not
        if why:
            return f"undecided, because {why}"
        return f"undecided{f', with {self.needed} pairs needed to decide' if self.needed else ''}"

    @property
    def needed(self) -> str:
        """The number of pairs that would decide, `9 to 40`; "" where it cannot be estimated."""
        if self.judged.needed is None:
            return ""
        low, high = self.judged.needed
        return f"{low:,} or more" if high is None else f"{low:,}" if low == high else f"{low:,} to {high:,}"

    @property
    def lost(self) -> int:
        """Pairs that lack one of their values."""
        return len(self.contrast.differences) - self.interval.n

    def flipped(self, opposite: Contrast) -> Ruling:
        """The ruling of the opposite contrast: the interval changes its sign, and a gain becomes a loss."""
        judged = self.judged
        mean, high, low = (None if end is None else -end for end in (judged.interval.mean, *ends(judged.interval)))
        turned = replace(judged.tested, interval=Interval(mean, low, high, judged.interval.n))
        decision = OPPOSITE.get(judged.decision, judged.decision)
        contrast = replace(self.contrast, what=opposite.what, terms=opposite.terms, differences=opposite.differences)
        return Ruling(contrast, replace(judged, tested=turned, decision=decision))

    @property
    def claim(self) -> Claim:
        contrast, judged, interval = self.contrast, self.judged, self.interval
        return Claim(
            id=contrast.id,
            kind="contrast",
            what=contrast.what,
            metric=contrast.metric,
            unit=contrast.unit,
            estimate=interval.mean,
            low=interval.low,
            high=interval.high,
            n=interval.n,
            planned=len(contrast.differences),
            terms=tuple((weight, cell.arm, cell.levels) for weight, cell in contrast.terms),
            margin=contrast.margin,
            p=judged.tested.difference,
            p_adjusted=judged.difference,
            family=judged.family,
            family_size=judged.family_size,
            decision=str(judged.decision),
            size=judged.size,
            needed=judged.needed,
            trials=contrast.trials,
            seeds=contrast.seeds,
        )


def ends(interval: Interval) -> tuple[float | None, float | None]:
    """The lower and the upper bound."""
    return interval.low, interval.high


def margin(contrast: Contrast) -> str:
    """A contrast's margin in words."""
    return UNITS[contrast.unit].margin(contrast.margin)


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of an answer. plain: its summary in sentences that can be quoted alone."""

    sentences: Sequence[Sentence | None] = ()
    tables: Sequence[Table | None] = ()
    figures: Sequence[Figure | None] = ()
    notes: Sequence[str] = ()
    summary: dict[str, float | None] | None = None
    failed: dict[str, list[str]] | None = None
    plain: Sequence[Sentence | None] = ()
    files: dict[str, Any] | None = None


class Ledger:
    """The contrasts and means of one answer."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._rulings: dict[object, Ruling] = {}
        self._claims: dict[str, Claim] = {}

    def family(self, name: str, contrasts: Iterable[Contrast]) -> list[Ruling]:
        """Judge the contrasts of a family, which the plan fixes before any result is known.

        Raises: ValueError for a contrast that another family has judged.
        """
        contrasts = list(contrasts)
        keys, contrasts = [contrast.key for contrast in contrasts], self._with_own_ids(contrasts)
        tested = [
            three_tests(contrast.differences, margin=contrast.margin, absent=contrast.absent) for contrast in contrasts
        ]
        judged = judge(name, tested)
        rulings = [Ruling(*pair) for pair in zip(contrasts, judged, strict=True)]
        for key, ruling in zip(keys, rulings, strict=True):
            id = ruling.contrast.id
            if key in self._rulings or id in self._claims:
                raise ValueError(f"{id} is judged already")
            self._rulings[key] = ruling
            self._claims[id] = ruling.claim
        return rulings

    def _with_own_ids(self, contrasts: Sequence[Contrast]) -> list[Contrast]:
        """The contrasts; its metric is added to the id of one where a contrast of another metric has that id."""
        metrics = {id: claim.metric for id, claim in self._claims.items()}
        return [
            contrast
            if metrics.setdefault(contrast.id, contrast.metric) == contrast.metric
            else replace(contrast, id=slug(contrast.id, contrast.metric))
            for contrast in contrasts
        ]

    def rest(self, name: str, contrasts: Iterable[Contrast]) -> list[Ruling]:
        """A ruling for each contrast; those that are not judged yet form a family of this name."""
        contrasts, new = list(contrasts), dict[object, Contrast]()
        for contrast in contrasts:
            if contrast.key not in self._rulings:
                new.setdefault(contrast.key, contrast)
        self.family(name, new.values())
        return [self[contrast] for contrast in contrasts]

    def __getitem__(self, contrast: Contrast) -> Ruling:
        """The ruling of a contrast, also where its opposite was judged.

        Raises: KeyError for a contrast that is not judged.
        """
        ruling = self._rulings[contrast.key]
        return ruling if ruling.contrast.sign == contrast.sign else ruling.flipped(contrast)

    @property
    def rulings(self) -> tuple[Ruling, ...]:
        """Every contrast that was judged."""
        return tuple(self._rulings.values())

    def mean(self, cell: Cell, metric: str = "test", what: str = "accuracy") -> Interval:
        """A metric's mean over sets, recorded as a claim."""
        return self.claimed_mean(cell, metric, what)[0]

    def claimed_mean(self, cell: Cell, metric: str = "test", what: str = "accuracy") -> tuple[Interval, Claim]:
        """The mean of `mean`, with its claim."""
        results = self.results
        interval, setting = results.mean(cell, metric), results.setting(cell)
        description = f"{metric.replace('_', ' ')} {what} of {results.arms[cell.arm].name}{results.at(cell.levels)}"
        id, n = slug("mean", metric, cell.arm, *cell.levels), len(setting.trials) if setting else 0
        numbers = (interval.mean, interval.low, interval.high, interval.n, n)
        claim = Claim(id, "mean", description, metric, METRICS[metric].unit, *numbers, trials=results.trials(cell))
        self._claims[id] = claim
        return interval, claim

    def estimate(
        self, id: str, what: str, value: float | None, low: float | None, high: float | None, n: int, unit: str = ""
    ) -> Claim:
        """Record a number with its interval, about which nothing is decided, as a claim."""
        claim = Claim(id, "estimate", what, "", unit, value, low, high, n)
        self._claims[id] = claim
        return claim

    def _rule(self) -> str:
        """The note on how contrasts were decided, with every family and its size."""
        families = {ruling.judged.family: ruling.judged.family_size for ruling in self.rulings}
        sizes = ", ".join(f"{name} ({size})" for name, size in families.items())
        return (
            f"Every difference is decided in the same way: over pairs of one seed, at least {FEWEST_PAIRS} of them, by "
            "three t tests (that there is a difference; that there is none beyond the margin; that it is larger than "
            "the margin), each Holm-corrected over its family of comparisons. Printed intervals are pointwise 95% t "
            f"intervals; words and stars follow the corrected tests. {self._ratios()}Families, with their numbers of "
            f"comparisons: {sizes}."
        )

    def _ratios(self) -> str:
        """How ratios were decided; "" without any."""
        margins = {one.contrast.margin for one in self.rulings if UNITS[one.contrast.unit].ratio}
        if not margins:
            return ""
        within = [
            f"a margin of {UNITS['times'].margin(one)}: 1 / {math.exp(one):.3g} to {math.exp(one):.3g}"
            for one in sorted(margins)
        ]
        return f"Ratios are decided by their logarithms, and their means are geometric ({'; '.join(within)}). "

    def compose(self, *parts: Part) -> Answer:
        """The parts as one answer, with all recorded claims."""
        notes = [note for part in parts for note in part.notes if note]
        summary = {name: value for part in parts for name, value in (part.summary or {}).items()}
        failed: dict[str, list[str]] = {}
        for part in parts:
            for trial, modes in (part.failed or {}).items():
                failed.setdefault(trial, []).extend(modes)
        return Answer(
            sentences=tuple(sentence for part in parts for sentence in part.sentences if sentence),
            tables=tuple(table for part in parts for table in part.tables if table and table.rows),
            figures=tuple(figure for part in parts for figure in part.figures if figure),
            notes=tuple(dict.fromkeys([*notes, *([self._rule()] if self._rulings else [])])),
            claims=tuple(self._claims.values()),
            summary={name: float(value) for name, value in summary.items() if value is not None and value == value},
            failed=failed,
            plain=tuple(sentence for part in parts for sentence in part.plain if sentence),
            files={name: content for part in parts for name, content in (part.files or {}).items()},
        )
