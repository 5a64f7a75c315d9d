"""An answer as data: sentences with their claims, tables and figures; engine/report.py writes it in every form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from studies.engine.units import UNITS
from studies.engine.wording import decimal, significant

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from studies.engine.statistics import Interval


@dataclass(frozen=True)
class Quantity:
    """A number with its interval and n, if it has them, as tables and sentences print it.

    starred: a gain or a loss is decided; digits: instead of its unit's.
    Units: percent and points, also those of H(Y), are stored as fractions and printed times 100; `times` and the units
    that begin with `log` are stored as natural logarithms and printed as what these are of.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = ""
    starred: bool = False
    digits: int | None = None

    @staticmethod
    def of(interval: Interval, unit: str, *, starred: bool = False) -> Quantity:
        """A mean with its interval."""
        return Quantity(interval.mean, interval.low, interval.high, interval.n, unit, starred)

    @property
    def numbers(self) -> tuple[float | None, float | None, float | None]:
        """Estimate, lower and upper bound in the unit of a table's head."""
        unit, low, high = UNITS[self.unit], self.low, self.high
        if unit.bounded:
            low, high = (None if end is None else min(1.0, max(0.0, end)) for end in (low, high))
        if unit.scale < 0:
            low, high = high, low
        printed = [None if number is None else unit.printed(number) for number in (self.mean, low, high)]
        return printed[0], printed[1], printed[2]

    @property
    def written(self) -> tuple[str, str]:
        """The estimate and the bounds without their unit, `+0.4` and `[-0.3, +1.1]`; "" for none.

        Where the estimate chooses the unit, as in `12.3 ms`, it stays: a table's head cannot name it.
        """
        unit, (mean, low, high) = UNITS[self.unit], self.numbers
        if mean is None:
            return "", ""
        if unit.spelt is not None:
            return unit.spelt(mean), ""
        size, name = unit.size(mean)
        estimate = f"{self._digits(mean / size, '.4g')} {name}".rstrip()
        if low is None or high is None:
            return estimate, ""
        return estimate, f"[{self._digits(low / size, '.2g')}, {self._digits(high / size, '.2g')}]"

    def _digits(self, number: float, form: str) -> str:
        """A number with its own digits, those of its unit, or as `form` prints it."""
        unit, digits = UNITS[self.unit], self.digits if self.digits is not None else UNITS[self.unit].digits
        if digits is None and unit.figures:
            return significant(number, unit.figures)
        return decimal(number, unit.sign + (form if digits is None else f".{digits}f"))

    @property
    def printed(self) -> tuple[str, str]:
        """The estimate with its unit and the bounds: `+0.4 points` and `[-0.3, +1.1]`, `(no interval, n = 1)` or ""."""
        (mean, bounds), unit = self.written, UNITS[self.unit]
        if not mean:
            return "–", ""
        lone = "" if self.n is None else unit.lone.format(n=self.n)
        return mean + unit.word, bounds or lone

    def __str__(self) -> str:
        return " ".join(filter(None, self.printed)) + ("*" if self.starred else "")


# Metrics of test images; those of validation images say so in their name.
ON_TEST = (
    "test",
    "tuned",
    "balanced",
    "usable",
    "usable_share",
    "worst_class",
    "disparity",
    "odds_gap",
    "mean_odds_gap",
    "cue_followed",
)
Cell = str | int | float | Quantity | None


@dataclass(frozen=True)
class Claim:
    """A number that an answer states, with what a reader needs to check it.

    id: unique in the answer; kind: `mean`, `contrast` or `estimate`; what: in words. planned: sets or pairs in the
    plan. terms: (weight, arm, levels) of a contrast. p, p_adjusted: of the difference, raw and Holm-adjusted over the
    family. decision: by the rule, "" if it is no contrast, `gain` where a cost is larger; size: `beyond` or `below` the
    margin; needed: the range of the number of pairs that would decide. trials: their hashes; seeds: those that a
    contrast is judged on, if not on all.
    Units: estimate, bounds and margin are stored as fractions in `percent` and `points`, also those of H(Y); in
    `times`, as the natural logarithm of a ratio; in `log seconds`, `log bytes` and `log flops`, as that of a number.
    """

    id: str
    kind: str
    what: str
    metric: str
    unit: str
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    planned: int = 0
    terms: tuple[tuple[float, str, tuple[str, ...]], ...] = ()
    margin: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    family: str = ""
    family_size: int = 0
    decision: str = ""
    size: str = ""
    needed: tuple[int, int | None] | None = None
    trials: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    @property
    def split(self) -> str:
        """The split on which the metric was measured, "" if it is neither an accuracy nor usable information."""
        return "validation" if "validation" in self.metric else "test" if self.metric in ON_TEST else ""

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "split": self.split}


@dataclass(frozen=True)
class Sentence:
    """A sentence of the answer, and the claims of its numbers."""

    text: str
    claims: tuple[Claim, ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Table:
    """A table of the report, tables/NAME.csv and NAME.tex; note: explains n and the intervals."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    @staticmethod
    def of(name: str, title: str, rows: Sequence[Mapping[str, Cell]], note: str = "") -> Table:
        """A table from rows, each a mapping from columns to cells.

        Raises: ValueError for rows with different columns.
        """
        columns = tuple(rows[0]) if rows else ()
        if any(tuple(row) != columns for row in rows):
            raise ValueError(f"the rows of table {name} have different columns")
        return Table(name, title, columns, tuple(tuple(row.values()) for row in rows), note)

    @property
    def filled(self) -> Table:
        """The table without columns that are empty in all rows; only the CSV file keeps these."""
        kept = [k for k in range(len(self.columns)) if any(row[k] not in (None, "") for row in self.rows)]
        rows = tuple(tuple(row[k] for k in kept) for row in self.rows)
        return replace(self, columns=tuple(self.columns[k] for k in kept), rows=rows)


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of the report and of figures/NAME.png, with a caption that can be quoted on its own.

    drawing: None if figures/ has it already and it cannot be drawn again, because the trials' pictures are gone.
    """

    name: str
    title: str
    caption: str
    drawing: Drawing | None


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer of a study.

    sentences: in full, each with its claims; plain: the answer in one to three sentences; claims: those of sentences,
    tables and figures; summary: the metrics of MLflow's parent run; failed: by trial, the failure modes that only
    groups of trials show. files: what other programs read, by the name of its JSON file.
    """

    sentences: tuple[Sentence, ...]
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    summary: dict[str, float] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)
    plain: tuple[Sentence, ...] = ()
    files: dict[str, Any] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """The answer for a terminal: in short, an empty line, then every sentence."""
        short = [str(sentence) for sentence in self.plain]
        return [*short, *([""] if short else []), *map(str, self.sentences)]


def percent(interval: Interval) -> str:
    """An accuracy as `88.1% [87.0, 89.2]`."""
    return str(Quantity.of(interval, "percent"))


def points(interval: Interval, *, cost: bool = False) -> str:
    """A difference of accuracies, `+0.4 points [-0.3, +1.1]`; cost: as a loss, `5.9 points [5.3, 6.6]`."""
    if cost and interval.mean is None:
        return "unknown"
    return str(Quantity.of(interval, "points lost" if cost else "points"))
