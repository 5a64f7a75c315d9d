"""What all tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mim4dd.memory import keep_freed_memory

# As in a worker: the tests' small steps are faster with it.
keep_freed_memory()

# Before anything imports torch or ray: idle OpenMP threads must not take the cores from workers.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# Modules of tests that tests of several rooms use.
sys.path[:0] = [str(Path(__file__).with_name(room)) for room in ("faults", "cluster", "calibration")]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small study that ran to its end, with MLflow; faults are held against its rows."""
    from harness import SMALL, run_of  # type: ignore[import-not-found]

    folder = tmp_path_factory.mktemp("study")
    with run_of(folder) as run:
        run.words = [*SMALL, "--out", "out"]
        assert run.finish() == 0, run.log
    return folder
