"""The study of docs/adding-a-study.md, taken from the page: two factors in one file, planned, run and answered."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from mim4dd.data import load
from mim4dd.information import train_reference
from mim4dd.networks import ConvNet
from studies.engine.folder import StudyFolder
from studies.engine.journal import Journal
from studies.engine.metadata import configuration_of, study_metadata
from studies.engine.options import parse_options
from studies.engine.report import write_report
from studies.engine.running import run_trial
from studies.engine.study import Study
from studies.engine.trial import Inputs

HOUSE = Path(__file__).parents[2]
SMALL = ["--protocol", "quick"]
for assigned in ("batch_real=8", "width=8", "evaluation.epochs=10", "evaluation.networks=2"):
    SMALL += ["--set", assigned]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = (HOUSE / "docs" / "adding-a-study.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(code.splitlines()) < 120
    path = tmp_path_factory.mktemp("study") / "budget.py"
    path.write_text(code.replace("(25, 100, 400)", "(2, 4, 8)").replace("origin=25", "origin=2"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def study(script: Path) -> Study:
    spec = spec_from_file_location("budget", script)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["budget"] = module  # as dataclasses want it
    spec.loader.exec_module(module)
    found: Study = module.STUDY
    return found


@pytest.mark.slow
def test_two_factors_are_crossed_run_and_answered(study: Study, tmp_path: Path) -> None:
    options = parse_options("", study.script, study.flags, [*SMALL, "--seeds", "0-4"])
    configuration = configuration_of(study, options)
    plan = study.plan(options, configuration)
    assert len(plan.settings) == 3 * 2 * 2
    assert len(plan.trials) == 3 * 2 * 2 * 5
    journal = Journal(tmp_path, {**study_metadata(study, options, configuration, plan), "data_digest": ""})
    inputs = Inputs(load("digits"), train_reference(load("digits"), ConvNet(width=8), steps=5))
    for trial in plan.trials:
        journal.add(run_trial(trial, inputs), 0)
    journal.write_settings(plan.settings)
    journal.close()
    folder = StudyFolder.read(tmp_path)
    assert [factor.name for factor in folder.factors] == ["iterations", "images per class"]
    answer = study.answer(folder)
    write_report(answer, folder)
    told = "\n".join(map(str, answer.sentences))
    assert "On digits, 2 iterations · ipc 1, with 1 image per class" in told
    assert "The gain of DM + MIM4DD (equal strength) over DM is " in told
    assert "There is no answer yet" not in told
    table = next(table for table in answer.tables if table.name == "degradation")
    assert table.columns[:3] == ("iterations", "images per class", "method")
    assert len(table.rows) == 12
    gains = {claim.id: claim for claim in answer.claims if claim.family == "gains over the base"}
    assert len(gains) == 6
    term = "mim:base=dm,balance=gradnorm,weight=1"
    claim = gains[f"gain/{term}/8-iterations/ipc-5"]
    rows = {(row.config["seed"], row.config["method.weight"]): row for row in folder.rows.values() if at(row.config)}
    means = [sum(rows[s, 1.0].test) / 2 - sum(rows[s, 0.0].test) / 2 for s in range(5)]
    assert claim.estimate == pytest.approx(sum(means) / 5)
    assert (tmp_path / "figures" / "degradation.png").exists()


def at(config: dict[str, object]) -> bool:
    return config["ipc"] == 5 and config["method.base.iterations"] == 8


@pytest.mark.slow
@pytest.mark.ray
def test_its_command_runs_on_ray(script: Path) -> None:
    words = [sys.executable, script.name, *SMALL, "--seeds", "0-1", "--offline", "--out", "out"]
    ended = subprocess.run(
        words,
        cwd=script.parent,
        env={"PYTHONPATH": str(HOUSE), "PATH": "/usr/bin:/bin", "HOME": str(script.parent)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert " over DM is " in ended.stdout
    assert len(StudyFolder.read(script.parent / "out").rows) == 24
