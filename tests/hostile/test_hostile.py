"""Fuzz: whatever commands and folders are made of, every command ends as docs/reliability.md says."""

from __future__ import annotations

from pathlib import Path

import fuzz
import pytest
from invariant import statuses
from kinds import KINDS

pytestmark = [
    pytest.mark.slow,
    # What numpy and torch warn of in a set of nonsense numbers is not what is tested.
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and no variables of the environment that commands read."""
    monkeypatch.chdir(tmp_path)
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI", "MIM4DD_DATA"):
        monkeypatch.delenv(name, raising=False)


def test_the_exit_statuses_are_those_of_the_page():
    assert {0, 1, 2, 3, 4, 130, 143} <= statuses()


def test_mutated_command_lines_of_studies(tmp_path):
    assert fuzz.broken(fuzz.command_lines(900, tmp_path)) == []


def test_mutated_command_lines_of_the_library(tmp_path):
    assert fuzz.broken(fuzz.library_lines(200, fuzz.tiny_run(tmp_path / "run"))) == []


def test_mutated_command_lines_as_processes(tmp_path):
    assert fuzz.broken(fuzz.processes(50, tmp_path / "empty")) == []


def test_tampered_study_folders(tmp_path):
    assert fuzz.broken(fuzz.study_folders(250, tmp_path)) == []


def test_tampered_run_folders(tmp_path):
    assert fuzz.broken(fuzz.run_folders(100, fuzz.tiny_run(tmp_path / "run"), tmp_path / "tampered")) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind(kind, tmp_path):
    assert [ended.broken for ended in kind.tries(tmp_path) if ended.broken] == []
