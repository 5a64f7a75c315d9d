"""An answer as data: sentences, tables and figures, to be written as Markdown, HTML, CSV and PNG."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from studies.engine.statistics import Interval

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """A table of the report and of tables/NAME.csv; `note` says what n and the intervals are."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of the report and of figures/NAME.png, with a caption that can stand in a rebuttal."""

    name: str
    title: str
    caption: str
    drawing: Drawing


@dataclass(frozen=True, eq=False)
class Answer:
    """What a study says.

    verdict: sentences with intervals; summary: the numbers that MLflow's parent run shows; failed: the failure modes
    that only paired trials show, by trial.
    """

    verdict: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    summary: dict[str, float] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)


def percent(interval: Interval) -> str:
    """An accuracy as `88.1% [87.0, 89.2]`."""
    if interval.mean is None:
        return "–"
    if interval.low is None or interval.high is None:
        return f"{100 * interval.mean:.1f}%"
    low, high = max(0.0, interval.low), min(1.0, interval.high)  # a t interval of few sets knows no bounds
    return f"{100 * interval.mean:.1f}% [{100 * low:.1f}, {100 * high:.1f}]"


def points(interval: Interval) -> str:
    """A difference of accuracies as `+0.4 points [-0.3, 1.1]`."""
    if interval.mean is None:
        return "–"
    if interval.low is None or interval.high is None:
        return f"{100 * interval.mean:+.1f} points (no interval from {interval.n})"
    return f"{100 * interval.mean:+.1f} points [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"
