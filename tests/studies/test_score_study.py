"""Scoring a set from a file: what is planned, what a trial measures, what the answer says, and wrong files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mim4dd.data import load
from mim4dd.evaluation import score, train_on
from mim4dd.information import train_reference
from mim4dd.networks import MLP, ConvNet
from mim4dd.records import Splits, Synthetic
from mim4dd.registry import unflatten
from mim4dd.sets import read_set
from mim4dd.train import RECIPES
from studies.answers.score.plan import read_sets
from studies.engine.folder import StudyFolder
from studies.engine.journal import Journal
from studies.engine.judging import judge_of
from studies.engine.metadata import configuration_of, study_metadata
from studies.engine.options import Options, parse_options
from studies.engine.plan import Plan
from studies.engine.runs import Saved
from studies.engine.scoring import ScoringRun, score_trial
from studies.engine.trial import Inputs, Trial
from studies.score import STUDY

SMALL = [
    "--quick",
    *(word for text in ("width=8", "evaluation.epochs=3", "evaluation.networks=2") for word in ("--set", text)),
]
CORRUPT = ["--corrupt", "gaussian_noise:severity=3", "--network", "mlp:width=16", "--recipe", "dc"]


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load("digits")


@pytest.fixture(scope="module")
def file(splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real images of each class in DC's layout, standardised as DC does."""
    train = splits.train
    rows = np.concatenate([np.flatnonzero(train.labels == label)[:2] for label in range(10)])
    images = torch.tensor((train.images[rows] - 0.3) / 0.4)
    path = tmp_path_factory.mktemp("sets") / "res_DC.pt"
    torch.save({"data": [[images, torch.tensor(train.labels[rows])]], "accs_all_exps": {"ConvNet": [0.5]}}, path)
    return path


def planned(file: Path, *words: str) -> tuple[Options[Any], Plan]:
    options = parse_options("", STUDY.script, STUDY.flags, [str(file), *SMALL, *words])
    return options, STUDY.plan(options, configuration_of(STUDY, options))


def of_arm(plan: Plan, key: str) -> list[Trial]:
    trials = {trial.hash: trial for trial in plan.trials}
    return [trials[h] for h in next(setting for setting in plan.settings if setting.arm.key == key).trials]


@pytest.fixture(scope="module")
def inputs(file: Path, splits: Splits) -> Inputs:
    options, _ = planned(file)
    sets, _ = read_sets(options, splits)
    return Inputs(splits, train_reference(splits, ConvNet(width=8), steps=5), sets=sets)


def test_a_trial_holds_one_set_against_every_judge(file: Path) -> None:
    options, plan = planned(file, *CORRUPT)
    assert options.ipc == 2
    (factor,) = plan.factors
    assert [level.view for level in factor.levels] == [
        "",
        "mlp:width=16",
        "convnet:width=8 by dc:epochs=3",
        "gaussian_noise:severity=3",
    ]
    assert {setting.arm.key for setting in plan.settings} == {"res_DC", "random", "full"}
    # One trial a set and seed, whatever the number of judges; full data once.
    assert len(plan.trials) == 5 + 5 + 1
    trial = of_arm(plan, "res_DC")[0]
    assert trial.config["set"].startswith("res_DC@")  # type: ignore[union-attr]
    assert "method" not in trial.config


def test_every_judge_gives_what_evaluate_gives(file: Path, splits: Splits, inputs: Inputs) -> None:
    _, plan = planned(file, *CORRUPT)
    trial = of_arm(plan, "res_DC")[1]
    outcome = score_trial(trial, inputs)
    synthetic, _ = read_set(file, data=splits)
    recipe = unflatten(RECIPES, trial.config, "evaluation")
    judged = outcome.report_only["judged"]
    for view, network, by in (
        ("mlp:width=16", MLP(width=16), recipe),
        ("convnet:width=8 by dc:epochs=3", ConvNet(width=8), judge_of("convnet by dc:epochs=3", recipe).recipe),
    ):
        alone = score(train_on(synthetic, network, by, seed=1), network, synthetic, splits.test)
        assert judged[view]["test_accuracy"] == alone.accuracy.tolist()
    assert len(judged["gaussian_noise:severity=3"]["test_accuracy"]) == 2
    assert "gaussian_noise:severity=3" not in outcome.result["judged"]
    assert {"cpu_seconds", "others_cores", "stolen_cores"} <= json.loads(json.dumps(outcome.row))["measured"].keys()


def test_a_trial_resumes_to_the_same_bits_within_any_judge(file: Path, inputs: Inputs) -> None:
    _, plan = planned(file, *CORRUPT)
    trial = of_arm(plan, "res_DC")[0]
    whole, states = score_trial(trial, inputs), []
    score_trial(trial, inputs, on_step=lambda run: states.append(run.state_dict()))
    for state in (states[1], states[4], states[-1]):
        assert score_trial(trial, inputs, "cpu", Saved(state)).report_only == whole.report_only
    again = score_trial(trial, inputs, "cpu", Saved({"judging": {}, "seconds": 0.0}))
    assert again.report_only == whole.report_only
    assert "checkpoint" in again.measured["restarted"]


