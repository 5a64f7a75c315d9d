"""What is kept of running trials, who is listened to, what is fed next, and what another shell sees of it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mim4dd.errors import InputError
from studies.engine.journal import REMOVED, Journal, checkpoint_path
from studies.engine.plan import Plan
from studies.engine.progress import Progress
from studies.engine.remaining import Remaining
from studies.engine.rows import Row
from studies.engine.signals import WITH_ERRORS
from studies.engine.speeds import speeds_beside
from studies.engine.status import FINISHED, INCOMPLETE, RUNNING, pace_lines, study_status
from studies.engine.trial import Outcome, Trial, error_outcome
from studies.engine.tuning import feeding, fitting
from studies.engine.tuning.context import Resources
from studies.engine.tuning.feeding import CHUNK, RETRIES, WAIT_SECONDS, Collector, Feed, NoRoom
from studies.engine.tuning.monitor import TrialMonitor, Worker, read_checkpoint

ONE, OTHER = Worker("node", "host", 10, 1.0), Worker("node", "host", 11, 2.0)


def test_a_state_is_kept_and_given_to_the_next_who_begins(tmp_path: Path) -> None:
    monitor = TrialMonitor(str(tmp_path), tmp_path.stat(), 60)
    first = monitor.begin("t", ONE)
    assert (first.state, first.unreadable) == (None, "")
    monitor.save(first.ticket, b"state")
    assert monitor.begin("t", OTHER).state == b"state"


def test_who_has_been_replaced_is_told_to_stop_and_not_listened_to(tmp_path: Path) -> None:
    monitor = TrialMonitor(str(tmp_path), tmp_path.stat(), 60)
    first = monitor.begin("t", ONE).ticket
    second = monitor.begin("t", OTHER).ticket
    monitor.save(second, b"new")
    monitor.save(first, b"old")
    assert read_checkpoint(tmp_path, "t") == (b"new", "")
    assert monitor.heartbeat([first], "somewhere") is True
    assert monitor.heartbeat([second], "somewhere") is False
    monitor.end([first])
    assert "t" in monitor.running
    monitor.end([second])
    assert monitor.running == {}


def test_a_monitor_that_was_started_again_learns_from_its_workers(tmp_path: Path) -> None:
    ticket = TrialMonitor(str(tmp_path), tmp_path.stat(), 60).begin("t", ONE).ticket
    again = TrialMonitor(str(tmp_path), tmp_path.stat(), 60)
    assert again.heartbeat([ticket], "distilling") is False
    assert again.running["t"].progress == "distilling"


def test_damaged_states_are_not_used_and_told(tmp_path: Path) -> None:
    monitor = TrialMonitor(str(tmp_path), tmp_path.stat(), 60)
    monitor.save(monitor.begin("t", ONE).ticket, b"a state of some length")
    path = checkpoint_path(tmp_path, "t")
    for damaged in (path.read_bytes()[:-1], b"", path.read_bytes() + b"x"):
        path.write_bytes(damaged)
        assert monitor.begin("t", ONE).unreadable == "its checkpoint was damaged"


def test_stopping_reaches_every_trial_and_counts_those_at_work(tmp_path: Path) -> None:
    monitor = TrialMonitor(str(tmp_path), tmp_path.stat(), 60)
    one, two = monitor.begin("a", ONE).ticket, monitor.begin("b", OTHER).ticket
    assert monitor.check(False).working == 2
    assert monitor.check(True).working == 2
    assert monitor.heartbeat([one], "x") is True
    monitor.pause([one])
    assert monitor.check(True).working == 1
    told = json.loads((tmp_path / "running.json").read_text())["running"]
    assert {line["trial"]: line["progress"] for line in told} == {"a": "paused", "b": "starting"}
    monitor.end([two])


def test_a_disk_that_refuses_is_told_and_kills_nothing(tmp_path: Path) -> None:
    monitor = TrialMonitor(str(tmp_path), tmp_path.stat(), 60)
    (tmp_path / "checkpoints").write_text("no folder")
    monitor.save(monitor.begin("t", ONE).ticket, b"state")
    assert monitor.check(False).storage_error == "File exists (checkpoints)"


def test_a_folder_that_was_removed_is_told_and_not_made_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    monitor = TrialMonitor(str(out), out.stat(), 60)
    out.rmdir()
    monitor.save(monitor.begin("t", ONE).ticket, b"state")
    assert monitor.check(False).storage_error == REMOVED
    assert not out.exists()


def trials(count: int) -> list[Trial]:
    return [Trial.of({"seed": seed}) for seed in range(count)]


def test_units_are_fed_in_order_and_lost_ones_come_first_a_bounded_number_of_times() -> None:
    feed = Feed(trials(3), 0)
    assert [feed.next(), feed.next()] == [0, 1]
    for _ in range(RETRIES):
        assert feed.record_loss(0)
        feed.start_chunk()
        assert feed.next() == 0
    assert not feed.record_loss(0)
    feed.start_chunk()
    assert feed.next() == 2
    assert feed.next() is None


def test_no_more_than_asked_for_run_at_once() -> None:
    feed = Feed(trials(3), 1)
    feed.running["tune"] = feed.next() or 0
    assert feed.next() is None
    assert not feed.over


def test_a_loss_among_short_trials_ends_the_chunk_and_among_long_ones_does_not() -> None:
    for seconds, drained in ((2.0, True), (3600.0, False)):
        feed = Feed(trials(5), 0)
        feed.next()
        feed.seconds.append(seconds)
        feed.record_loss(0)
        assert feed.drained is drained


def test_a_loss_where_one_runs_at_a_time_ends_the_chunk_since_its_node_may_be_lost_too() -> None:
    feed = Feed(trials(5), 1)
    feed.next()
    feed.seconds.append(3600.0)
    feed.record_loss(0)
    assert feed.drained


@pytest.mark.parametrize(
    ("resources", "nodes", "bundles"),
    [
        (Resources(), [(4, 0)], [{"CPU": 1.0, "GPU": 0.0}]),
        (Resources(exclusive=True), [(4, 0), (16, 0), (8, 0)], [{"CPU": 1.0, "GPU": 0.0}, {"CPU": 15.0}]),
        (Resources(cpus=0.3, exclusive=True), [(2, 0)], [{"CPU": 0.3, "GPU": 0.0}, {"CPU": 1.7}]),
        (Resources(cpus=2, exclusive=True), [(2, 0)], [{"CPU": 2, "GPU": 0.0}]),
        (Resources(gpus=1, exclusive=True), [(4, 1), (16, 0)], [{"CPU": 1.0, "GPU": 1}, {"CPU": 3.0}]),
    ],
)
def test_an_exclusive_unit_reserves_all_of_the_largest_node_that_fits_it(
    resources: Resources, nodes: list[tuple[float, float]], bundles: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = [{"Alive": True, "Resources": {"CPU": cpus, "GPU": gpus}} for cpus, gpus in nodes]
    gone = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
    monkeypatch.setattr(fitting.ray, "nodes", lambda: [*alive, gone])
    assert fitting._bundles(resources) == bundles
    assert resources.at_once == (1 if resources.exclusive else 0)
    assert resources.threads == max(1, int(resources.cpus))


@pytest.mark.parametrize(("started", "lines"), [(False, 1), (True, 0)])
def test_that_no_trial_starts_is_told_once(started: bool, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    collector = Collector(
        SimpleNamespace(check=SimpleNamespace(remote=lambda stopping: None)),
        pytest.fail,
        SimpleNamespace(lost=pytest.fail, waits=lambda: told.append(1)),
        lambda: False,
        lambda config: [],
    )
    now = time.monotonic()
    if started:
        collector.on_trial_start(0, [], None)
    for later in (0, WAIT_SECONDS - 5, WAIT_SECONDS + 5, 3 * WAIT_SECONDS):
        monkeypatch.setattr(feeding, "time", SimpleNamespace(monotonic=lambda later=later: now + later))
        collector.on_step_begin(0, [])
    assert len(told) == lines


@pytest.mark.parametrize(
    ("started", "after", "now", "ends"),
    [
        (False, WAIT_SECONDS + 1, [{"CPU": 1}], True),
        (False, WAIT_SECONDS + 1, [{"CPU": 2}], False),
        (False, WAIT_SECONDS - 5, [{"CPU": 1}], False),
        (True, WAIT_SECONDS + 1, [{"CPU": 1}], False),
    ],
)
def test_a_run_ends_whose_node_is_gone_before_a_unit_has_started(
    started: bool, after: float, now: object, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, wanted = Feed(trials(3), 1), iter([[{"CPU": 2}], now])
    feed.running["a"] = feed.next() or 0
    stopper = NoRoom(SimpleNamespace(feed=feed, started=started), lambda: next(wanted))  # type: ignore[arg-type]
    later = time.monotonic() + after
    monkeypatch.setattr(feeding, "time", SimpleNamespace(monotonic=lambda: later))
    assert stopper.stop_all() is ends
    assert list(feed.waiting) == ([0, 1, 2] if ends else [1, 2])
    assert stopper.stop_all() is False


def test_what_is_waited_for_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for exclusive in (True, False):
        remaining = Remaining(Plan((), (), ()), {}, 0, 1, speeds_beside(tmp_path, "cpu", 1))
        Progress(Plan((), (), ()), {}, remaining, exclusive=exclusive).waits()
    assert capsys.readouterr().out == "waiting for a node without other trials\nwaiting for free CPUs\n"


def test_a_worker_that_is_lost_after_its_outcome_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    feed, stored, told = Feed(trials(2), 0), [], []
    collector = Collector(
        None,
        lambda outcome, retries: stored.append((outcome.trial, retries)),
        SimpleNamespace(lost=lambda lost, reason: told.append(lost), waits=pytest.fail),
        lambda: False,
        lambda config: trials(1),
        feed,
    )
    monkeypatch.setattr(collector, "_forget", lambda trial: (trials(1), "it does not answer"))
    of_tune = SimpleNamespace(trial_id="a", num_failures=0)
    feed.running["a"] = feed.next()
    outcome = replace(error_outcome(trials(1)[0], "", 0.0), measured={"seconds": 1.0})
    collector.on_trial_result(1, [], of_tune, {"outcomes": [outcome]})
    collector.on_trial_error(2, [], of_tune)
    assert (stored, told) == ([(outcome.trial, 0)], [])
    assert (list(feed.waiting), feed.lost_workers) == ([1], 1)
    feed.start_chunk()
    feed.running["b"] = feed.next()
    collector.on_trial_error(3, [], SimpleNamespace(trial_id="b", num_failures=0))
    assert (list(feed.waiting), feed.losses, told) == ([1], [0, 1], trials(1))


def test_a_chunk_ends_and_the_next_goes_on() -> None:
    feed = Feed(trials(CHUNK + 1), 0)
    assert sum(feed.next() is not None for _ in range(CHUNK + 1)) == CHUNK
    assert feed.over
    feed.start_chunk()
    assert feed.next() == CHUNK


IDENTITY = {
    "study": "s",
    "hash": "abc",
    "created": "now",
    "dataset": "digits",
    "title": "How sensitive is it?",
    "command": "python studies/s.py",
    "question": "How sensitive?",
    "protocol": "digits",
    "rules": "1",
    "seeds": [0, 1, 2, 3],
    "configuration": {"ipc": 1},
}


def journal_with(out: Path, planned: int, done: int) -> Journal:
    from studies.engine.arms import Arm, Setting

    journal = Journal(out, IDENTITY)
    hashes = tuple(trial.hash for trial in trials(planned))
    journal.write_settings([Setting(0, Arm("dm", "dm"), trials=hashes)])
    for seed in range(done):
        measured = {"seconds": 1.0, "ended": 100.0 + 2 * seed}
        journal.add(Outcome(trials(planned)[seed], {"status": "ok"}, measured=measured), 1 if seed == 0 else 0)
    return journal


def test_status_of_a_study_that_runs_stands_and_is_finished(tmp_path: Path) -> None:
    journal = journal_with(tmp_path, 4, 3)
    monitor = TrialMonitor(str(tmp_path), tmp_path.stat(), 60)
    monitor.begin(trials(4)[3].hash, ONE)
    monitor.check(False)
    with open(tmp_path / "rows.jsonl", "ab") as file:
        file.write(b'{"trial": "being wri')
    state, lines = study_status(tmp_path, time.time())
    assert state == RUNNING
    told = "\n".join(lines)
    assert "3 of 4 planned trials done: 3 to the end" in told
    assert "2.0 s per trial, 0:02 left" in told
    assert "trials restarted after losing their worker: 1" in told
    assert "running: DM · seed 3 for " in told
    assert "(on host, process 10, last heartbeat " in told
    journal.close()
    state, lines = study_status(tmp_path, time.time())
    assert state == INCOMPLETE
    assert lines[-1] == "1 planned trial left to run; run the same command again to continue"
    whole = journal_with(tmp_path / "whole", 2, 2)
    whole.close()
    assert study_status(tmp_path / "whole", time.time())[0] == FINISHED


@pytest.mark.parametrize(
    ("ended", "workers", "told"),
    [
        ([600.0, 610.0], 2, "pace: 305.0 s per trial, 30:30 left"),
        ([100.0 * k for k in range(1, 13)], 1, "pace: 100.0 s per trial, 10:00 left"),
        (
            [600.0 + 10 * k for k in range(4)] + [1210.0 + 10 * k for k in range(4)],
            4,
            "pace: 155.0 s per trial, 15:30 left",
        ),
    ],
)
def test_a_pace_is_no_interval_between_trials_that_began_together(ended: list[float], workers: int, told: str) -> None:
    lasting = [600.0 if workers > 1 else 100.0] * len(ended)
    rows = [
        Row.read(Outcome(one, {"status": "ok"}, measured={"seconds": seconds, "ended": end}).row)
        for one, seconds, end in zip(trials(len(ended)), lasting, ended, strict=True)
    ]
    assert pace_lines(rows, 6, workers) == [told]
    assert pace_lines(rows[:1], 6, workers) == []


def test_status_says_what_failed_and_why(tmp_path: Path) -> None:
    journal = journal_with(tmp_path, 4, 2)
    reason = "RuntimeError: out of memory"
    journal.add(Outcome(trials(4)[2], {"status": "error", "reason": reason}, measured={"seconds": 1.0}), 0)
    found = {"memorising": {"failed": True, "value": 0.3, "threshold": 0.2}}
    journal.add(
        Outcome(
            trials(4)[3], {"status": "ok", "failures": found, "failed_by": ["memorising"]}, measured={"seconds": 1.0}
        ),
        0,
    )
    journal.close()
    state, lines = study_status(tmp_path, time.time())
    assert state == WITH_ERRORS
    assert "4 of 4 planned trials done: 3 to the end, 1 in an error" in lines
    assert f"ended in an error: DM · seed 2: {reason}" in lines
    assert "failure modes so far: memorising (1); the report says what each means" in lines
    assert lines[-1] == "finished, 1 in an error: the same command runs them again"


@pytest.mark.parametrize("text", ["{", "[]", '{"running": [{"trial": 3}]}', "\0" * 99])
def test_status_says_that_running_json_is_damaged(text: str, tmp_path: Path) -> None:
    journal = journal_with(tmp_path, 4, 3)
    (tmp_path / "running.json").write_text(text)
    state, lines = study_status(tmp_path, time.time())
    journal.close()
    assert state == RUNNING
    assert [line for line in lines if line.startswith("running: unknown, running.json cannot be read (")]


def test_status_of_files_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    journal_with(tmp_path, 1, 1).close()
    (tmp_path / "lock").unlink()
    (tmp_path / "lock").mkdir()
    with pytest.raises(InputError, match="lock cannot be read: Is a directory"):
        study_status(tmp_path, 0.0)


def test_status_of_a_study_with_trials_in_error_is_not_that_of_a_finished_one(tmp_path: Path) -> None:
    journal = journal_with(tmp_path, 2, 1)
    journal.add(error_outcome(trials(2)[1], "ValueError: no", 1.0), 0)
    assert study_status(tmp_path, time.time())[0] == RUNNING
    journal.close()
    state, lines = study_status(tmp_path, time.time())
    assert state == WITH_ERRORS
    assert lines[-2].endswith("ValueError: no")
    assert lines[-1] == "finished, 1 in an error: the same command runs them again"


def test_status_of_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no study"):
        study_status(tmp_path, 0.0)
