"""The baselines study: its plan, its answer from rows that a tiny study really made, and blocks beside it."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mim4dd.data import load
from mim4dd.information import Reference, train_reference
from mim4dd.methods import METHODS
from mim4dd.networks import ConvNet
from studies.answers.baselines.compared import Compared, compare
from studies.answers.baselines.plan import own_methods, plan_baselines
from studies.answers.baselines.verdict import write_answer
from studies.answers.comparing.findings import Findings
from studies.answers.comparing.plan import shared_configuration
from studies.answers.stress.plan import FULL_NETWORKS, FULL_STEPS
from studies.baselines import STUDY
from studies.engine.answer import Answer, Table
from studies.engine.asked import Blocks
from studies.engine.design import Setting
from studies.engine.evidence import Evidence
from studies.engine.identity import identify, shared_entries
from studies.engine.journal import Journal, read_json, read_rows, read_settings
from studies.engine.options import Options, parse_options
from studies.engine.report import write_report
from studies.engine.running import run_trial
from studies.engine.study import Plan, main
from studies.engine.trial import Inputs

SCRIPT = Path(__file__).parents[2] / "studies" / "baselines.py"
TERM = "mim:base=dm,balance=gradnorm,weight=1"
FEW = ["--method", "random", "--method", "dm", "--method", TERM, "--method", "full"]
SMALL = ["--protocol", "quick"]
for assigned in ("iterations=8", "batch_real=8", "width=8", "evaluation.epochs=20", "evaluation.networks=2"):
    SMALL += ["--set", assigned]


def asked(*words: str) -> Options:
    return parse_options("", STUDY.script, Blocks, words)


def planned(*words: str) -> Plan:
    options = asked(*words)
    return plan_baselines(options, with_shared(options))


def with_shared(options: Options) -> Any:
    from dataclasses import replace

    found = shared_configuration(options)
    return replace(found, flat={**shared_entries(options), **found.flat})


@cache
def reference() -> Reference:
    return train_reference(load("digits"), ConvNet(width=8), steps=20)


def made(out: Path, *words: str) -> Path:
    """The folder of a study whose trials the plain function has run."""
    options = asked(*words)
    configuration = with_shared(options)
    plan = plan_baselines(options, configuration)
    journal = Journal(out, {**identify(STUDY, options, configuration, plan), "data_digest": ""})
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


def evidence_of(out: Path, *beside: Path) -> Evidence:
    identity = {**read_json(out / "study.json"), **({"beside": [str(path) for path in beside]} if beside else {})}
    return Evidence(out, identity, (), read_settings(out), {row["trial"]: row for row in read_rows(out)})


def table(answer: Answer, name: str) -> list[dict[str, Any]]:
    found: Table = next(one for one in answer.tables if one.name == name)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def test_every_registered_method_stands_in_the_comparison() -> None:
    methods = own_methods()
    assert methods[0] == "random"
    assert methods[-1] == "full"
    assert {name.partition(":")[0] for name in methods} == set(METHODS.names())
    for name in METHODS.names():
        if name != "mim" and METHODS.build(name).iterations:
            assert f"mim:base={name},balance=gradnorm,weight=1" in methods


def test_one_recipe_and_the_same_seeds_for_all_methods() -> None:
    plan = planned("--quick", "--set", "evaluation.networks=4")
    by_hash = {trial.hash: trial.config for trial in plan.trials}
    assert len(plan.settings) == len(own_methods())
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


def test_what_stands_beside_decides_no_trial_and_no_identity(blocks: list[Path]) -> None:
    words = [*SMALL, *FEW, "--seeds", "0-2"]
    found = []
    for options in (asked(*words), asked(*words, "--beside", str(blocks[1]))):
        configuration = with_shared(options)
        plan = plan_baselines(options, configuration)
        found.append((identify(STUDY, options, configuration, plan), [trial.hash for trial in plan.trials]))
    (alone, trials), (joined, same) = found
    assert trials == same
    assert alone["hash"] == joined["hash"]
    assert "beside" not in alone
    assert joined["beside"] == [str(blocks[1])]


def test_numbers_of_the_answer_are_those_of_the_rows(blocks: list[Path]) -> None:
    answer = write_answer(evidence_of(blocks[0]))
    sets: dict[str, list[float]] = {}
    balanced: dict[str, list[float]] = {}
    for row in sorted(read_rows(blocks[0]), key=lambda row: row["config"]["seed"]):
        sets.setdefault(row["config"]["method"], []).append(float(np.mean(row["report_only"]["test_accuracy"])))
        balanced.setdefault(row["config"]["method"], []).append(float(np.mean(row["report_only"]["test_recall"])))
    for line in table(answer, "accuracy"):
        method = "mim" if "mim" in line["method"] else line["method"]
        assert line["test accuracy %"] == round(100 * np.mean(sets[method]), 1)
        assert line["balanced %"] == round(100 * np.mean(balanced[method]), 1)
        assert line["sets × networks"] == f"3 × {FULL_NETWORKS if method == 'full' else 2} of 3"
    (gain,) = table(answer, "gains")
    mean = np.mean(np.array(sets["mim"]) - np.array(sets["dm"]))
    assert gain["paired gain"].startswith(f"{100 * mean:+.1f} points [")
    wins = sum(a > b for a, b in zip(sets["dm"], sets["random"], strict=True))
    ties = sum(a == b for a, b in zip(sets["dm"], sets["random"], strict=True))
    cell = next(line for line in table(answer, "beats") if line["method"] == "dm")["random"]
    assert cell.startswith(f"{(wins + ties / 2) / 3:.2f} [")


def test_the_best_is_chosen_by_validation_alone(blocks: list[Path]) -> None:
    evidence = evidence_of(blocks[0])
    validation: dict[str, list[float]] = {}
    for setting in evidence.settings:
        for trial in setting.trials:
            row = evidence.rows[trial]
            validation.setdefault(setting.role, []).append(np.mean(row["result"]["validation_accuracy"]))
            # Whatever test says, the choice stays.
            wrong = [float(setting.role == "random")] * 2
            evidence.rows[trial] = {**row, "report_only": {**row["report_only"], "test_accuracy": wrong}}
    entrants = {role: np.mean(values) for role, values in validation.items() if role != "full"}
    best = max(entrants, key=lambda role: entrants[role])
    compared = compare(evidence)
    assert compared.best is not None
    assert compared.found.arms[compared.best].role == best


def test_one_block_has_no_ranks_and_says_why(blocks: list[Path]) -> None:
    answer = write_answer(evidence_of(blocks[0]))
    assert {figure.name for figure in answer.figures} == {"accuracy", "beats"}
    assert {one.name for one in answer.tables} == {"accuracy", "gains", "random", "beats"}
    (why,) = (line for line in answer.verdict if line.startswith("No ranks"))
    assert "at least 2 blocks" in why
    assert "3 methods want 11 blocks" in why
    told = "\n".join(answer.verdict)
    assert "The MI term on dm: " in told
    assert "n = 3 pairs" in told
    assert "Against random real images" in told


def test_two_blocks_are_ranked_and_named(blocks: list[Path], tmp_path: Path) -> None:
    evidence = evidence_of(blocks[0], blocks[1])
    answer = write_answer(evidence)
    told = "\n".join(answer.verdict)
    assert "Average ranks over 2 blocks" in told
    # 2.343 sqrt(3 * 4 / (6 * 2)) = 2.34, and three ranks are at most 2 apart.
    assert "when 2.34 apart, and 3 methods' can be at most 2 apart" in told
    lines = table(answer, "ranks")
    assert len(lines) == 3
    assert sum(line["average rank"] for line in lines) == pytest.approx(6, abs=0.02)
    for line in lines:
        places = [float(re.findall(r"\((.*)\)", line[label])[0]) for label in ("digits, ipc 1", "digits, ipc 2")]
        assert line["average rank"] == round(sum(places) / 2, 2)
    named = table(answer, "blocks")
    assert [line["from"] for line in named] == ["this study", str(blocks[1])]
    assert {line["differs from this study in"] for line in named} == {"nothing"}
    out = tmp_path / "out"
    out.mkdir()
    write_report(answer, Evidence(out, evidence.identity, (), evidence.settings, evidence.rows))
    drawn = {path.stem for path in (out / "figures").glob("*.png")}
    assert drawn == {"accuracy", "beats", "ranks"}
    assert str(blocks[1]) in (out / "answer.md").read_text()
    # MLflow takes no other characters in the name of a number.
    assert all(re.fullmatch(r"[\w./ -]+", name) for name in json.loads((out / "summary.json").read_text()))


def test_lost_failed_and_diverged_trials_are_counted_and_named_and_end_no_answer(blocks: list[Path]) -> None:
    evidence = evidence_of(blocks[0], blocks[1])
    trials = {setting.role: setting.trials for setting in evidence.settings}
    term = next(role for role in trials if "mim" in role)
    for role, seed, status in (("dm", 0, "diverged"), (term, 1, "error")):
        row = evidence.rows[trials[role][seed]]
        gone = {"status": status, "reason": "at 3", "validation_accuracy": None}
        evidence.rows[trials[role][seed]] = {**row, "result": {**row["result"], **gone}, "report_only": {}}
    del evidence.rows[trials["random"][2]]
    answer = write_answer(evidence)
    told = "\n".join(answer.verdict)
    for words in ("1 of 3 diverged (dm)", "1 of 3 error (dm + mim)", "1 of 3 missing (random)"):
        assert words in told
    lines = {line["method"]: line for line in table(answer, "accuracy")}
    assert (lines["dm"]["diverged"], lines[term]["failed"], lines["random"]["missing"]) == (1, 1, 1)
    assert lines["dm"]["sets × networks"] == "2 × 2 of 3"
    (gain,) = table(answer, "gains")
    assert (gain["pairs"], gain["pairs lost"]) == (1, 2)
    # No seed is left that every method has: this study is no block, and only one remains.
    assert "Left out, for no seed has every method: digits, ipc 1" in told
    assert "got 1" in told


def test_a_method_without_any_accuracy_is_said_and_not_drawn(blocks: list[Path]) -> None:
    evidence = evidence_of(blocks[0])
    for setting in evidence.settings:
        if setting.role == "dm":
            for trial in setting.trials:
                del evidence.rows[trial]
    answer = write_answer(evidence)
    assert "3 of 3 missing (dm)" in "\n".join(answer.verdict)
    assert all("not drawn: dm." in figure.caption for figure in answer.figures)
    assert any("No paired gain for dm + mim" in note for note in answer.notes)
    for rows in evidence.rows.values():
        rows["report_only"] = {}
    assert write_answer(evidence).verdict[0].startswith("Nothing can be said before")


def test_two_terms_on_one_base_keep_their_whole_names() -> None:
    plan = planned("--quick", "--method", "dm", "--method", "mim:base=dm,weight=1", "--method", "mim:base=dm")
    assert [setting.role for setting in plan.settings] == ["dm", "dm + mim (weight=1)", "dm + mim"]


def test_methods_of_one_name_show_the_knobs_that_tell_them_apart(tmp_path: Path) -> None:
    roles = ("random", "dm", "dm (iterations=25)", "dm + mim (iterations=25, weight=1)", "dm + mim (weight=1)")
    settings = tuple(Setting(i, role, {}, None, ()) for i, role in enumerate(roles))
    evidence = Evidence(tmp_path, {}, (), settings, {})
    found = Compared(evidence, Findings(evidence), ())
    assert found.names == ["random", "dm", "dm (iterations=25)", "dm + mim (iterations=25)", "dm + mim"]


def test_a_folder_that_has_changed_since_is_refused_by_the_answer_too(blocks: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(blocks[1], other)
    (other / "rows.jsonl").write_text("")
    with pytest.raises(ValueError, match="not finished"):
        write_answer(evidence_of(blocks[0], other))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "dn"], "did you mean"),
        (["--method", "dm", "--method", "dm"], "names a method twice"),
        (["--method", "dm", "--method", "dm:iterations=8"], "are the same method with the same knobs"),
        (["--method", "dm:epochs=7", "--method", "random"], "--method is for the method's own knobs"),
        (["--base", "dsa"], "--method mim:base=dsa"),
        (["--set", "itertions=4"], "did you mean"),
        (["--beside", "{none}"], "no study.json there"),
        (["--beside", "{other_study}"], "it holds sensitivity"),
        (["--beside", "{rules}"], "was made with rules 0"),
        (["--beside", "{broken}"], "is no JSON file"),
        (["--beside", "{torn}"], "cannot be read"),
        (["--beside", "{unfinished}"], "is not finished: 12 trials have no row"),
        (["--beside", "{one}"], "as this study is"),
        (["--beside", "{two}", "--beside", "{again}"], "as --beside"),
        (["--beside", "{two}", "--method", "dsa"], "lacks dsa"),
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

    assert "No ranks and no critical-difference diagram" in run()
    with (tmp_path / "out" / "tables" / "accuracy.csv").open() as file:
        here = {line["method"]: line for line in csv.DictReader(file)}
    # Ray's workers found what the plain function found.
    for line in table(write_answer(evidence_of(blocks[0])), "accuracy"):
        assert float(here[line["method"]]["test accuracy %"]) == line["test accuracy %"]
    told = run("--beside", str(blocks[1]), "--offline")
    assert "12 trials have a row already" in told
    assert "Average ranks over 2 blocks" in told
    assert (tmp_path / "out" / "figures" / "ranks.png").exists()
    assert str(blocks[1]) in (tmp_path / "out" / "answer.md").read_text()
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (experiment,) = (one for one in client.search_experiments() if one.name == "mim4dd-baselines")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.role = 'study'")
    assert parent.info.status == "FINISHED"
    assert "dm_mim/gain_over_base" in parent.data.metrics
