"""The study folder: durable rows, one holder, one study, repaired tails."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from answered import RESULTS

from mim4dd.errors import InputError
from studies.ablation import STUDY
from studies.baselines import STUDY as COMPARISON
from studies.engine.arms import Arm, Setting
from studies.engine.command import main
from studies.engine.folder import read_settings
from studies.engine.journal import Journal
from studies.engine.metadata import configuration_of, study_metadata
from studies.engine.options import parse_options
from studies.engine.rows import read_rows
from studies.engine.trial import Outcome, Trial

IDENTITY = {"study": "s", "hash": "abc", "created": "now", "dataset": "digits"}


def outcome(seed: int, status: str = "ok") -> Outcome:
    return Outcome(
        Trial.of({"seed": seed}), {"status": status, "validation_accuracy": [0.5]}, measured={"seconds": 1.0}
    )


def test_rows_are_on_disk_before_add_returns_and_are_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path, IDENTITY)
    row = journal.add(outcome(0), retries=2)
    assert json.loads((tmp_path / "rows.jsonl").read_text())["measured"]["retries"] == 2
    assert (tmp_path / "trials" / row.trial / "history.json").exists()
    journal.close()
    again = Journal(tmp_path, IDENTITY)
    assert again.finished([row.trial, "other"]) == {row.trial}
    again.close()


def test_a_row_with_an_error_runs_again_and_the_later_row_stands(tmp_path: Path) -> None:
    journal = Journal(tmp_path, IDENTITY)
    failed = journal.add(outcome(0, "error"), 0)
    assert journal.finished([failed.trial]) == set()
    journal.add(outcome(0), 0)
    assert [row.status for row in read_rows(tmp_path).values()] == ["ok"]
    journal.close()


def test_a_torn_last_line_is_cut_off_with_a_word(tmp_path: Path) -> None:
    journal = Journal(tmp_path, IDENTITY)
    journal.add(outcome(0), 0)
    journal.close()
    with open(tmp_path / "rows.jsonl", "a") as file:
        file.write('{"trial": "torn')
    again = Journal(tmp_path, IDENTITY)
    assert len(again.rows) == 1
    assert "unfinished line" in again.notes[0]
    again.add(outcome(1), 0)
    again.close()
    assert len(read_rows(tmp_path)) == 2


def test_a_line_that_is_no_row_is_refused_by_its_number(tmp_path: Path) -> None:
    journal = Journal(tmp_path, IDENTITY)
    journal.add(outcome(0), 0)
    journal.close()
    with open(tmp_path / "rows.jsonl", "a") as file:
        file.write("nonsense\n")
    with pytest.raises(InputError, match=r"rows.jsonl:2 is no row"):
        read_rows(tmp_path)


def test_another_study_is_refused_and_says_what_differs(tmp_path: Path) -> None:
    Journal(tmp_path, IDENTITY).close()
    with pytest.raises(InputError, match=r"holds another study \(it differs in dataset\)"):
        Journal(tmp_path, {**IDENTITY, "hash": "other", "dataset": "mnist"})


def test_only_what_differs_is_named_and_a_dry_run_says_it_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--quick", "--out", str(tmp_path), "--dry-run"]
    assert main(STUDY, words) == 0
    options = parse_options("", STUDY.script, STUDY.flags, words)
    configuration = configuration_of(STUDY, options)
    metadata = study_metadata(STUDY, options, configuration, STUDY.plan(options, configuration))
    Journal(tmp_path, metadata).close()
    assert main(STUDY, words) == 0
    capsys.readouterr()
    assert main(STUDY, [*words, "--seeds", "0-8"]) == 2
    told = capsys.readouterr().err
    assert told == f"error: {tmp_path} holds another study (it differs in seeds); give another --out\n"
    assert main(STUDY, [*words, "--base", "dc"]) == 2
    assert "it differs in configuration" in capsys.readouterr().err
    assert main(STUDY, [*words, "--factor", "temperature=0.05,0.5"]) == 2
    assert "it differs in factors" in capsys.readouterr().err


def test_other_methods_alone_are_said_to_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--quick", "--out", str(tmp_path), "--dry-run", "--method", "dm", "--method", "random"]
    options = parse_options("", COMPARISON.script, COMPARISON.flags, words)
    configuration = configuration_of(COMPARISON, options)
    plan = COMPARISON.plan(options, configuration)
    Journal(tmp_path, study_metadata(COMPARISON, options, configuration, plan)).close()
    capsys.readouterr()
    assert main(COMPARISON, [*words, "--method", "dc"]) == 2
    told = capsys.readouterr().err
    assert "holds another study (it differs in methods or their knobs; it was made by: python" in told


def test_a_second_holder_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path, IDENTITY)
    code = f"import pathlib, studies.engine.journal as j; j.Journal(pathlib.Path({str(tmp_path)!r}), {IDENTITY!r})"
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert "is in use by another run" in second.stderr
    journal.close()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        Journal(tmp_path / "file" / "out", IDENTITY)


def test_settings_survive_the_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path, IDENTITY)
    arm = Arm("mim:base=dm,temperature=0.1", "mim", {"method.base": "dm", "method.temperature": 0.1}, "dm", "default")
    settings = [
        Setting(0, arm, {"training data": "clean"}, ("a", "b")),
        Setting(1, Arm("random", "random", role="random"), dummy=0.5),
    ]
    journal.write_settings(settings)
    journal.close()
    assert read_settings(tmp_path) == settings


def test_what_the_reference_reaches_is_kept_in_study_json(tmp_path: Path) -> None:
    journal = Journal(tmp_path, IDENTITY)
    journal.write_reference(0.9)
    journal.close()
    again = Journal(tmp_path, {**IDENTITY, "created": "later"})
    again.close()
    held = json.loads((tmp_path / "study.json").read_text())
    assert held == again.study == {**IDENTITY, "reference_accuracy": 0.9}


def test_numbers_that_are_not_finite_become_null_and_stop_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, IDENTITY)
    made = Outcome(
        Trial.of({"seed": 0}), {"status": "diverged"}, history=[{"loss/dm": float("nan"), "x": float("inf")}]
    )
    row = journal.add(made, 0)
    journal.close()
    assert json.loads((tmp_path / "trials" / row.trial / "history.json").read_text()) == [{"loss/dm": None, "x": None}]


def test_other_images_under_the_same_name_are_refused(tmp_path: Path) -> None:
    Journal(tmp_path, {**IDENTITY, "data_digest": "a"}).close()
    with pytest.raises(InputError, match="other images under the name digits"):
        Journal(tmp_path, {**IDENTITY, "data_digest": "b"})


@pytest.mark.parametrize("name", ["noise-digits", "updates-digits"])
def test_a_command_finds_the_folder_of_its_study_again(name: str) -> None:
    """By the hash in its name, over all that decides the trials: what study.json holds besides must not move it."""
    held = json.loads((RESULTS / name / "study.json").read_text(encoding="utf-8"))
    study = import_module(f"studies.{held['study']}").STUDY
    options = parse_options("", study.script, study.flags, shlex.split(held["command"])[2:])
    configuration = configuration_of(study, options)
    assert study_metadata(study, options, configuration, study.plan(options, configuration))["hash"] == held["hash"]
