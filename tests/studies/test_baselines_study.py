"""The baselines study: its plan, its answer from rows that a tiny study really made, and blocks beside it."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_rows import lost, made_folder, made_row, replaced

from mim4dd.data import load
from mim4dd.durable import read_json
from mim4dd.information import Reference, train_reference
from mim4dd.methods import METHODS
from mim4dd.networks import ConvNet
from studies.answers.baselines.answer import write_answer
from studies.answers.baselines.flags import BaselinesFlags
from studies.answers.baselines.plan import plan_baselines
from studies.answers.comparing.plan import registered_methods
from studies.answers.stress.plan import FULL_NETWORKS, FULL_STEPS
from studies.baselines import STUDY
from studies.engine.answer import Answer, Table
from studies.engine.command import main
from studies.engine.durations import trial_seconds
from studies.engine.folder import StudyFolder
from studies.engine.journal import Journal
from studies.engine.metadata import configuration_of, study_metadata
from studies.engine.options import Options, parse_options
from studies.engine.plan import Plan
from studies.engine.report import write_report
from studies.engine.running import run_trial
from studies.engine.speeds import SHIPPED, Speeds
from studies.engine.trial import Inputs

SCRIPT = Path(__file__).parents[2] / "studies" / "baselines.py"
TERM = "mim:base=dm,balance=gradnorm,weight=1"
FEW = ["--method", "random", "--method", "dm", "--method", TERM, "--method", "full"]
SMALL = ["--protocol", "quick"]
for assigned in ("iterations=8", "batch_real=8", "width=8", "evaluation.epochs=20", "evaluation.networks=2"):
    SMALL += ["--set", assigned]


def asked(*words: str) -> Options:
    return parse_options("", STUDY.script, BaselinesFlags, words)


def planned(*words: str) -> Plan:
    options = asked(*words)
    return plan_baselines(options, configuration_of(STUDY, options))


@cache
def reference() -> Reference:
    return train_reference(load("digits"), ConvNet(width=8), steps=20)


def made(out: Path, *words: str) -> Path:
    """The folder of a study whose trials the plain function has run."""
    options = asked(*words)
    configuration = configuration_of(STUDY, options)
    plan = plan_baselines(options, configuration)
    journal = Journal(out, {**study_metadata(STUDY, options, configuration, plan), "data_digest": ""})
    inputs = Inputs(load("digits"), reference())
    for trial in plan.trials:
        journal.add(run_trial(trial, inputs), 0)
    journal.write_settings(plan.settings)
    journal.close()
    return out


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two finished studies: one and two images a class."""
    folder = tmp_path_factory.mktemp("baselines")
    return [made(folder / f"ipc{ipc}", *SMALL, *FEW, "--seeds", "0-2", "--ipc", str(ipc)) for ipc in (1, 2)]


def folder_of(out: Path, *added: Path) -> StudyFolder:
    """The folder as its answer reads it, in memory: rows may be replaced."""
    held = StudyFolder.read(out)
    return replace(held, study={**held.study, **({"added_studies": [str(path) for path in added]} if added else {})})


def told_by(answer: Answer) -> str:
    return "\n".join(map(str, answer.sentences))


def trials_of(folder: StudyFolder) -> dict[str, tuple[str, ...]]:
    """The trials of each arm by its key."""
    return {setting.arm.key: setting.trials for setting in folder.settings}


def table(answer: Answer, name: str) -> list[dict[str, Any]]:
    found: Table = next(one for one in answer.tables if one.name == name)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def test_every_registered_method_stands_in_the_comparison() -> None:
    methods = registered_methods()
    assert methods[0] == "random"
    assert methods[-1] == "full"
    assert {name.partition(":")[0] for name in methods} == set(METHODS.names())
    for name in METHODS.names():
        if name != "mim" and METHODS.build(name).iterations:
            term = f"mim:base={name},balance=gradnorm,weight=1"
            assert methods[methods.index(name) :][:3] == (name, term, f"{term},direction=base")


