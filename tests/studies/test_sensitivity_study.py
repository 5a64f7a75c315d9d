"""The main job as a user runs it: a real Ray cluster, real MLflow, real kills."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from harness import SHORT, raw_rows, rows  # type: ignore[import-not-found]

from mim4dd.data import load
from mim4dd.information import Reference
from studies.engine.command import main
from studies.engine.folder import StudyFolder
from studies.sensitivity import STUDY

SCRIPT = Path(__file__).parents[2] / "studies" / "sensitivity.py"
pytestmark = pytest.mark.ray
# What a study that ran to its end left: half a minute alone, far more beside another process of tests.
after_a_study = pytest.mark.slow


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(asked, cwd=folder, capture_output=True, text=True, timeout=200, check=False)


@after_a_study
def test_every_trial_is_a_row_and_the_answer_stands_in_out(finished: Path) -> None:
    out = finished / "out"
    found = rows(out)
    assert len(found) == 1 + 2 * (5 + 1)
    assert all(row["result"]["status"] == "ok" for row in found.values())
    for trial, row in found.items():
        left = {path.name for path in (out / "trials" / trial).iterdir()}
        wanted = {"history.json", "synthetic.png"}
        assert left == (wanted if row["config"]["method"] == "full" else wanted | {"synthetic.safetensors"})
    reference = Reference.load(out / "inputs" / "reference.safetensors", load("digits"))
    assert json.loads((out / "study.json").read_text())["reference_accuracy"] == reference.accuracy > 0.9
    report = (out / "report.html").read_text()
    assert report.count("data:image/png;base64,") == len(list((out / "figures").glob("*.png"))) >= 3
    assert "http" not in report.split("<body>")[0], "the report loads nothing from elsewhere"
    answer = (out / "answer.md").read_text()
    assert "The gain of DM + MIM4DD (default) over DM is " in answer
    assert "points [" in answer
    assert "2 pairs are too few to decide" in answer
    assert "As strong as DM (ρ = 1), all other knobs being the same, the term is " in answer
    assert "/13]" in (finished / "log").read_text()


@after_a_study
def test_what_it_took_is_said_beside_its_forecast(finished: Path) -> None:
    found = json.loads((finished / "out" / "forecast.json").read_text())
    measured = [row["measured"] for row in raw_rows(finished / "out")]
    assert found["trials"] == len(measured) == 13
    assert found["worker_seconds"] == pytest.approx(sum(m["seconds"] - m["waited_seconds"] for m in measured))
    assert found["wall_seconds"] > found["worker_seconds"] / found["workers"]
    lines = [line for line in (finished / "log").read_text().splitlines() if line.startswith("forecast ")]
    assert len(lines) == 1
    assert " of one worker's time for these 13 trials, they took " in lines[0]
    assert f" in all on {found['workers']} workers, it took " in lines[0] or found["workers"] == 1


@after_a_study
def test_the_same_command_runs_nothing_twice(finished: Path) -> None:
    before = (finished / "out" / "rows.jsonl").read_bytes()
    ended = run(finished, *SHORT, "--out", "out")
    assert ended.returncode == 0, ended.stderr
    assert "13 trials have a row already" in ended.stdout
    assert "forecast " not in ended.stdout
    assert (finished / "out" / "rows.jsonl").read_bytes() == before


@after_a_study
def test_mlflow_holds_the_parent_and_a_child_for_each_trial(finished: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    experiments = [e for e in client.search_experiments() if e.name != "Default"]
    assert len(experiments) == 1
    found = client.search_runs([experiments[0].experiment_id], max_results=1000)
    assert len(found) == 14
    assert sum("mlflow.parentRunId" in one.data.tags for one in found) == 13


@after_a_study
def test_optuna_has_every_setting_with_its_mean_once(finished: Path) -> None:
    from studies.engine.dashboard import open_storage

    found = open_storage(finished / "out" / "optuna.journal", "sensitivity").get_trials()
    assert sorted(one.user_attrs["role"] for one in found) == ["design"], (
        "a default without balance is no point of this space"
    )
    by_setting = {setting.setting: setting for setting in StudyFolder.read(finished / "out").settings}
    kept = rows(finished / "out")
    for one in found:
        trials = by_setting[one.user_attrs["setting"]].trials
        means = [sum(v := kept[trial]["result"]["validation_accuracy"]) / len(v) for trial in trials]
        assert one.value == pytest.approx(sum(means) / len(means))


@after_a_study
def test_another_study_is_refused_in_the_same_folder(finished: Path) -> None:
    ended = run(finished, *SHORT, "--out", "out", "--ipc", "2")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "holds another study" in ended.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "digit"], "did you mean 'digits'"),
        (["--base", "dn"], "unknown method 'dn'; did you mean 'dm'"),
        (["--base", "random"], "must be a method that matches"),
        (["--set", "temperature=0"], "must be in (0, inf)"),
        (["--range", "temperature=2:1"], "low < high"),
        (["--ipc", "500"], "smallest class"),
        (["--dataset", "npz:nix.npz"], "nix.npz cannot be read: No such file"),
        (["--dataset", "mnist", "--data-root", "nix"], "--download"),
        (["--out", "/proc/nix"], "cannot be written"),
        (["--protocol", "papers"], "did you mean 'paper'"),
        (["--address", "nowhere"], "HOST:PORT"),
        (["--set", "method=dm"], "the method is no knob; give --base dm"),
        (["--set", "weight=0"], "leave the weight free"),
        (["--set", "source=npz"], "--dataset"),
    ],
)
def test_bad_input_is_one_line_and_status_2_before_ray_starts(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    began = time.monotonic()
    assert main(STUDY, words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1, said
    assert message in said
    assert time.monotonic() - began < 40  # four times the promise: other tests may keep the machine busy


def test_notes_on_the_data_are_printed_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(40, 8, 8), dtype=np.uint8)
    labels = np.arange(40) % 2
    arrays = {"train_images": images, "train_labels": labels, "test_images": images[:4], "test_labels": labels[:4]}
    np.savez(tmp_path / "toy.npz", **arrays)
    monkeypatch.chdir(tmp_path)
    assert main(STUDY, ["--dataset", "npz:toy.npz", "--ipc", "500", "--offline"]) == 2
    assert "test images that are also training images, pixel for pixel: 4 of 4;" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--address", "127.0.0.1:1"], "no Ray cluster answers"),
        (["--tracking-uri", "http://127.0.0.1:1"], "127.0.0.1:1"),
    ],
)
def test_no_cluster_or_tracking_server_at_the_address(words: list[str], message: str, tmp_path: Path) -> None:
    began = time.monotonic()
    ended = run(tmp_path, *words)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert message in ended.stderr
    assert time.monotonic() - began < 40
    assert not list(tmp_path.glob("runs/*/trials/*"))


def test_help_and_dry_run_import_neither_torch_nor_ray(tmp_path: Path) -> None:
    for words in (["--help"], ["--dry-run"]):
        ended = subprocess.run(
            [sys.executable, "-X", "importtime", str(SCRIPT), *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
        assert imported.isdisjoint({"torch", "ray", "mlflow", "torchvision"})
    assert "100 trials of 15 settings" in ended.stdout
    assert not any(tmp_path.iterdir())
