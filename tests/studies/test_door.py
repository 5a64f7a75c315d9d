"""A command of ours on a stranger's machine: with other packages of our names, or a Python that lacks the libraries."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from cluster.packages import PACKAGES, REQUIRED
from studies.engine.folder import StudyFolder
from studies.engine.study import REPORT

HOUSE = Path(__file__).parents[2]
SCRIPTS = sorted(path.stem for path in (HOUSE / "studies").glob("*.py") if path.stem != "__init__")
STUDIES = [name for name in SCRIPTS if name != REPORT]
# A study of two trials that take no time.
TINY = ["--method", "random", "--method", "full", "--seeds", "0", "--quick", "--offline", "--out", "out"]
for assigned in ("evaluation.epochs=3", "evaluation.networks=1"):
    TINY += ["--set", assigned]


def python(*words: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command whose only path besides its own is that of a stranger."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"PYTHONPATH": str(path)} if path else {}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A folder with modules and packages of our names, none of which may be imported."""
    for name in PACKAGES[:-1]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemError('a stranger was imported')\n")
    (tmp_path / "cluster.py").write_text("raise SystemError('a stranger was imported')\n")
    return tmp_path


def test_what_is_required_is_what_pyproject_names() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
    named = {re.split(r"[\[<>=]", text)[0].lower() for text in project["dependencies"]}
    of_module = importlib.metadata.packages_distributions()
    provided = {name: {found.lower() for found in of_module[name]} for name in REQUIRED}
    assert {name for name, found in provided.items() if not found & named} == set()
    assert named - set().union(*provided.values()) == set()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_python_without_the_libraries_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    ended = python("-S", str(HOUSE / "studies" / f"{name}.py"), cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "does not have torch" in ended.stderr
    assert "source .venv/bin/activate" in ended.stderr
    assert "make study" in ended.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["studies.engine.status", "out"],
        ["studies.engine.tracking", "sync", "out"],
        ["studies.answers", "out"],
        ["cluster.preflight"],
    ],
)
def test_so_are_the_other_commands(words: list[str]) -> None:
    ended = python("-S", "-m", *words, cwd=HOUSE)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "does not have torch" in ended.stderr


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ("baselines", "score") else pytest.mark.slow) for name in STUDIES]
)
def test_our_packages_come_before_others_on_the_path(name: str, stranger: Path) -> None:
    words = {"fidelity": ["--dataset", "mnist"], "score": [str(stranger / "set.npz")]}.get(name, [])
    if name == "score":
        np.savez(stranger / "set.npz", images=np.zeros((10, 8, 8), np.float32), labels=np.arange(10))
    ended = python(str(HOUSE / "studies" / f"{name}.py"), *words, "--dry-run", cwd=stranger, path=stranger)
    assert ended.returncode == 0, ended.stderr
    assert "trials of" in ended.stdout


def test_our_packages_come_before_modules_of_the_working_folder(stranger: Path) -> None:
    # Python itself finds `studies` in the working folder before it runs a line of ours.
    (stranger / "studies" / "__init__.py").unlink()
    (stranger / "studies").rmdir()
    ended = python("-m", "studies.engine.status", "out", cwd=stranger, path=HOUSE)
    assert ended.returncode == 2
    assert "holds no study" in ended.stderr
    (stranger / "cluster.py").unlink()
    ended = python("-m", "cluster.preflight", "--address", "127.0.0.1:1", cwd=stranger, path=HOUSE)
    assert ended.returncode == 2
    assert "no Ray cluster answers" in ended.stderr


@pytest.mark.slow
@pytest.mark.ray
def test_workers_import_ours_from_a_folder_with_others(stranger: Path) -> None:
    ended = python(str(HOUSE / "studies" / "baselines.py"), *TINY, cwd=stranger, path=stranger)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert StudyFolder.read(stranger / "out").status() == {"ok": 2}
