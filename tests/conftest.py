"""What all tests share."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mim4dd.errors import InputError
from mim4dd.memory import keep_freed_memory

# As in a worker: the tests' small steps are faster with it.
keep_freed_memory()

# Before anything imports torch or ray: idle OpenMP threads must not take the cores from workers.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray's workers give way to whatever else runs; beside a second process of tests they would hardly get a core.
os.environ.setdefault("RAY_worker_niceness", "0")

# Modules of tests that tests of several rooms use.
sys.path[:0] = [str(Path(__file__).with_name(room)) for room in ("faults", "cluster", "calibration", "benchmarks")]


def ended(folder: Path, words: list[str]) -> Path:
    """The folder, after a study with MLflow has run to its end in it."""
    from harness import run_of  # type: ignore[import-not-found]

    with run_of(folder) as run:
        run.words = [*words, "--out", "out"]
        assert run.finish() == 0, run.log
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of short trials that ran to its end, with MLflow."""
    from harness import SHORT  # type: ignore[import-not-found]

    return ended(tmp_path_factory.mktemp("study"), SHORT)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of trials that last: faults are held against its rows."""
    from harness import SMALL  # type: ignore[import-not-found]

    return ended(tmp_path_factory.mktemp("study"), SMALL)


@pytest.fixture
def refusal() -> Callable[[Callable[[], object]], str]:
    """refusal(read): the line of the InputError that `read` ends with, within seconds."""

    def refused(read: Callable[[], object]) -> str:
        told: list[BaseException] = []

        def run() -> None:
            try:
                read()
            except BaseException as error:  # noqa: BLE001 - told to the test, whatever it is
                told.append(error)

        # a daemon, so that one that waits for ever does not keep the tests from ending
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive(), "it waits for ever"
        assert told, "it was accepted"
        assert isinstance(told[0], InputError), repr(told[0])
        assert "\n" not in str(told[0])
        return str(told[0])

    return refused


def pytest_collection_finish() -> None:
    """What imports left is never garbage: collections need not walk it again and again."""
    gc.collect()
    gc.freeze()
