"""What a study is expected to take: before it, for what is left of it, and beside what it took."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mim4dd.data import load
from studies.architectures import STUDY as ARCHITECTURES
from studies.baselines import STUDY
from studies.engine import taken
from studies.engine.command import main
from studies.engine.estimate import (
    ANSWER_SECONDS,
    Forecast,
    describe,
    forecast,
    wall_seconds,
    worker_seconds,
    workers_at_once,
)
from studies.engine.metadata import configuration_of
from studies.engine.options import Options, parse_options
from studies.engine.plan import Plan
from studies.engine.remaining import Remaining
from studies.engine.rows import Row
from studies.engine.sizes import NAMED, Size, size_in
from studies.engine.speeds import SHIPPED, Speeds
from studies.engine.taken import Taken, told
from studies.engine.trial import Trial
from studies.engine.wording import clock
from studies.sensitivity import STUDY as SENSITIVITY

SPEEDS = Speeds.read(SHIPPED)
TERM = "mim:base=mtt"
WORDS = ["--quick", "--seeds", "0-2", "--method", "mtt", "--method", TERM, "--method", "random", "--method", "full"]


@pytest.fixture(scope="module")
def options() -> Options[Any]:
    return parse_options("", STUDY.script, STUDY.flags, WORDS)


@pytest.fixture(scope="module")
def plan(options: Options[Any]) -> Plan:
    return STUDY.plan(options, configuration_of(STUDY, options))


@pytest.fixture(scope="module")
def whole(plan: Plan) -> Forecast:
    return forecast(plan, {trial.hash for trial in plan.trials}, SPEEDS)


def row(trial: Trial, status: str = "ok", **measured: float) -> Row:
    result = {"status": status}
    record = {"trial": trial.hash, "config": trial.config, "result": result, "report_only": {}, "measured": measured}
    return Row.read(record)


def rows_of(plan: Plan, whole: Forecast, factor: float, waited: float = 7.0) -> list[Row]:
    """Every trial, and what they share, took so many times its forecast; each waited for what it shares."""
    rows = []
    for trial in plan.trials:
        seconds, shared = factor * whole.trials[trial.hash], whole.shared.get(trial.hash)
        prepared = factor * whole.preparations[shared] if shared else 0.0
        times = {"seconds": seconds + waited, "waited_seconds": waited, "prepared_seconds": prepared}
        rows.append(row(trial, **times))
    return rows


def save(rows: list[Row], out: Path) -> None:
    (out / "rows.jsonl").write_text("".join(json.dumps(one.record) + "\n" for one in rows))


def test_what_trials_share_is_counted_once_and_waiting_for_it_is_no_work(plan: Plan, whole: Forecast) -> None:
    assert len(whole.trials) == len(plan.trials) == 12
    assert len(whole.shared) == 6, "of MTT and the term on it"
    assert len(whole.preparations) == 3, "one a seed"
    assert min(whole.trials.values()) > 0
    assert min(whole.preparations.values()) > 0
    assert whole.worker_seconds == sum(whole.trials.values()) + sum(whole.preparations.values())
    assert worker_seconds(rows_of(plan, whole, 1.5)) == pytest.approx(1.5 * whole.worker_seconds)
    alone = whole.without(whole.preparations)
    assert worker_seconds(rows_of(plan, whole, 1.5), whole.preparations) == pytest.approx(1.5 * alone.worker_seconds)
    some = {trial.hash for trial in plan.trials if trial.config["seed"] == 1}
    assert whole.only(some) == forecast(plan, some, SPEEDS)
    assert len(whole.only(some).preparations) == 1


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "most", "exclusive", "expected"),
    [
        ([(2, 0)], 1, 0, 0, False, 2),
        ([(2, 0)], 0.1, 0, 0, False, 20),
        ([(3, 0), (5, 0)], 2, 0, 0, False, 3),
        ([(64, 0)], 1, 0, 5, False, 5),
        ([(64, 0), (64, 0)], 1, 0, 5, True, 1),
        ([(16, 2), (16, 0)], 1, 0.25, 0, False, 8),
        ([(16, 0)], 1, 1, 0, True, 0),
        ([], 1, 0, 0, False, 0),
    ],
)
def test_the_trials_that_run_at_once(
    nodes: list[tuple[float, float]], cpus: float, gpus: float, most: int, exclusive: bool, expected: int
) -> None:
    asked: Any = SimpleNamespace(cpus_per_trial=cpus, gpus_per_trial=gpus, max_concurrent=most)
    assert workers_at_once(nodes, asked, exclusive) == expected


def test_an_execution_takes_its_start_its_trials_and_its_answer() -> None:
    startup, between = SPEEDS.driver.startup_seconds, SPEEDS.driver.between_seconds
    assert wall_seconds(60.0, 10, 2, SPEEDS) == pytest.approx(startup + ANSWER_SECONDS + 30 + 5 * between)
    assert wall_seconds(60.0, 1, 8, SPEEDS) == wall_seconds(60.0, 1, 1, SPEEDS)


def last_line(plan: Plan, options: Options[Any], out: Path, workers: int = 2) -> str:
    return describe(plan, options, out, workers).splitlines()[-1]


def test_a_dry_run_says_a_workers_time_and_that_of_this_machine(
    plan: Plan, whole: Forecast, options: Options[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On another processor the speeds are scaled by its pace, and the line says so.
    monkeypatch.setattr("studies.engine.estimate.processor", lambda device: SPEEDS.machine)
    worker = f"about {clock(whole.worker_seconds)} of one worker's time, by the speed of {SPEEDS.machine}; "
    for workers, words in ((2, "2 workers"), (1, "1 worker"), (64, "12 workers")):
        wall = clock(wall_seconds(whole.worker_seconds, 12, workers, SPEEDS))
        assert last_line(plan, options, tmp_path, workers) == f"{worker}about {wall} in all on {words} of this machine"
    assert last_line(plan, options, tmp_path, 0) == f"{worker}divide by the trials that run at once"


def test_what_is_left_is_forecast_by_the_model_times_what_the_rows_took_of_it(
    plan: Plan, whole: Forecast, options: Options[Any], tmp_path: Path
) -> None:
    rows = rows_of(plan, whole, 2.5)
    # dear trials stand beside cheap ones, so the mean of these rows says nothing of the others
    done = [one for one in rows if one.config["method"] in ("random", "mtt")]
    failed = replace_status(rows[-1], "error")
    save([*done, failed], tmp_path)
    left = whole.only({one.trial for one in rows} - {one.trial for one in done})
    seconds = 2.5 * left.without(whole.only({one.trial for one in done}).preparations).worker_seconds
    assert last_line(plan, options, tmp_path, 0) == (
        f"about {clock(seconds)} of one worker's time for {len(left.trials)} trials left to run, by the speed of "
        f"{SPEEDS.machine} times 2.5, from the {len(done)} trials that have run; divide by the trials that run at once"
    )
    save(rows, tmp_path)
    assert last_line(plan, options, tmp_path) == "no trial is left to run"


def replace_status(one: Row, status: str) -> Row:
    return Row.read({**one.record, "result": {"status": status, "reason": "x"}})


def test_a_dry_run_of_measured_trials_has_one_worker(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(replace(STUDY, exclusive=True), [*WORDS, "--address", "local", "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith(" in all on 1 worker of this machine\n")
    assert main(STUDY, [*WORDS, "--address", "auto", "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith("; divide by the trials that run at once\n")


def test_an_execution_is_compared_with_the_forecast_of_what_it_ran(
    plan: Plan, whole: Forecast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(plan, whole, 1.5)
    seeds = [[one for one in rows if (one.config["seed"] == 0) is first] for first in (True, False)]
    earlier, ran = seeds
    # an earlier error is run again; what it prepared has been made again for it
    execution = Taken([*earlier, replace_status(ran[0], "error")], time.monotonic(), SPEEDS)
    for one in ran:
        execution.add(one)
    monkeypatch.setattr(taken, "time", SimpleNamespace(monotonic=lambda: execution.began + 151.0))
    found = execution.compared(plan, 2, whole=True)
    assert found is not None
    expected = whole.only({one.trial for one in ran})
    assert len(expected.preparations) == 2
    assert found.forecast_worker_seconds == pytest.approx(expected.worker_seconds)
    assert found.worker_seconds == pytest.approx(1.5 * expected.worker_seconds)
    wall = wall_seconds(expected.worker_seconds, len(ran), 2, SPEEDS)
    assert told(found, tmp_path) == (
        f"forecast {clock(expected.worker_seconds)} of one worker's time for these {len(ran)} trials, they took "
        f"{clock(1.5 * expected.worker_seconds)} (1.50 times); forecast {clock(wall)} in all on 2 workers, it took 2:31"
    )
    assert json.loads((tmp_path / "forecast.json").read_text()) == {
        "trials": len(ran),
        "workers": 2,
        "forecast_worker_seconds": pytest.approx(expected.worker_seconds),
        "worker_seconds": pytest.approx(1.5 * expected.worker_seconds),
        "forecast_wall_seconds": pytest.approx(wall),
        "wall_seconds": pytest.approx(151.0),
    }


def test_what_was_made_for_earlier_trials_is_neither_forecast_nor_counted(plan: Plan, whole: Forecast) -> None:
    rows = rows_of(plan, whole, 2.0)
    term = [one for one in rows if one.config.get("method.base") == "mtt"]
    execution = Taken([one for one in rows if one.config["method"] == "mtt"], 0.0, SPEEDS)
    for one in term:
        execution.add(one)
    found = execution.compared(plan, 2, whole=True)
    assert found is not None
    alone = sum(whole.trials[one.trial] for one in term)
    assert (found.forecast_worker_seconds, found.worker_seconds) == pytest.approx((alone, 2 * alone))


@pytest.mark.parametrize(("status", "whole_run"), [("ok", False), ("error", True), ("diverged", True)])
def test_the_whole_of_a_command_that_did_other_work_is_not_compared(
    status: str, whole_run: bool, plan: Plan, whole: Forecast
) -> None:
    one, other = rows_of(plan, whole, 1.0)[:2]
    execution = Taken([], 0.0, SPEEDS)
    execution.add(one)
    if status != "ok":
        execution.add(replace_status(other, status))
    found = execution.compared(plan, 2, whole=whole_run)
    assert found is not None
    assert (found.trials, found.wall_seconds, found.forecast_wall_seconds) == (1, None, None)
    assert re.fullmatch(r"forecast \S+ of one worker's time for this trial, it took \S+ \(1\.00 times\)", found.line)


def test_nothing_is_said_where_no_trial_ran_to_its_end(plan: Plan, whole: Forecast, tmp_path: Path) -> None:
    execution = Taken(rows_of(plan, whole, 1.0)[1:], 0.0, SPEEDS)
    execution.add(replace_status(rows_of(plan, whole, 1.0)[0], "error"))
    found = execution.compared(plan, 2, whole=True)
    assert found is None
    assert told(found, tmp_path) == ""
    assert not list(tmp_path.iterdir())


def test_the_time_left_is_the_forecast_of_the_trials_without_a_row_by_what_the_others_took(
    plan: Plan, whole: Forecast
) -> None:
    left = Remaining(plan, {}, 0, 2, SPEEDS)
    assert left.seconds == pytest.approx(whole.worker_seconds / 2)
    rows, done = rows_of(plan, whole, 1.5), set()
    for one in rows:
        left.add(one)
        done.add(one.trial)
        others = whole.only(whole.trials.keys() - done).without(whole.only(done).preparations)
        at_once = max(1, min(2, len(others.trials)))
        assert left.seconds == pytest.approx(1.5 * others.worker_seconds / at_once, abs=1e-6)
    assert left.seconds == 0
    resumed = Remaining(plan, {one.trial: one for one in rows[:5]}, 0, 2, SPEEDS)
    assert resumed.seconds > 0
    for one in rows[5:]:
        resumed.add(one)
    assert resumed.seconds == 0


def test_suggestions_cost_as_much_as_the_default_and_failed_trials_tell_no_pace() -> None:
    options = parse_options("", SENSITIVITY.script, SENSITIVITY.flags, ["--quick"])
    plan = SENSITIVITY.plan(options, configuration_of(SENSITIVITY, options))
    whole = forecast(plan, {trial.hash for trial in plan.trials}, SPEEDS)
    default = next(setting.trials[0] for setting in plan.settings if setting.arm.role == "default")
    left = Remaining(plan, {}, 4, 1, SPEEDS)
    assert left.seconds == pytest.approx(whole.worker_seconds + 4 * whole.trials[default])
    left.add(row(Trial.of({**plan.trials[0].config, "seed": 99}), seconds=1.0))
    left.add(row(plan.trials[0], "error", seconds=99.0))
    expected = whole.worker_seconds - whole.trials[plan.trials[0].hash] + 3 * whole.trials[default]
    assert left.seconds == pytest.approx(expected)


def test_named_data_sets_are_as_large_as_they_are_known_to_be() -> None:
    assert Size.of(load("digits")) == NAMED["digits"] == size_in({"dataset": "digits"})
    coloured = {"dataset": "digits", "perturb": "colour:correlation=0.9,of=foreground"}
    assert size_in(coloured) == size_in(coloured, NAMED["digits"]) == Size((3, 8, 8), 10, 1_100, 3 * 697)
    read = Size((1, 64, 64), 4, 50, 20)
    assert size_in({"dataset": "folder:DIR", "source.size": 64}, read) == read, "it has been resized"


def test_data_of_ones_own_are_forecast_by_their_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, seconds = np.arange(60) % 3, []
    for side in (8, 96):
        file, pixels = tmp_path / f"{side}.npz", np.random.default_rng(side).random((60, side, side, 1))
        np.savez(file, train_images=(255 * pixels).astype(np.uint8), train_labels=labels)
        assert main(STUDY, ["--dataset", f"npz:{file}", "--quick", "--method", "dm", "--dry-run"]) == 0
        minutes, rest = re.findall(r"about (\d+):(\d\d) of one worker's time", capsys.readouterr().out)[-1]
        seconds.append(60 * int(minutes) + int(rest))
    assert 0 < 2 * seconds[0] < seconds[1]
    np.savez(tmp_path / "wrong.npz", images=labels)
    assert main(STUDY, ["--dataset", f"npz:{tmp_path / 'wrong.npz'}", "--dry-run"]) == 2
    assert "lacks train_images and train_labels; found: images" in capsys.readouterr().err


def test_a_network_with_a_block_less_is_that_of_the_images() -> None:
    options = parse_options("", ARCHITECTURES.script, ARCHITECTURES.flags, [])
    judges = []
    for read in (None, NAMED["digits"], Size((1, 32, 32), 10, 1_100, 697)):
        given = replace(options, read=read)
        judges.append(ARCHITECTURES.plan(given, configuration_of(ARCHITECTURES, given)).trials[0].config["judges"])
    assert judges[0] == judges[1]
    assert judges[0] != judges[2]
