"""A search: seeds of a setting run together, what one of them raises, and what Optuna is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from studies.engine.trial import Outcome, Trial
from studies.engine.tuning import units
from studies.engine.tuning.feeding import Collector

SCRIPT = Path(__file__).parents[2] / "studies" / "sensitivity.py"
TRIALS = [Trial.of({"seed": seed, "method": "dm"}) for seed in range(3)]


class Run:
    """The run of a trial whose last seed raises."""

    stops = (1,)
    interim = 0.1

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    def advance(self, until: int, session: Any) -> None:
        if self.trial.config["seed"] == 2:
            raise RuntimeError("CUDA error")

    def finish(self, session: Any) -> Outcome:
        return Outcome(self.trial, {"status": "ok", "validation_accuracy": [0.9]}, measured={"seconds": 1.0})


def test_what_one_seed_raises_costs_no_finished_one(monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[dict[str, Any]] = []
    session = SimpleNamespace(beat=lambda: None, saved=lambda trial: None, end=lambda: None)
    search: Any = SimpleNamespace(known={}, trials=lambda config: TRIALS, unknown=lambda config: TRIALS)
    context: Any = SimpleNamespace(resources=SimpleNamespace(device="cpu", threads=1))
    for name, value in {
        "WorkerSession": lambda *_: session,
        "this_worker": lambda: None,
        "shared_inputs": lambda *_: None,
        "set_up": lambda threads: None,
        "begin": lambda trial, *_: Run(trial),
        "tune": SimpleNamespace(report=reports.append),
    }.items():
        monkeypatch.setattr(units, name, value)
    units.search_unit({}, search, context)
    (report,) = reports
    assert [one.result["status"] for one in report["outcomes"]] == ["ok", "ok", "error"]
    assert "CUDA error" in report["outcomes"][2].result["reason"]
    assert report["validation_accuracy"] == pytest.approx(0.6)


def test_a_setting_that_a_scheduler_stopped_is_forgotten_by_the_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[str] = []

    def forget(trial: str) -> str:
        forgotten.append(trial)
        return ""

    monkeypatch.setattr("studies.engine.tuning.feeding.ray.get", lambda values: values)
    monitor = SimpleNamespace(forget=SimpleNamespace(remote=forget))
    told: Any = SimpleNamespace()
    collector = Collector(monitor, lambda *_: None, told, lambda: False, lambda config: TRIALS)
    collector.on_trial_complete(1, [], SimpleNamespace(config={}, error_file=None))
    assert forgotten == [trial.hash for trial in TRIALS]


@pytest.mark.slow
@pytest.mark.ray
def test_optuna_is_told_each_seed_of_a_setting_that_ran_to_its_end(tmp_path: Path) -> None:
    from optuna import load_study
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    asked = "--quick --design tpe --asha --settings 3 --seeds 0-1 --set iterations=20 --set evaluation.epochs=10"
    words = [*asked.split(), "--offline", "--out", "out"]
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *words], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "out" / "optuna.journal")))
    (name,) = (study.study_name for study in storage.get_all_studies())
    told = [
        trial.user_attrs.get("validation accuracy by seed")
        for trial in load_study(study_name=name, storage=storage).trials
    ]
    assert len(told) == 3
    assert {"0", "1"} in [set(one) for one in told if one]