def test_a_knob_of_the_data_that_trials_leave_out_at_its_default_can_be_set() -> None:
    plain, large = planned("--quick"), planned("--quick", "--set", "size=32")
    assert [trial.config for trial in large.trials] == [{**trial.config, "source.size": 32} for trial in plain.trials]
    speeds = Speeds.read(SHIPPED)
    assert trial_seconds(large.trials[-1].config, speeds) > 2 * trial_seconds(plain.trials[-1].config, speeds)


def test_a_knob_of_a_method_that_trials_leave_out_at_its_default_distinguishes_methods() -> None:
    words = ("dm", "dm:precision=bf16", "mim:base=dm", "mim:base=dm,base.precision=bf16")
    plan = planned("--quick", *(word for method in words for word in ("--method", method)))
    plain, half, term, half_term = plan.trials[:: len(plan.trials) // 4]
    assert half.config == {**plain.config, "method.precision": "bf16"}
    assert half_term.config == {**term.config, "method.base.precision": "bf16"}
    names = ["DM", "DM (precision=bf16)", "DM + MIM4DD (default)", "DM + MIM4DD (precision=bf16, default)"]
    assert [setting.arm.name for setting in plan.settings] == names
    assert [setting.arm.control for setting in plan.settings] == ["", "", "dm", "dm:precision=bf16"]
    (stated,) = planned("--quick", "--method", "dm:precision=float32").settings
    assert stated.arm.key == "dm"


def test_one_recipe_and_the_same_seeds_for_all_methods() -> None:
    plan = planned("--quick", "--set", "evaluation.networks=4")
    by_hash = {trial.hash: trial.config for trial in plan.trials}
    assert len(plan.settings) == len(registered_methods())
    for setting in plan.settings:
        assert [by_hash[h]["seed"] for h in setting.trials] == [0, 1, 2]
    shared = {
        tuple((k, v) for k, v in sorted(config.items()) if k.partition(".")[0] not in ("method", "seed"))
        for config in by_hash.values()
        if config["method"] != "full"
    }
    assert len(shared) == 1
    full = [config for config in by_hash.values() if config["method"] == "full"]
    capped = {(config["evaluation.networks"], config["evaluation.max_steps"]) for config in full}
    assert capped == {(FULL_NETWORKS, FULL_STEPS)}
    assert {c["evaluation.networks"] for c in by_hash.values() if c["method"] != "full"} == {4}


def test_added_studies_decide_no_trial_and_no_hash(blocks: list[Path]) -> None:
    words = [*SMALL, *FEW, "--seeds", "0-2"]
    found = []
    for options in (asked(*words), asked(*words, "--add-study", str(blocks[1]))):
        configuration = configuration_of(STUDY, options)
        plan = plan_baselines(options, configuration)
        found.append((study_metadata(STUDY, options, configuration, plan), [trial.hash for trial in plan.trials]))
    (alone, trials), (joined, same) = found
    assert trials == same
    assert alone["hash"] == joined["hash"]
    assert "added_studies" not in alone
    assert joined["added_studies"] == [str(blocks[1])]


def test_numbers_of_the_answer_are_those_of_the_rows(blocks: list[Path]) -> None:
    folder = folder_of(blocks[0])
    answer = write_answer(folder)
    sets: dict[str, list[float]] = {}
    balanced: dict[str, list[float]] = {}
    for row in sorted(folder.rows.values(), key=lambda row: row.config["seed"]):
        held = row.record["report_only"]
        sets.setdefault(row.config["method"], []).append(float(np.mean(held["test_accuracy"])))
        balanced.setdefault(row.config["method"], []).append(float(np.mean(held["test_recall"])))
    methods = {arm.name: arm.method for arm in folder.arms}
    for line in table(answer, "accuracy"):
        method = methods[line["method"]]
        assert str(line["test accuracy"]).startswith(f"{100 * np.mean(sets[method]):.1f}% [")
        assert line["balanced accuracy"].mean == pytest.approx(np.mean(balanced[method]))
        assert line["sets × networks"] == f"3 × {FULL_NETWORKS if method == 'full' else 2} of 3"
    (gain,) = table(answer, "gains")
    mean = np.mean(np.array(sets["mim"]) - np.array(sets["dm"]))
    assert str(gain["paired gain"]).startswith(f"{100 * mean:+.1f} points [")
    (claim,) = (one for one in answer.claims if one.family == "gains over the base")
    assert claim.estimate == pytest.approx(mean)
    wins = sum(a > b for a, b in zip(sets["dm"], sets["random"], strict=True))
    ties = sum(a == b for a, b in zip(sets["dm"], sets["random"], strict=True))
    cell = next(line for line in table(answer, "beats") if line["method"] == "DM")["random real images"]
    assert str(cell).startswith(f"{(wins + ties / 2) / 3:.2f} [")


def test_three_seeds_decide_nothing(blocks: list[Path]) -> None:
    answer = write_answer(folder_of(blocks[0]))
    contrasts = [claim for claim in answer.claims if claim.kind == "contrast"]
    assert len(contrasts) == 7  # every pair of four methods, each in one family; and the gain in usable information
    assert {claim.decision for claim in contrasts} == {"undecided"}
    for name in ("gains", "random"):
        assert {(line["decision"], line["p (Holm)"]) for line in table(answer, name)} == {("undecided", None)}
    assert "3 pairs are too few to decide" in told_by(answer)
    (more,) = (note for note in answer.notes if "More seeds are a separate study" in note)
    first, last = map(int, re.findall(r"--seeds (\d+)-(\d+)`", more)[0])
    asked_for = [claim.needed[1] or claim.needed[0] for claim in contrasts if claim.needed]
    assert (first, last - first + 1) == (3, min(40, max([5, *asked_for])))


def test_the_best_is_chosen_by_validation_alone(blocks: list[Path]) -> None:
    folder = folder_of(blocks[0])
    validation: dict[str, list[float]] = {}
    for setting in folder.settings:
        for trial in setting.trials:
            row = folder.rows[trial]
            validation.setdefault(setting.arm.name, []).append(np.mean(row.record["result"]["validation_accuracy"]))
            # Whatever test says, the choice stays.
            folder.rows[trial] = replaced(row, {"test_accuracy": [float(setting.arm.method == "random")] * 2})
    entrants = {name: np.mean(values) for name, values in validation.items() if name != "full data"}
    best = max(entrants, key=lambda name: entrants[name])
    assert f"{best} has the highest validation accuracy" in told_by(write_answer(folder))


def test_one_block_has_no_ranks_and_says_why(blocks: list[Path]) -> None:
    answer = write_answer(folder_of(blocks[0]))
    assert {figure.name for figure in answer.figures} == {"accuracy", "beats"}
    assert {one.name for one in answer.tables} == {"accuracy", "gains", "information", "random", "beats"}
    told = told_by(answer)
    (why,) = (line for line in told.splitlines() if line.startswith("There are no ranks"))
    assert "at least 2 blocks" in why
    assert "with 3 methods, a critical difference below one rank needs 11 blocks" in why
    assert "The gain of DM + MIM4DD (equal strength) over DM is " in told
    assert "n = 3 pairs" in told
    assert "Compared with random real images" in told


def test_two_blocks_are_ranked_and_named(blocks: list[Path], tmp_path: Path) -> None:
    folder = folder_of(blocks[0], blocks[1])
    answer = write_answer(folder)
    told = told_by(answer)
    assert "The average ranks over 2 blocks are: " in told
    # 2.343 sqrt(3 * 4 / (6 * 2)) = 2.34, and three ranks are at most 2 apart.
    assert "at least 2.34 apart (Nemenyi's test), but those of 3 methods can be at most 2 apart" in told
    lines = table(answer, "ranks")
    assert len(lines) == 3
    assert sum(line["average rank"] for line in lines) == pytest.approx(6, abs=0.02)
    for line in lines:
        places = [line[f"{label}, rank"] for label in ("digits, ipc 1", "digits, ipc 2")]
        assert line["average rank"] == round(sum(places) / 2, 2)
    named = table(answer, "blocks")
    assert [line["from"] for line in named] == ["this study", str(blocks[1])]
    assert {line["differs from this study in"] for line in named} == {"nothing"}
    out = tmp_path / "out"
    out.mkdir()
    write_report(answer, replace(folder, path=out))
    drawn = {path.stem for path in (out / "figures").glob("*.png")}
    assert drawn == {"accuracy", "beats", "ranks"}
    assert str(blocks[1]) in (out / "answer.md").read_text()
    # MLflow takes no other characters in the name of a number.
    summary = json.loads((out / "summary.json").read_text())
    assert all(re.fullmatch(r"[\w./ -]+", name) for name in summary)
    assert len(summary) == 4 + 1 + 3


def test_lost_failed_and_diverged_trials_are_counted_and_named_and_end_no_answer(blocks: list[Path]) -> None:
    folder = folder_of(blocks[0], blocks[1])
    trials = trials_of(folder)
    for key, seed, status in (("dm", 0, "diverged"), (TERM, 1, "error")):
        trial = trials[key][seed]
        folder.rows[trial] = lost(folder.rows[trial], status)
    del folder.rows[trials["random"][2]]
    answer = write_answer(folder)
    told = told_by(answer)
    strong = "DM + MIM4DD (equal strength)"
    for words in ("DM diverged", f"{strong} failed with an error", "random real images did not run"):
        assert f"1 of 3 trials of {words}" in told
    lines = {line["method"]: line for line in table(answer, "accuracy")}
    counts = (lines["DM"]["diverged"], lines[strong]["failed"], lines["random real images"]["missing"])
    assert counts == (1, 1, 1)
    assert lines["DM"]["sets × networks"] == "2 × 2 of 3"
    (gain,) = table(answer, "gains")
    assert (gain["pairs"], gain["pairs lost"]) == (1, 2)
    # No seed is left that every method has: this study is no block, and only one remains.
    assert "Left out, because no seed has every method: digits, ipc 1" in told
    assert "got 1" in told


def test_the_trials_of_an_interrupted_study_are_counted_together(
    blocks: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.answers.parts.overview.MOST_NAMED", 1)
    folder = folder_of(blocks[0])
    trials = trials_of(folder)
    del folder.rows[trials["random"][2]]
    assert "1 of 3 trials of random real images did not run" in told_by(write_answer(folder))
    folder.rows[trials["dm"][0]] = lost(folder.rows[trials["dm"][0]], "diverged")
    del folder.rows[trials["dm"][1]], folder.rows[trials["dm"][2]]
    told = told_by(write_answer(folder))
    planned = len(folder.planned)
    assert f"leave them out: 1 of 3 trials of DM diverged; 3 of {planned} planned trials did not run." in told


def test_a_method_without_any_accuracy_is_said_and_not_drawn(blocks: list[Path]) -> None:
    folder = folder_of(blocks[0])
    for trial in trials_of(folder)["dm"]:
        del folder.rows[trial]
    answer = write_answer(folder)
    told = told_by(answer)
    assert "3 of 3 trials of DM did not run" in told
    assert "not drawn: DM." in " ".join(figure.caption for figure in answer.figures)
    assert all("not drawn: DM." in figure.caption for figure in answer.figures)
    # The gain is one of the plan: it stands there with what it lacks.
    (gain,) = table(answer, "gains")
    assert (str(gain["paired gain"]), gain["decision"], gain["pairs lost"]) == ("–", "undecided", 3)
    assert "undecided, because 3 of 3 pairs have not run yet" in told
    for trial, row in folder.rows.items():
        folder.rows[trial] = replaced(row, {"test_accuracy": None, "test_recall": None})
    assert told_by(write_answer(folder)).startswith(
        "There is no answer yet, because no trial of any method has an accuracy"
    )


def test_a_term_whose_base_is_not_compared_has_no_gain_and_that_is_said(blocks: list[Path]) -> None:
    folder = folder_of(blocks[0])
    settings = [replace(one, arm=replace(one.arm, control="")) for one in folder.settings if one.arm.key != "dm"]
    answer = write_answer(replace(folder, settings=settings))
    assert any("No paired gain for DM + MIM4DD (equal strength)" in note for note in answer.notes)
    assert "gains" not in {one.name for one in answer.tables}


def test_a_longer_step_is_compared_and_ranked_nowhere() -> None:
    twin = f"{TERM},direction=base"
    accuracies = {"random": 0.5, "dm": 0.6, TERM: 0.63, twin: 0.62, "full": 0.9}

    def answered(*keys: str) -> Answer:
        plan = planned("--quick", "--seeds", "0-5", *(word for key in keys for word in ("--method", key)))
        configs, rng = {trial.hash: trial.config for trial in plan.trials}, np.random.default_rng(0)
        rows = {
            trial: made_row(trial, configs[trial], accuracies[setting.arm.key] + rng.normal(0, 1e-4, 2))
            for setting in plan.settings
            for trial in setting.trials
        }
        return write_answer(made_folder(Path("out"), plan.settings, rows, range(6), study="baselines"))

    answer, without = answered(*accuracies), answered("random", "dm", TERM, "full")
    (line,) = table(answer, "step")
    assert line["decision"] == line["decision on the step"] == "a gain of more than half a point"
    assert line["term less longer step"].mean == pytest.approx(0.01, abs=1e-3)
    sizes = {one.family: one.family_size for one in answer.claims if one.family}
    added = {"the term against a longer step of its base": 1, "a longer step against the base": 1}
    before = {one.family: one.family_size for one in without.claims if one.family}
    # Of the ten pairs of five methods, two more are neither gains, nor over random images, nor about the step.
    assert sizes == before | added | {"other pairs of methods": before["other pairs of methods"] + 2}
    assert twin not in {one.terms[0][1] for one in answer.claims if one.family == "over random real images"}
    assert not [key for key in answer.summary if "longer_step" in key and key.endswith(("rank", "gain_over_base"))]
    text = str(answer.plain[1])
    assert text.startswith("Adding the MI term improves DM (+3.0 points")
    assert "Compared with steps as long of the base alone, it improves DM (+1.0 points" in text
    assert "steps as long" not in str(without.plain[1])


def test_methods_of_one_name_show_the_knobs_that_tell_them_apart() -> None:
    words = ("random", "dm", "dm:iterations=25", "mim:base=dm,iterations=25,weight=1", "mim:base=dm,weight=1", "mim")
    plan = planned("--quick", *(word for method in words for word in ("--method", method)))
    assert [setting.arm.name for setting in plan.settings] == [
        *("random real images", "DM", "DM (iterations=25)", "DM + MIM4DD (iterations=25, λ=1)"),
        *("DM + MIM4DD (λ=1)", "DM + MIM4DD (default)"),
    ]
    controls = [setting.arm.control for setting in plan.settings]
    assert controls == ["", "", "", "dm:iterations=25", "dm", "dm"]


def test_a_folder_that_has_changed_since_is_refused_by_the_answer_too(blocks: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(blocks[1], other)
    (other / "rows.jsonl").write_text("")
    with pytest.raises(ValueError, match="not finished"):
        write_answer(folder_of(blocks[0], other))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "dn"], "did you mean"),
        (["--method", "dm", "--method", "dm"], "--method names dm twice"),
        (["--method", "dm", "--method", "mim:base=dm,weight=0"], "are both DM in tables and figures; give one of them"),
        (["--method", "dm", "--method", "dm:iterations=8"], "are the same method with the same knobs"),
        (["--method", "dm:epochs=7", "--method", "random"], "--method is for the method's own knobs"),
        (["--base", "dsa"], "--method mim:base=dsa"),
        (["--tune", "0"], "--tune must be in [2, "),
        (["--set", "method=dc"], "give --method dc"),
        (["--set", "itertions=4"], "did you mean"),
        (["--add-study", "{none}"], "there is no study.json"),
        (["--add-study", "{other_study}"], "it holds sensitivity"),
        (["--add-study", "{rules}"], "has results version 0, this study has "),
        (["--add-study", "{broken}"], "is no JSON file"),
        (["--add-study", "{torn}"], "cannot be read"),
        (["--add-study", "{unfinished}"], "is not finished: it lacks 12 trials"),
        (["--add-study", "{one}"], "as this study is"),
        (["--add-study", "{two}", "--add-study", "{again}"], "as --add-study"),
        (["--add-study", "{two}", "--method", "dsa"], "lacks dsa"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    words: list[str],
    message: str,
    blocks: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"none": tmp_path / "none", "one": blocks[0], "two": blocks[1]}
    identity = read_json(blocks[1] / "study.json")
    spoiled: dict[str, dict[str, str]] = {
        "other_study": {"study.json": json.dumps({**identity, "study": "sensitivity"})},
        "rules": {"study.json": json.dumps({**identity, "rules": "0"})},
        "broken": {"study.json": "{"},
        "torn": {"settings.jsonl": '{"setting": 0}\n'},
        "unfinished": {"rows.jsonl": ""},
        "again": {},
    }
    for name, files in spoiled.items():
        places[name] = tmp_path / name
        shutil.copytree(blocks[1], places[name])
        for file, text in files.items():
            (places[name] / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    own = [] if any(word in words for word in ("--method", "--base")) and "{two}" not in words else FEW
    given = [word.format(**places) if word.startswith("{") else word for word in words]
    assert main(STUDY, [*SMALL, *own, *given, "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1, said
    assert message in said


@pytest.mark.parametrize("words", [["--dry-run"], ["--help"]])
def test_dry_run_and_help_import_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    asked = [sys.executable, "-X", "importtime", str(SCRIPT), *words]
    ended = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert imported.isdisjoint({"torch", "ray", "mlflow", "torchvision", "scipy", "matplotlib"})
    assert not any(tmp_path.iterdir())


@pytest.mark.ray
@pytest.mark.slow
def test_a_study_as_a_user_runs_it_and_again_with_a_block_beside_it(blocks: list[Path], tmp_path: Path) -> None:
    words = [*SMALL, *FEW, "--seeds", "0-2", "--out", "out"]

    def run(*more: str) -> str:
        command = [sys.executable, str(SCRIPT), *words, *more]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode == 0, ended.stderr + ended.stdout
        return ended.stdout

    assert "There are no ranks and no critical-difference diagram" in run()
    with (tmp_path / "out" / "tables" / "accuracy.csv").open() as file:
        here = {line["method"]: line for line in csv.DictReader(file)}
    # Ray's workers found what the plain function found.
    for line in table(write_answer(folder_of(blocks[0])), "accuracy"):
        found = float(here[line["method"]]["test accuracy (%) mean"])
        assert found == pytest.approx(100 * line["test accuracy"].mean, rel=1e-5)
    told = run("--add-study", str(blocks[1]), "--offline")
    assert "12 trials have a row already" in told
    assert "The average ranks over 2 blocks are: " in told
    assert (tmp_path / "out" / "figures" / "ranks.png").exists()
    assert str(blocks[1]) in (tmp_path / "out" / "answer.md").read_text()
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (experiment,) = (one for one in client.search_experiments() if one.name == "mim4dd-baselines")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.role = 'study'")
    assert parent.info.status == "FINISHED"
    assert "DM_MIM4DD_equal_strength/gain_over_base" in parent.data.metrics