def test_the_answer_says_what_is_decided_about_the_file(file: Path, inputs: Inputs, tmp_path: Path) -> None:
    options, plan = planned(file, *CORRUPT)
    configuration = configuration_of(STUDY, options)
    journal = Journal(tmp_path, {**study_metadata(STUDY, options, configuration, plan), "data_digest": ""})
    for trial in plan.trials:
        journal.add(score_trial(trial, inputs), 0)
    journal.write_settings(plan.settings)
    journal.close()
    folder = StudyFolder.read(tmp_path)
    answer = STUDY.answer(folder)
    claims = {claim.id: claim for claim in answer.claims}
    claim = claims["gain/res_DC/mlp:width=16"]
    rows = {(row.config.get("set", row.config.get("method")), row.config["seed"]): row for row in folder.rows.values()}
    name = of_arm(plan, "res_DC")[0].config["set"]
    pairs = [
        np.mean(rows[name, s].judged["mlp:width=16"].test) - np.mean(rows["random", s].judged["mlp:width=16"].test)
        for s in range(5)
    ]
    assert claim.estimate == pytest.approx(np.mean(pairs))
    assert claim.family == "set (res_DC) over random real images"
    assert claim.family_size == 4
    notes = "\n".join(answer.notes)
    assert "A set from a file is one set" in notes
    table = next(table for table in answer.tables if table.name == "judges")
    assert len(table.rows) == 4
    # Full data has one trial, which every judge sees.
    full = claims["mean/test/full/gaussian_noise-3"]
    assert (full.n, full.planned) == (1, 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--ipc", "3"], "--ipc must be left out or 2"),
        (["--network", "mpl"], "unknown network 'mpl'; did you mean 'mlp'?"),
        (["--network", "lenet"], "upsample"),
        (["--recipe", "fast"], "unknown recipe 'fast'"),
        (["--corrupt", "symmetric:rate=0.4"], "--corrupt takes pixel corruptions"),
        (["--which", "4"], "which must be in [0, 0]"),
        (["--base", "dm"], "--base is for studies of one base"),
        (["--set", "temperature=0.5"], "unknown knob 'temperature'"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    words: list[str], told: str, file: Path, refusal: Callable[[Callable[[], object]], str]
) -> None:
    if words == ["--network", "lenet"]:  # 8x8 images are enlarged for it
        _, plan = planned(file, *words)
        assert plan.factors[0].levels[1].view == "lenet:upsample=true"
        return
    assert told in refusal(lambda: planned(file, *words))


def test_files_that_no_study_can_compare_are_refused(
    file: Path, tmp_path: Path, refusal: Callable[[Callable[[], object]], str]
) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, images=np.zeros((10, 8, 8), np.float32), labels=np.arange(10))
    options = [str(file), str(other), *SMALL]
    told = refusal(lambda: parse_options("", STUDY.script, STUDY.flags, options))
    assert "must have as many images per class, of one shape, got" in told
    assert f"{file.stem} " in told
    large = tmp_path / "large.npz"
    np.savez(large, images=np.zeros((10, 20, 20), np.float32), labels=np.arange(10))
    told = refusal(lambda: parse_options("", STUDY.script, STUDY.flags, [str(large), *SMALL]))
    assert told.endswith("digits has images of 8x8, large of 20x20; give --dataset")
    run = tmp_path / "run" / "synthetic.safetensors"
    level, images = np.ones(1, np.float32), np.zeros((10, 1, 20, 20), np.float32)
    classes = tuple("abcdefghij")
    Synthetic(images, np.arange(10), classes, level, level, {"dataset": "npz:mine.npz"}).save(run)
    told = refusal(lambda: parse_options("", STUDY.script, STUDY.flags, [str(run.parent), *SMALL]))
    assert told.endswith("give --dataset npz:mine.npz, of which run is")
    same = tmp_path / "res_DC.pt"
    same.write_bytes(file.read_bytes())
    told = refusal(lambda: parse_options("", STUDY.script, STUDY.flags, [str(file), str(same), *SMALL]))
    assert "must have different names" in told


def test_a_run_in_progress_says_how_far_it_is(file: Path, inputs: Inputs) -> None:
    _, plan = planned(file, *CORRUPT)
    run, told = ScoringRun(of_arm(plan, "random")[0], inputs), []
    run.finish("", lambda run: told.append(run.progress))
    assert told[0] == "judge 1 of 3, epoch 1 of 3"
    assert told[-1].startswith("judge 3 of 3")
