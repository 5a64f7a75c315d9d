"""The lines that a run prints after each trial."""

from __future__ import annotations

import pytest
from made_rows import made_row

from studies.baselines import STUDY
from studies.engine.metadata import configuration_of
from studies.engine.options import parse_options
from studies.engine.plan import Plan
from studies.engine.progress import Progress
from studies.engine.remaining import Remaining
from studies.engine.rows import Row
from studies.engine.speeds import SHIPPED, Speeds
from studies.engine.trial import Trial


@pytest.fixture(scope="module")
def plan() -> Plan:
    words = ["--quick", "--seeds", "0-1", "--method", "dm", "--method", "random"]
    options = parse_options("", STUDY.script, STUDY.flags, words)
    return STUDY.plan(options, configuration_of(STUDY, options))


@pytest.mark.parametrize(
    ("others", "suggested", "counts"),
    [(0, 0, ["[1/4]", "[2/4]"]), (3, 0, ["[1/4]", "[2/4]"]), (3, 2, ["[3/6]", "[4/6]"]), (1, 2, ["[2/6]", "[3/6]"])],
)
def test_rows_of_other_plans_are_not_counted(
    plan: Plan, others: int, suggested: int, counts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = [Trial.of({**plan.trials[0].config, "seed": 90 + k}) for k in range(others)]
    rows: dict[str, Row] = {one.hash: made_row(one.hash, one.config, [0.5]) for one in elsewhere}
    progress = Progress(plan, rows, Remaining(plan, rows, suggested, 1, Speeds.read(SHIPPED)), suggested)
    for trial in plan.trials[:2]:
        rows[trial.hash] = made_row(trial.hash, trial.config, [0.5])
        progress.add(rows[trial.hash])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == counts
