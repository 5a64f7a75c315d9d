"""The prepared views open with what a study varied; descriptions, data sets and the link to a view."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

import pytest
from mlflow import MlflowClient
from small_study import Study, row  # type: ignore[import-not-found]

from studies.engine.arms import Arm, Setting
from studies.engine.conditions import Condition, training_data
from studies.engine.folder import StudyFolder
from studies.engine.rows import Row
from studies.engine.tracking import Tracker, browser, describe, mlflow_fields, sync, varied
from studies.engine.tracking.__main__ import main

# MLflow 3.17 under SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
RESULTS = Path(__file__).parents[3] / "docs" / "results"
NOISE = Condition("symmetric:rate=0.4", "symmetric 0.4", "symmetric", 0.4, ("label noise",))
IMBALANCE = Condition("exponential:factor=100", "exponential 100", "exponential", 100.0, ("imbalance",))
BASE = Arm("dm", "mim", {"method.base": "dm", "method.weight": 0.0}, role="base")

OWN = {
    "sensitivity-digits": ["Log10 temperature", "Log10 strength", "Log10 layer_decay", "embedding"],
    "noise-digits": ["Symmetric noise", "Pairflip noise", "Method", "Training data", "seconds"],
    "imbalance-digits": ["Log10 exponential imbalance", "Log10 step imbalance", "Method", "Training data"],
    "baselines-digits": ["Method", "seconds"],
    "fidelity-mnist-term": ["Method", "seconds"],
}


def view(name: str, *, means: bool = False) -> dict[str, Any]:
    text = browser.state(StudyFolder.read(RESULTS / name), "abc", means=means)
    assert len(text) < 20_000  # MLflow takes no longer tag on an experiment
    content: dict[str, Any] = json.loads(text)
    return content


@pytest.mark.parametrize("name", OWN)
def test_a_study_opens_with_its_own_axes(name: str) -> None:
    content = view(name)
    charts = [chart for chart in content["compareRunCharts"] if chart["metricSectionId"] == "varied"]
    assert set(OWN[name]) <= {chart["xaxis"]["key"] for chart in charts if chart["type"] == "SCATTER"}
    parallel = [chart for chart in charts if chart["type"] == "PARALLEL"]
    assert bool(parallel) == name.startswith("sensitivity")
    assert all(chart["selectedParams"] for chart in parallel)
    columns = [text.partition("`")[2].rstrip("`") for text in content["selectedColumns"]]
    assert columns[0] == ("temperature" if parallel else "Method")
    assert content["columnOrder"] == content["selectedColumns"]


def test_means_over_seeds_are_grouped_by_method_and_level() -> None:
    content = view("noise-digits", means=True)
    assert [one["groupByData"] for one in content["groupBy"]["groupByKeys"]] == ["Method", "Training data"]
    assert content["orderByKey"] == "tags.`seed`"
    bars = [chart["metricKey"] for chart in content["compareRunCharts"] if chart["type"] == "BAR"]
    assert bars == ["test_balanced_accuracy"]


def test_curves_are_those_that_the_methods_log() -> None:
    lines = [chart["metricKey"] for chart in view("baselines-digits")["compareRunCharts"] if chart["type"] == "LINE"]
    assert {"loss/dc", "loss/dsa", "loss/mtt", "loss/dm", "loss/mim", "gradient_norm/dc"} <= set(lines)
    assert not {"loss/random", "loss/full", "loss/herding"} & set(lines)
    lines = [chart["metricKey"] for chart in view("fidelity-mnist-term")["compareRunCharts"] if chart["type"] == "LINE"]
    assert [name for name in lines if name.startswith("loss")] == ["loss/dm", "loss/dsa", "loss/dc", "loss/mim"]


def test_places_on_curves_are_those_that_the_data_realised() -> None:
    factor = training_data([Condition(), NOISE, IMBALANCE])
    folder = StudyFolder(Path("out"), {"knobs": {}, "factors": [json.loads(json.dumps(asdict(factor)))]})

    def at(label: str, **result: Any) -> dict[str, str]:
        setting = Setting(0, BASE, {"training data": label}, ("a",))
        return varied.parameters(Row.read(row("a", **result)), setting, folder)

    clean = {"Method": "DM", "Training data": "clean", "Symmetric noise": "0", "Log10 exponential imbalance": "0"}
    assert at("clean") == clean
    realised = {"train_counts": [5, 5], "clean_counts": [5, 5], "perturbed": {"symmetric": {"rate": 0.39}}}
    assert at("symmetric 0.4", **realised)["Symmetric noise"] == "0.39"
    assert at("symmetric 0.4")["Symmetric noise"] == "0.4"
    assert at("exponential 100")["Log10 exponential imbalance"] == "2"
    assert "Symmetric noise" not in at("exponential 100")


def test_the_base_alone_has_no_knobs_of_the_term() -> None:
    term, alone = Row.read(row("a")), Row.read(row("b"))
    alone.config["method.weight"] = 0.0
    knobs = {"method.temperature": {"log": True}, "method.weight": {"log": True}}
    lost = set(mlflow_fields.parameters(term, knobs)) - set(mlflow_fields.parameters(alone, knobs))
    assert lost == {"temperature", "layer_decay", "Log10 temperature", "Log10 weight"}
    assert mlflow_fields.parameters(alone, knobs)["weight"] == "0.0"
    assert mlflow_fields.parameters(alone, knobs)["base.iterations"] == "100"
    assert "method.temperature" in alone.config


def test_a_trial_is_described() -> None:
    folder = StudyFolder(Path("out"), {"command": "python studies/noisy_labels.py"})
    setting = Setting(0, BASE, {"training data": "symmetric 0.4"}, ("a",))
    failures = {"class_collapse": {"value": 2.0, "evidence": "2 classes are lost"}}
    finished = Row.read(row("a", seed=3, failures=failures, train_counts=[5, 5], clean_counts=[5, 5], wrong_labels=0.4))
    text = describe.trial(finished, setting, folder, "class_collapse, no_gain")
    assert text.splitlines() == [
        "**DM**; digits, 1 image per class; training data: symmetric 0.4; 40.0% of the training labels wrong; seed 3.",
        "",
        "Validation accuracy 85.0%, test accuracy 75.0%. Failure modes: class collapse (2 classes are lost); no gain.",
        "",
        "`python studies/noisy_labels.py`",
    ]
    lost = Row.read(row("a", status="diverged", reason="not finite", validation_accuracy=None) | {"report_only": {}})
    assert "It diverged: not finite. It has no accuracy. No failure mode." in describe.trial(
        lost, setting, folder, "none"
    )


def test_the_description_of_a_study_opens_with_its_answer(study: Study) -> None:
    study.write("answer.md", "# How sensitive?\n\nHow sensitive is it?\n\nNot very.\n\n![map](figures/map.png)\n")
    folder = StudyFolder.read(study.path)
    text = describe.parent(folder, "7", describe.answer(folder))
    assert text.startswith("Not very.")
    assert f"viewStateShareKey={browser.key(folder, means=True)}" in text


def test_every_run_has_its_data_set_once(study: Study, uri: str) -> None:
    about = json.loads((study.path / "study.json").read_text())
    conditions = [{**asdict(one), "perturbations": None} for one in (Condition(), NOISE)]
    factor = training_data([Condition(), NOISE]).json()
    about |= {"conditions": conditions, "factors": [factor], "data_digest": "e63841ece4fdcf20"}
    study.write("study.json", json.dumps(about))
    noisy = row("bbbb")
    noisy["config"]["perturb"] = NOISE.text
    levels = [
        Setting(n, BASE, {"training data": label}, (trial,))
        for n, (label, trial) in enumerate((("clean", "aaaa"), ("symmetric 0.4", "bbbb")))
    ]
    study.write("settings.jsonl", "".join(json.dumps(one.json()) + "\n" for one in levels))
    study.add(row("aaaa"))
    study.add(noisy)
    study.answer()
    assert (sync(study.path, uri), sync(study.path, uri)) == (2, 0)
    found = {}
    for run in MlflowClient(uri).search_runs(["1"]):
        (given,) = run.inputs.dataset_inputs
        assert {tag.key: tag.value for tag in given.tags} == {"mlflow.data.context": "training"}
        assert given.dataset.digest == "e63841ece4fdcf20"
        assert "`python studies/sensitivity.py --quick`" in run.data.tags["mlflow.note.content"]
        found[run.data.tags.get("mim4dd.trial", "study")] = given.dataset.name
    assert found == {"study": "digits", "aaaa": "digits", "bbbb": "digits · symmetric 0.4"}


def test_names_that_mlflow_refuses_are_changed(study: Study, uri: str) -> None:
    study.write("summary.json", json.dumps({"DM (batch_real=32)/test_accuracy": 0.5}))
    study.write("answer.md", "Fine.")
    sync(study.path, uri)
    (parent,) = MlflowClient(uri).search_runs(["1"])
    assert parent.data.metrics == {"DM batch_real:32/test_accuracy": 0.5}


def test_the_link_to_the_view(study: Study, uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    study.plan(("design", ["aaaa"]))
    tracker = Tracker(uri, study.path, say=pytest.fail)
    tracker.start()
    tracker.close()
    place = f"#/experiments/1/runs?viewStateShareKey={browser.key(tracker.folder)}&workflowType=machine_learning"
    assert tracker.where().splitlines() == [
        f"runs, curves and pictures: mlflow ui --backend-store-uri {quote(uri)}",
        f"then open http://127.0.0.1:5000/{place}",
    ]
    experiment = MlflowClient(uri).get_experiment("1")
    assert f"mlflow.sharedViewState.{browser.key(tracker.folder)}" in experiment.tags
    assert main(["sync", str(study.path), "--tracking-uri", uri]) == 0
    assert tracker.where() in capsys.readouterr().out
    at_server = browser.where("http://me:secret@host:5000/", "1", tracker.folder)
    assert at_server == f"runs, curves and pictures: http://host:5000/{place}"
