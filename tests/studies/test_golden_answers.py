"""The answers of docs/results, recomputed from settings and rows without Ray or MLflow, against those of old.

The golden files hold what each folder answered before one rule decided and names were made in one place. Tables are
compared cell by cell; what may differ is listed here, with its reason.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from golden_answers import HELD, LONG, answer_of, folder_of, golden_of, numbers

from studies.engine.statistics.contrasts import FEWEST_PAIRS

NAMES = [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in HELD]
# Columns whose cells name arms: they are compared as names, one new for each old.
NAMED = {"method", "with the term", "the base alone", "floor", "chosen by clean labels", "chosen by noisy labels", ""}
# By the new rule: p is Holm's of a contrast that five pairs at least can decide; forecasts are at power .8.
BY_THE_RULE = {"p", "p of the gain (Holm)", "p of the change (Holm)", "p (Holm)", "pairs that would decide"}
NEW_COLUMNS = {
    "change of the gain from clean data": "change of the gain from clean",
    "from clean data up to": "from clean up to",
}
# Tables whose columns are arms.
ACROSS = {"beats"}
# What sentences no longer say: forecasts at power .5, p of families that the rule makes otherwise, the level.
GONE = re.compile(r"about [\d,]+ (?:pairs|seeds|settings)|p = [\d.e-]+ after Holm|at level 0.05")
DETECTORS_OF_GROUPS = {"below_random", "no_gain", "memorised_noise", "unstable"}
# A mode of two sides that is two modes now, of which a trial can fail by one.
TERM = {"term_dominates (dominant)": "term_dominant", "term_dominates (idle)": "term_idle"}


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_of_every_table_is_what_it_was(name: str) -> None:
    golden, tables = golden_of(name)["tables"], {table.name: table for table in answer_of(name).tables}
    assert set(tables) == set(golden)
    for key, old in golden.items():
        table, renamed = tables[key], dict[str, str]()
        if key == "failures":
            continue  # what fails follows from the map below
        assert len(table.rows) == len(old["rows"]), key
        for at, column in enumerate(old["columns"]):
            place = at if key in ACROSS else table.columns.index(NEW_COLUMNS.get(column, column))
            for before, row in zip(old["rows"], table.rows, strict=True):
                now = row[place]
                if column in NAMED and before[at] is not None:
                    assert renamed.setdefault(before[at], str(now)) == now
                elif column not in BY_THE_RULE:
                    assert plain(now) == plain(before[at]), (key, column, row[0])
        assert len(set(renamed.values())) == len(renamed)


def plain(cell: Any) -> Any:
    """A cell without the star that says that a difference is decided, in today's forms.

    What rounds to zero has no sign, and a single pair is `n = 1`.
    """
    if isinstance(cell, float):
        return pytest.approx(cell, rel=1e-6, abs=1e-12)
    if not isinstance(cell, str):
        return cell
    return re.sub(r"[+-](0\.0+)(?!\d)", r"\1", cell.rstrip("*")).replace("(no interval from 1)", "(no interval, n = 1)")


@pytest.mark.parametrize("name", NAMES)
def test_p_values_are_what_they_were_where_five_pairs_can_decide(name: str) -> None:
    golden, tables = golden_of(name)["tables"], {table.name: table for table in answer_of(name).tables}
    for key, column in (("degradation", "p of the gain (Holm)"), ("gains", "p (Holm)"), ("random", "p (Holm)")):
        if key not in golden:
            continue
        place, at = tables[key].columns.index(column), golden[key]["columns"].index(column)
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


@pytest.mark.parametrize("name", [name for name in HELD if "failure_map" in golden_of(name)])
def test_the_failure_map_of_single_trials_is_what_it_was(name: str) -> None:
    from studies.answers.ledger import Ledger
    from studies.answers.parts.failures import occurrences
    from studies.answers.results import Results

    folder = folder_of(name)
    seen = occurrences(Ledger(Results(folder)), {})
    now = [[one.name, " · ".join(one.cell.levels), one.count, one.of, one.undecided] for one in seen]
    golden = [one for one in golden_of(name)["failure_map"] if one[0] not in DETECTORS_OF_GROUPS]
    assert sorted(now) == sorted([mode, *rest] for mode, _, *rest in by_todays_names(golden))


def by_todays_names(failure_map: list[list[Any]]) -> list[list[Any]]:
    """A failure map of old (mode, arm, level, failed, of, undecided) by today's names."""
    kept = [one for one in failure_map if not one[0].startswith("term_dominates")]
    cells: dict[tuple[str, str, int], dict[str, int]] = {}
    for mode, arm, level, failed, of, _ in (one for one in failure_map if one[0].startswith("term_dominates")):
        counts = cells.setdefault((arm, level, of), dict.fromkeys(TERM.values(), 0))
        counts |= {TERM[mode]: failed} if mode in TERM else {}
    divided = [(cell, mode, failed) for cell, counts in cells.items() for mode, failed in counts.items()]
    return kept + [[mode, arm, level, failed, of, False] for (arm, level, of), mode, failed in divided]


@pytest.mark.parametrize("name", NAMES)
def test_what_mlflow_shows_of_a_study_is_what_it_was(name: str) -> None:
    now, golden = answer_of(name).summary, golden_of(name)["summary"]
    # Keys hold names of methods, which are new.
    assert sorted(now.values()) == pytest.approx(sorted(golden.values()))
