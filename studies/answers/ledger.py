"""What an answer has claimed: each contrast judged once, in its family, by the one rule; each mean once.

Sentences, tables, marks in figures and detectors ask here, so no two parts of an answer can disagree on a contrast.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from studies.answers.results import INFORMATION, Cell, Contrast, Results, slug
from studies.engine.answer import Answer, Claim, Figure, Quantity, Sentence, Table, points
from studies.engine.statistics import Interval
from studies.engine.statistics.contrasts import FEWEST_PAIRS, Decision, Judged, judge, three_tests

OPPOSITE = {Decision.GAIN: Decision.LOSS, Decision.LOSS: Decision.GAIN}


@dataclass(frozen=True)
class Ruling:
    """A contrast and what the rule says of it."""

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
        """`+1.1 points [+0.8, +1.4]`."""
        return points(self.interval)

    @property
    def quantity(self) -> Quantity:
        """The same as a cell of a table that has the decision in a column of its own."""
        return Quantity.of(self.interval, "points")

    @property
    def starred(self) -> Quantity:
        """The same with a star where a gain or a loss is decided."""
        return Quantity.of(self.interval, "points", starred=self.differs)

    @property
    def word(self) -> str:
        """The decision in words, without a forecast."""
        if self.decision is Decision.UNDECIDED:
            return "undecided"
        if self.decision is Decision.NEGLIGIBLE:
            return f"no difference beyond {margin(self.contrast)}"
        size = {"beyond": f" of more than {margin(self.contrast)}", "below": f" below {margin(self.contrast)}", "": ""}
        return f"a {self.decision}{size[self.judged.size]}"

    @property
    def statement(self) -> str:
        """The decision in words; of an undecided one with why, or with the pairs that would decide."""
        if self.decision is not Decision.UNDECIDED:
            return self.word
        why = self.judged.tested.why_not
        if why:
            return f"undecided, because {why}"
        return f"undecided{f', with {self.needed} pairs needed to decide' if self.needed else ''}"

    @property
    def needed(self) -> str:
        """How many pairs would decide, `9 to 40`; "" where nothing can be said."""
        if self.judged.needed is None:
            return ""
        low, high = self.judged.needed
        return f"{low:,} or more" if high is None else f"{low:,}" if low == high else f"{low:,} to {high:,}"

    @property
    def lost(self) -> int:
        """Pairs that lack a side."""
        return len(self.contrast.differences) - self.interval.n

    def flipped(self, asked: Contrast) -> Ruling:
        """The same of the contrast with its ends exchanged."""
        one, judged = self.contrast, self.judged
        mean, high, low = (None if end is None else -end for end in (judged.interval.mean, *ends(judged.interval)))
        turned = replace(judged.tested, interval=Interval(mean, low, high, judged.interval.n))
        contrast = replace(one, what=asked.what, terms=asked.terms, differences=asked.differences)
        return Ruling(contrast, replace(judged, tested=turned, decision=OPPOSITE.get(judged.decision, judged.decision)))

    @property
    def claim(self) -> Claim:
        one, judged, interval = self.contrast, self.judged, self.interval
        return Claim(
            id=one.id,
            kind="contrast",
            what=one.what,
            metric=one.metric,
            unit=one.unit,
            estimate=interval.mean,
            low=interval.low,
            high=interval.high,
            n=interval.n,
            planned=len(one.differences),
            terms=tuple((weight, cell.arm, cell.levels) for weight, cell in one.terms),
            margin=one.margin,
            p=judged.tested.difference,
            p_adjusted=judged.difference,
            family=judged.family,
            family_size=judged.family_size,
            decision=str(judged.decision),
            size=judged.size,
            needed=judged.needed,
            trials=one.trials,
        )


def ends(interval: Interval) -> tuple[float | None, float | None]:
    """The lower and the upper bound."""
    return interval.low, interval.high


def margin(contrast: Contrast) -> str:
    """A contrast's margin in words."""
    if contrast.unit != "points":
        return f"{contrast.margin:g} {contrast.unit}"
    size = 100 * contrast.margin
    return "half a point" if size == 0.5 else f"{size:g} point{'' if size == 1 else 's'}"


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of an answer that knows no study; plain: what it says in short, in whole sentences."""

    sentences: Sequence[Sentence | None] = ()
    tables: Sequence[Table | None] = ()
    figures: Sequence[Figure | None] = ()
    notes: Sequence[str] = ()
    summary: dict[str, float | None] | None = None
    failed: dict[str, list[str]] | None = None
    plain: Sequence[Sentence | None] = ()


class Ledger:
    """The contrasts and means of one answer."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._rulings: dict[object, Ruling] = {}
        self._claims: dict[str, Claim] = {}

    def family(self, name: str, contrasts: Iterable[Contrast]) -> list[Ruling]:
        """Judge the contrasts of a family, fixed by the plan and not by what came out.

        Raises: ValueError for one that is judged already: it has one family.
        """
        contrasts = [self._with_own_id(one) for one in contrasts]
        judged = judge(name, [three_tests(one.differences, margin=one.margin, absent=one.absent) for one in contrasts])
        rulings = [Ruling(*pair) for pair in zip(contrasts, judged, strict=True)]
        for ruling in rulings:
            one = ruling.contrast
            if one.key in self._rulings or one.id in self._claims:
                raise ValueError(f"{one.id} is judged already")
            self._rulings[one.key] = ruling
            self._claims[one.id] = ruling.claim
        return rulings

    def _with_own_id(self, one: Contrast) -> Contrast:
        """The contrast, with its metric in its id where the same one of another metric has it already."""
        held = self._claims.get(one.id)
        return replace(one, id=slug(one.id, one.metric)) if held and held.metric != one.metric else one

    def rest(self, name: str, contrasts: Iterable[Contrast]) -> list[Ruling]:
        """A ruling for each: those that no family holds yet form one."""
        contrasts = list(contrasts)
        self.family(name, [one for one in contrasts if one.key not in self._rulings])
        return [self[one] for one in contrasts]

    def __getitem__(self, contrast: Contrast) -> Ruling:
        """What was ruled of a contrast, whichever of its ends came first.

        Raises: KeyError where no family holds it.
        """
        ruling = self._rulings[contrast.key]
        return ruling if ruling.contrast.sign == contrast.sign else ruling.flipped(contrast)

    @property
    def rulings(self) -> tuple[Ruling, ...]:
        """Every contrast that was judged."""
        return tuple(self._rulings.values())

    def mean(self, cell: Cell, metric: str = "test", what: str = "accuracy") -> Interval:
        """A metric over sets; it stands among the claims."""
        return self.claimed_mean(cell, metric, what)[0]

    def claimed_mean(self, cell: Cell, metric: str = "test", what: str = "accuracy") -> tuple[Interval, Claim]:
        """The same with its claim."""
        results = self.results
        interval, setting = results.mean(cell, metric), results.setting(cell)
        told = f"{metric.replace('_', ' ')} {what} of {results.arms[cell.arm].name}{results.at(cell.levels)}"
        id, n = slug("mean", metric, cell.arm, *cell.levels), len(setting.trials) if setting else 0
        numbers = (interval.mean, interval.low, interval.high, interval.n, n)
        unit = "nats" if metric in INFORMATION else "percent"
        claim = Claim(id, "mean", told, metric, unit, *numbers, trials=results.trials(cell))
        self._claims[id] = claim
        return interval, claim

    def estimate(
        self, id: str, what: str, value: float | None, low: float | None, high: float | None, n: int, unit: str = ""
    ) -> Claim:
        """Another number with its interval, which no rule decides; it stands among the claims."""
        claim = Claim(id, "estimate", what, "", unit, value, low, high, n)
        self._claims[id] = claim
        return claim

    def _rule(self) -> str:
        """How the answer's contrasts were decided, with every family and its size."""
        families = {one.judged.family: one.judged.family_size for one in self.rulings}
        sizes = ", ".join(f"{name} ({size})" for name, size in families.items())
        return (
            f"Every difference is decided in the same way: over pairs of one seed, at least {FEWEST_PAIRS} of them, by "
            "three t tests (that there is a difference; that there is none beyond the margin; that it is larger than "
            "the margin), each Holm-corrected over its family of comparisons. Printed intervals are pointwise 95% t "
            "intervals; words and stars follow the corrected tests. Families, with their numbers of comparisons: "
            f"{sizes}."
        )

    def compose(self, *parts: Part) -> Answer:
        """The parts as one answer, with every claim that was made on the way."""
        notes = [note for part in parts for note in part.notes if note]
        summary = {name: value for part in parts for name, value in (part.summary or {}).items()}
        failed: dict[str, list[str]] = {}
        for part in parts:
            for trial, modes in (part.failed or {}).items():
                failed.setdefault(trial, []).extend(modes)
        return Answer(
            sentences=tuple(one for part in parts for one in part.sentences if one),
            tables=tuple(one for part in parts for one in part.tables if one and one.rows),
            figures=tuple(one for part in parts for one in part.figures if one),
            notes=tuple(dict.fromkeys([*notes, *([self._rule()] if self._rulings else [])])),
            claims=tuple(self._claims.values()),
            summary={name: float(value) for name, value in summary.items() if value is not None and value == value},
            failed=failed,
            plain=tuple(one for part in parts for one in part.plain if one),
        )
