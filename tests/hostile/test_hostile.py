"""Fuzz: whatever commands and folders are made of, every command ends as docs/reliability.md says."""

from __future__ import annotations

from pathlib import Path

import fuzz
import pytest
from invariant import VARIABLES, statuses
from kinds import KINDS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    # What numpy and torch warn of in a set of nonsense numbers is not what is tested.
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and no variables of the environment that commands read."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_exit_statuses_are_those_of_the_page():
    assert {0, 1, 2, 3, 4, 130, 143} <= statuses()


@pytest.mark.parametrize("name", fuzz.FUZZ)
def test_fuzz(name, tmp_path):
    assert fuzz.broken(fuzz.FUZZ[name](tmp_path)) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind(kind, tmp_path):
    assert [ended.broken for ended in kind.tries(tmp_path) if ended.broken] == []
