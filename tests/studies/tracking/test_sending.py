"""The process that sends a study's rows: whatever dies, MLflow is complete after the next one."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from shlex import quote
from typing import Any

import pytest
from held import begun, runs, sending, tracked, until  # type: ignore[import-not-found]
from mlflow import MlflowClient
from mlflow.entities import ViewType
from small_study import Study, row  # type: ignore[import-not-found]

from studies.engine.folder import StudyFolder, read_settings, read_study
from studies.engine.tracking import sync
from studies.engine.tracking.opening import open_view
from studies.engine.tracking.sending import Sender

# MLflow 3.17 under SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@contextmanager
def sender(study: Study, uri: str, said: list[str]) -> Iterator[Sender]:
    """What the process does, in a thread of this one."""
    about = read_study(study.path)
    folder = StudyFolder(study.path, about, read_settings(study.path))
    one = Sender(study.path, lambda: open_view(uri, folder, live=True), said.append)
    thread = threading.Thread(target=one.work)
    thread.start()
    yield one
    thread.join(60)
    assert not thread.is_alive()


def test_a_request_that_was_obeyed_but_not_answered(study: Study, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study.plan(("design", ["aaaa"]))
    study.write("rows.jsonl", "")
    said: list[str] = []
    create, times = MlflowClient.create_run, []

    def obeyed(client: MlflowClient, experiment: str, start: int, tags: dict[str, str], name: str) -> Any:
        times.append(create(client, experiment, start, tags, name))
        if "mim4dd.trial" in tags and len(times) == 2:
            raise TimeoutError("no answer")
        return times[-1]

    monkeypatch.setattr(MlflowClient, "create_run", obeyed)
    with sender(study, uri, said) as sends:
        study.add(row("aaaa"))
        until(lambda: said)
        sends.finish("KILLED")
    assert len(times) == 2
    assert len(said) == 1
    assert "no answer" in said[0]
    parent, children = runs(uri)
    assert (parent.info.status, [run.info.status for run in children]) == ("KILLED", ["FINISHED"])


def test_a_failing_server_is_said_and_made_good(study: Study, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study.plan(("design", ["aaaa", "bbbb"]))
    said: list[str] = []
    with monkeypatch.context() as patch:

        def gone(*given: Any, **named: Any) -> None:
            raise ConnectionError("server gone\nwith details")

        for name in ("create_run", "log_batch", "search_runs"):
            patch.setattr(MlflowClient, name, gone)
        for name in ("aaaa", "bbbb"):
            study.add(row(name))
        study.answer()
        with sender(study, uri, said) as sends:
            until(lambda: said)
            sends.finish("FINISHED")
    assert said == ["MLflow does not take what it is sent (server gone); the study goes on, rows are on disk"]
    assert (len(sends.waiting), sends.reported) == (2, False)
    assert sync(study.path, uri) == 2
    assert runs(uri)[0].info.status == "FINISHED"


def test_a_row_is_sent_once_it_is_whole_and_the_later_of_two_rows_of_a_trial(study: Study, uri: str) -> None:
    study.plan(("design", ["aaaa", "bbbb"]))
    study.add(row("aaaa", status="error", reason="out of memory"))
    study.add(row("aaaa"))
    said: list[str] = []
    line = json.dumps(row("bbbb", seed=1)) + "\n"
    with (study.path / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write(line[:40])
    with sender(study, uri, said) as sends:
        until(lambda: begun(uri))
        until(lambda: [run.info.status for run in runs(uri)[1]] == ["FINISHED"])
        time.sleep(1.2)  # it has looked again
        assert not sends.waiting
        with (study.path / "rows.jsonl").open("a", encoding="utf-8") as file:
            file.write(line[40:])
        sends.finish("KILLED")
    assert [run.info.status for run in runs(uri)[1]] == ["FINISHED", "FINISHED"]
    assert not said
    deleted = MlflowClient(uri).search_runs(["1"], run_view_type=ViewType.DELETED_ONLY)
    assert not deleted


@pytest.mark.slow
def test_another_process_goes_on_in_place_of_a_killed_one(study: Study, uri: str) -> None:
    study.plan(("design", ["aaaa", "bbbb"]))
    study.add(row("aaaa"))
    said: list[str] = []
    tracker = tracked(study, uri, said)
    tracker.start()
    until(lambda: len(runs(uri)[1]) == 1)
    (process,) = sending(study.path)
    os.kill(process, signal.SIGKILL)
    until(lambda: said)
    study.add(row("bbbb", seed=1))
    tracker.finish()
    tracker.close()
    assert said == ["the process that sends to MLflow has ended (status -9); another will go on with it"]
    assert [run.info.status for run in runs(uri)[1]] == ["FINISHED", "FINISHED"]
    assert not sending(study.path)


@pytest.mark.slow
def test_a_process_that_says_nothing_holds_nobody_up(study: Study, uri: str) -> None:
    study.plan(("design", ["aaaa"]))
    study.write("rows.jsonl", "")
    said: list[str] = []
    tracker = tracked(study, uri, said)
    tracker.start()
    (process,) = sending(study.path)
    os.kill(process, signal.SIGSTOP)
    study.add(row("aaaa"))
    began = time.monotonic()
    tracker.finish("killed", within_seconds=0.5)
    tracker.close()
    assert time.monotonic() - began < 25
    assert len(said) == 1
    assert said[0].startswith("Finished trials did not reach MLflow; they are safe on disk. Send them with: python -m ")
    assert f"studies.engine.tracking sync {study.path} --tracking-uri {quote(uri)}" in said[0]
    assert not sending(study.path)
    assert sync(study.path, uri) == 1


def test_a_database_that_another_program_holds_is_waited_for_no_longer_than_was_given(study: Study, uri: str) -> None:
    study.plan(("design", ["aaaa"]))
    study.write("rows.jsonl", "")
    said: list[str] = []
    tracker = tracked(study, uri, said)
    tracker.start()
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        study.add(row("aaaa"))
        began = time.monotonic()
        tracker.finish(within_seconds=1.0)
        tracker.close()
        assert time.monotonic() - began < 25
    assert said[-1].startswith("1 finished trial did not reach MLflow; they are safe on disk.")
    assert not sending(study.path)
    assert sync(study.path, uri) == 1


DRIVER = """
import sys, time
from pathlib import Path
from studies.engine.tracking import Tracker
tracker = Tracker(sys.argv[2], Path(sys.argv[1]))
tracker.start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_the_process_ends_with_its_driver_and_the_next_one_completes_mlflow(study: Study, uri: str) -> None:
    trials = [f"{number:04d}" for number in range(12)]
    study.plan(("design", trials))
    for trial in trials:
        study.add(row(trial))
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(study.path), uri], stdout=subprocess.PIPE)
    assert driver.stdout is not None
    with driver:
        driver.stdout.readline()
        until(lambda: runs(uri)[1])
        assert sending(study.path)
        driver.kill()
    until(lambda: not sending(study.path), 25)
    assert runs(uri)[0].info.status == "RUNNING"
    tracker = tracked(study, uri)
    tracker.start()
    tracker.finish("killed")
    tracker.close()
    assert [run.data.tags["mim4dd.trial"] for run in runs(uri)[1]] == trials
    assert {run.info.status for run in runs(uri)[1]} == {"FINISHED"}
