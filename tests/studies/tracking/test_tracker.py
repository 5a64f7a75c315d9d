"""MLflow holds what the folder holds, once, whatever went wrong on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from held import content, files, runs, sending, tracked, until  # type: ignore[import-not-found]
from mlflow import MlflowClient
from small_study import Study, row  # type: ignore[import-not-found]

from mim4dd.errors import InputError
from studies.engine.tracking import sync
from studies.engine.tracking.__main__ import main

# MLflow 3.17 under SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_a_study(study: Study, uri: str) -> None:
    study.plan(("default", ["aaaa"]), ("design", ["bbbb"]))
    tracker = tracked(study, uri)
    tracker.start()
    assert runs(uri)[0].info.status == "RUNNING"
    study.add(row("aaaa"))
    until(lambda: [run.info.status for run in runs(uri)[1]] == ["FINISHED"])
    lost = {"validation_accuracy": None, "validation_recall": None, "label_agreement_nats": None}
    study.add(row("bbbb", seed=1, status="diverged", reason="not finite", diverged_at=52, **lost))
    study.answer()
    tracker.finish()
    tracker.close()
    assert not sending(study.path)

    parent, (good, bad) = runs(uri)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"gain_over_base": 0.1}
    assert parent.info.run_name == "sensitivity · digits · 3f2a9c01"
    assert "The temperature matters most." in parent.data.tags["mlflow.note.content"]
    assert "map.png" not in parent.data.tags["mlflow.note.content"]
    assert {"answer.md", "report.html", "rows.jsonl", "figures", "tables"} <= files(uri, parent)
    assert files(uri, parent, "figures") == {"figures/map.png"}

    assert (good.info.status, good.info.run_name) == ("FINISHED", "DM + MIM4DD (default) · seed 0")
    assert (good.info.start_time, good.info.end_time) == (1_000_000, 1_002_000)
    expected = {"dataset": "digits", "method": "mim", "seed": "0", "protocol": "digits", "git_commit": "abc123"}
    assert expected.items() <= good.data.tags.items()
    assert good.data.params["temperature"] == "0.1"
    assert good.data.metrics["validation_accuracy"] == pytest.approx(0.85)
    history = MlflowClient(uri).get_metric_history(good.info.run_id, "loss/dm")
    assert [(m.step, m.value) for m in history] == [(0, 3.0), (4, 0.6), (99, 0.03)]
    assert files(uri, good) == {"synthetic.png", "synthetic.safetensors", "history.json"}
    held = Path(uri.removeprefix("sqlite:///")).parent / "mlruns" / "mim4dd-sensitivity"
    assert good.info.artifact_uri.startswith(held.as_uri())
    assert (held / good.info.run_id / "artifacts" / "synthetic.png").is_file()

    assert bad.info.status == "FAILED"
    assert bad.data.tags["reason"] == "not finite"
    assert bad.data.tags["dummy"] == "0.25"
    assert "validation_accuracy" not in bad.data.metrics

    before = content(uri)
    assert sync(study.path, uri) == 0
    assert content(uri) == before


def test_modes_that_only_paired_trials_show_are_tags_of_their_trials(study: Study, uri: str) -> None:
    study.plan(("default", ["aaaa"]), ("design", ["bbbb", "cccc"]))
    study.add(row("aaaa", failed_by=[]))
    study.add(row("bbbb", seed=1, failed_by=["term_idle"]))
    study.add(row("cccc", seed=0, failed_by=[]))
    study.answer()
    study.write("failures.json", json.dumps({"aaaa": ["no_gain"], "bbbb": ["no_gain", "below_random"]}))
    sync(study.path, uri)
    told = [run.data.tags["failed_by"] for run in runs(uri)[1]]
    assert told == ["no_gain", "below_random, no_gain, term_idle", "none"]

    study.write("failures.json", json.dumps({"cccc": ["unstable", "label_lost"]}))
    sync(study.path, uri)
    told = [run.data.tags["failed_by"] for run in runs(uri)[1]]
    assert told == ["none", "term_idle", "label_lost, unstable"]


@pytest.mark.parametrize("point", ["log_batch", "log_artifact", "set_terminated"])
def test_a_crash_at_any_point_leaves_no_duplicates(
    study: Study, uri: str, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    study.plan(("design", ["aaaa", "bbbb"]))
    study.add(row("aaaa"))
    sync(study.path, uri)
    study.add(row("bbbb", seed=1))
    with monkeypatch.context() as patch:

        def crash(*given: Any, **named: Any) -> None:
            raise OSError("pulled the plug")

        patch.setattr(MlflowClient, point, crash)
        with pytest.raises(InputError, match="stopped taking rows after 0 of 2: pulled the plug"):
            sync(study.path, uri)
    assert [run.info.status for run in runs(uri)[1]] == ["FINISHED", "RUNNING"]
    assert sync(study.path, uri) == 1
    _, children = runs(uri)
    assert [run.info.status for run in children] == ["FINISHED", "FINISHED"]
    assert len(MlflowClient(uri).get_metric_history(children[1].info.run_id, "loss/dm")) == 3
    assert files(uri, children[1]) == {"synthetic.png", "synthetic.safetensors", "history.json"}


@pytest.mark.slow
def test_a_resumed_study_sends_what_is_on_disk(study: Study, uri: str) -> None:
    study.plan(("design", ["aaaa", "bbbb"]))
    study.add(row("aaaa"))
    for _ in range(2):
        tracker = tracked(study, uri)
        tracker.start()
        tracker.finish("failed")
        tracker.close()
    assert [run.data.tags["mim4dd.trial"] for run in runs(uri)[1]] == ["aaaa"]


def test_a_trial_that_was_run_again_replaces_its_run(study: Study, uri: str) -> None:
    study.plan(("design", ["aaaa"]))
    study.add(row("aaaa", status="error", reason="out of memory"))
    sync(study.path, uri)
    study.add(row("aaaa"))
    assert sync(study.path, uri) == 1
    (child,) = runs(uri)[1]
    assert child.info.status == "FINISHED"


def test_doubled_runs_become_one(study: Study, uri: str) -> None:
    study.plan(("design", ["aaaa"]))
    study.add(row("aaaa"))
    sync(study.path, uri)
    (child,) = runs(uri)[1]
    MlflowClient(uri).create_run(child.info.experiment_id, 5, {**child.data.tags, "mlflow.runName": "twin"})
    assert sync(study.path, uri) == 0
    assert [run.info.run_id for run in runs(uri)[1]] == [child.info.run_id]


def test_a_deleted_experiment_comes_back(study: Study, uri: str) -> None:
    study.plan(("design", ["aaaa"]))
    study.add(row("aaaa"))
    sync(study.path, uri)
    client = MlflowClient(uri)
    client.delete_experiment(runs(uri)[0].info.experiment_id)
    assert sync(study.path, uri) == 0
    assert len(runs(uri)[1]) == 1


def test_the_command(study: Study, uri: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    study.plan(("design", ["aaaa", "bbbb"]))
    study.add(row("aaaa"))
    with (study.path / "rows.jsonl").open("a") as file:
        file.write('{"trial": "bb')
    assert main(["sync", str(study.path), "--tracking-uri", uri]) == 0
    told = capsys.readouterr().out
    assert "1 of 1 finished trials sent, 0 were there" in told
    assert "not finished (1 of 2 trials)" in told
    for wrong in (tmp_path / "nothing", tmp_path):
        assert main(["sync", str(wrong), "--tracking-uri", uri]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    study.write("rows.jsonl", "no row\n")
    assert main(["sync", str(study.path), "--tracking-uri", uri]) == 2
    assert "rows.jsonl:1 is no row" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("trials/aaaa/history.json", "{", "restore it, or move it away"),
        ("trials/aaaa/history.json", '[{"loss": "x"}]', "restore it, or move it away"),
        ("summary.json", "[]", "write it again: python -m studies.answers"),
        ("failures.json", '{"aaaa": 3}', "write it again: python -m studies.answers"),
    ],
)
def test_a_damaged_file_of_the_folder_is_one_line_that_does_not_blame_mlflow(
    name: str, content: str, remedy: str, study: Study, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study.plan(("design", ["aaaa"]))
    study.add(row("aaaa"))
    study.answer()
    study.write(name, content)
    assert main(["sync", str(study.path), "--tracking-uri", uri]) == 2
    told = capsys.readouterr().err
    assert f"{study.path / name} cannot be read" in told
    assert remedy in told
    assert "MLflow" not in told
    assert told.count("\n") == 1
