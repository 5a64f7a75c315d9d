"""The answers of docs/results, recomputed from settings and rows without Ray or MLflow, against those of old.

The golden files hold what each folder answered before one rule decided and names were made in one place. Tables are
compared cell by cell; what may differ is listed here, with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import pytest
from golden_answers import HELD, LONG, answer_of, folder_of, golden_of, numbers

from studies.engine.answer import Quantity
from studies.engine.statistics.contrasts import FEWEST_PAIRS

NAMES = [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in HELD]
# Columns whose cells name arms: they are compared as names, one new for each old.
NAMED = {"method", "with the term", "the base alone", "floor", "chosen by clean labels", "chosen by noisy labels", ""}
# By the new rule: p is Holm's of a contrast that five pairs at least can decide; forecasts are at power .8.
BY_THE_RULE = {"p", "p of the gain (Holm)", "p of the change (Holm)", "p (Holm)", "pairs that would decide"}
NEW_COLUMNS = {
    "change of the gain from clean data": "change of the gain from clean",
    "from clean data up to": "from clean up to",
    "": "method",
    "between sets": "between sets, points",
    "between networks": "between networks, points",
}
Row = dict[str, Any]


def estimate(column: str) -> Callable[[Row], Any]:
    """The estimate of a quantity whose interval was a column of its own."""
    return lambda row: row[column].mean


def tenth(column: str) -> Callable[[Row], Any]:
    """The same of an accuracy, in percent as it was rounded."""
    return lambda row: None if row[column].mean is None else round(100 * row[column].mean, 1)


def ends(column: str) -> Callable[[Row], Any]:
    """The interval that was a column of its own."""
    return lambda row: row[column].written[1] or None


def unbounded(column: str) -> Callable[[Row], Any]:
    """The same where an interval was printed beyond 100%."""

    def printed(row: Row) -> str | None:
        low, high = row[column].low, row[column].high
        return None if low is None else f"[{100 * low:.1f}, {100 * high:.1f}]"

    return printed


def ranked(block: str) -> Callable[[Row], Any]:
    """Accuracy with its rank, which were one cell."""
    return lambda row: f"{row[f'{block}, accuracy'].written[0]} ({row[f'{block}, rank']:g})"


def published(row: Row) -> str | None:
    return row["published"] and row["published"].written[0] + ("*" if row["published, from memory"] else "")


# Cells of old as they follow from those of now: one quantity was two columns, or two columns were one.
FORMS: dict[tuple[str, str], Callable[[Row], Any]] = {
    ("accuracy", "test accuracy %"): tenth("test accuracy"),
    ("accuracy", "95% interval"): ends("test accuracy"),
    ("accuracy", "balanced %"): tenth("balanced accuracy"),
    ("accuracy", "95% interval of balanced"): ends("balanced accuracy"),
    ("fidelity", "published %"): published,
    ("fidelity", "ours %"): tenth("ours"),
    ("fidelity", "95% interval"): unbounded("ours"),
    ("fidelity", "difference"): lambda row: row["difference"] and (row["difference"].written[0] or None),
    ("ranks", "digits, ipc 1"): ranked("digits, ipc 1"),
    ("ranks", "mnist, ipc 1"): ranked("mnist, ipc 1"),
}
# Tables whose columns are arms.
ACROSS = {"beats"}
# What sentences no longer say: forecasts at power .5, p of families that the rule makes otherwise, the level.
GONE = re.compile(r"about [\d,]+ (?:pairs|seeds|settings)|p = [\d.e-]+ after Holm|at level 0.05")


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_of_every_table_is_what_it_was(name: str) -> None:
    golden, tables = golden_of(name)["tables"], {table.name: table for table in answer_of(name).tables}
    assert set(tables) == set(golden)
    for key, old in golden.items():
        table, renamed = tables[key], dict[str, str]()
        assert len(table.rows) == len(old["rows"]), key
        for at, column in enumerate(old["columns"]):
            for before, row in zip(old["rows"], table.rows, strict=True):
                held = dict(zip(table.columns, row, strict=True))
                form = FORMS.get((key, column), itemgetter(NEW_COLUMNS.get(column, column)))
                now = row[at] if key in ACROSS else form(held)
                if column in NAMED and before[at] is not None:
                    assert renamed.setdefault(before[at], str(now)) == now
                elif column not in BY_THE_RULE:
                    assert plain(now) == plain(before[at]), (key, column, row[0])
        assert len(set(renamed.values())) == len(renamed)


def plain(cell: Any) -> Any:
    """A cell as it is printed, without the star that says that a difference is decided.

    What rounds to zero has no sign, and a single pair is `n = 1`.
    """
    cell = str(cell) if isinstance(cell, Quantity) else cell
    if isinstance(cell, float):
        return pytest.approx(cell, rel=1e-6, abs=1e-12)
    if not isinstance(cell, str):
        return cell
    return re.sub(r"[+-](0\.0+)(?!\d)", r"\1", cell.rstrip("*")).replace("(no interval from 1)", "(no interval, n = 1)")


@pytest.mark.parametrize("name", NAMES)
def test_p_values_are_what_they_were_where_five_pairs_can_decide(name: str) -> None:
    golden, tables = golden_of(name)["tables"], {table.name: table for table in answer_of(name).tables}
    for key in ("gains", "random"):
        if key not in golden:
            continue
        place, at = tables[key].columns.index("p (Holm)"), golden[key]["columns"].index("p (Holm)")
        for before, row in zip(golden[key]["rows"], tables[key].rows, strict=True):
            expected = before[at] if len(folder_of(name).seeds) >= FEWEST_PAIRS else None
            assert plain(row[place]) == plain(expected)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_the_sentences_still_stand_in_the_answer(name: str) -> None:
    answer = answer_of(name)
    told = " ".join(map(str, answer.sentences)) + " ".join(answer.notes)
    told += " ".join(str(cell) for table in answer.tables for row in table.rows for cell in row)
    now = set(numbers(told))
    for sentence in golden_of(name)["sentences"]:
        assert {one for one in numbers(GONE.sub("", sentence)) if "." in one} - now == set(), sentence


@pytest.mark.parametrize("name", NAMES)
def test_what_mlflow_shows_of_a_study_is_what_it_was(name: str) -> None:
    now, golden = answer_of(name).summary, golden_of(name)["summary"]
    # Keys hold names of methods, which are new.
    assert sorted(now.values()) == pytest.approx(sorted(golden.values()))
