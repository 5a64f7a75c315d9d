"""An answer as data: sentences with their claims, tables and figures; written as Markdown, HTML, CSV, PNG and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from studies.engine.statistics import Interval

Cell = str | int | float | None


@dataclass(frozen=True)
class Claim:
    """A number that an answer states, with all that a reader needs to check it.

    id: unique in the answer; kind: `mean`, `contrast` or `estimate`; what: in words. terms: of a contrast, (weight,
    arm, levels). unit: `percent` and `points` are fractions times 100; else the estimate's own. planned: sets or pairs
    that the plan has. p, p_adjusted: of the difference, raw and by Holm over the family. decision: by the rule, "" for
    what is no contrast; size: `beyond` the margin or `below` it. needed: pairs that would decide, from and to.
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

    @property
    def split(self) -> str:
        """What the metric was measured on."""
        return "validation" if "validation" in self.metric else "test" if self.metric in ("test", "balanced") else ""

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "split": self.split}


@dataclass(frozen=True)
class Sentence:
    """A sentence of the answer, and the claims that its numbers are."""

    text: str
    claims: tuple[Claim, ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Table:
    """A table of the report and of tables/NAME.csv; `note` says what n and the intervals are."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    @staticmethod
    def of(name: str, title: str, rows: Sequence[Mapping[str, Cell]], note: str = "") -> Table:
        """A table from rows by column, all with the same columns.

        Raises: ValueError where they differ.
        """
        columns = tuple(rows[0]) if rows else ()
        if any(tuple(row) != columns for row in rows):
            raise ValueError(f"the rows of table {name} have different columns")
        return Table(name, title, columns, tuple(tuple(row.values()) for row in rows), note)


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of the report and of figures/NAME.png, with a caption that can stand in a rebuttal.

    drawing: None where it stands in figures/ already and cannot be drawn again (the trials' pictures are gone).
    """

    name: str
    title: str
    caption: str
    drawing: Drawing | None


@dataclass(frozen=True, eq=False)
class Answer:
    """What a study says.

    sentences: each with its claims; claims: all of the answer's, those of its tables and figures too; summary: the
    numbers that MLflow's parent run shows; failed: the failure modes that only paired trials show, by trial.
    """

    sentences: tuple[Sentence, ...]
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    summary: dict[str, float] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)


def percent(interval: Interval) -> str:
    """An accuracy as `88.1% [87.0, 89.2]`."""
    if interval.mean is None:
        return "–"
    mean = f"{decimal(100 * interval.mean)}%"
    if interval.low is None or interval.high is None:
        return mean
    low, high = max(0.0, interval.low), min(1.0, interval.high)  # a t interval of few sets knows no bounds
    return f"{mean} [{decimal(100 * low)}, {decimal(100 * high)}]"


def points(interval: Interval, *, cost: bool = False) -> str:
    """A difference of accuracies as `+0.4 points [-0.3, +1.1]`; cost: what is lost, `5.9 points [5.3, 6.6]`."""
    if interval.mean is None:
        return "unknown" if cost else "–"
    scale, form = (-100, ".1f") if cost else (100, "+.1f")
    mean = f"{decimal(scale * interval.mean, form)} points"
    if interval.low is None or interval.high is None:
        return f"{mean} (no interval, n = {interval.n})"
    low, high = (interval.high, interval.low) if cost else (interval.low, interval.high)
    return f"{mean} [{decimal(scale * low, form)}, {decimal(scale * high, form)}]"


def decimal(value: float, form: str = ".1f") -> str:
    """A number as `form` prints it; what rounds to zero has no sign: `0.0`, never `-0.0` or `+0.0`."""
    text = f"{value:{form}}"
    return text.lstrip("+-") if float(text) == 0 else text


def plural(count: int, noun: str) -> str:
    """`1 set`, `3 sets`, `1,200 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def images(count: int) -> str:
    """`1 image per class`, `10 images per class`."""
    return f"{plural(count, 'image')} per class"
