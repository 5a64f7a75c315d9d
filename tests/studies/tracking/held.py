"""What MLflow holds of a study, and the processes that send one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from small_study import Study  # type: ignore[import-not-found]

from studies.engine.tracking import Tracker


def runs(uri: str) -> tuple[Run, list[Run]]:
    """The only parent, and its children in the order of their trials."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("mim4dd-sensitivity")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in found if "mim4dd.study" in run.data.tags]
    children = [run for run in found if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} <= {parent.info.run_id}
    return parent, sorted(children, key=lambda run: run.data.tags["mim4dd.trial"])


def begun(uri: str) -> bool:
    """Whether there is a parent: its experiment is made a moment earlier."""
    experiment = MlflowClient(uri).get_experiment_by_name("mim4dd-sensitivity")
    return experiment is not None and bool(MlflowClient(uri).search_runs([experiment.experiment_id]))


def files(uri: str, run: Run, folder: str | None = None) -> set[str]:
    return {artifact.path for artifact in MlflowClient(uri).list_artifacts(run.info.run_id, folder)}


def content(uri: str) -> Any:
    """Everything that a replay must leave as it is."""
    client, (parent, children) = MlflowClient(uri), runs(uri)
    histories = {
        (run.info.run_id, name): [
            (m.step, m.timestamp, m.value) for m in client.get_metric_history(run.info.run_id, name)
        ]
        for run in [parent, *children]
        for name in run.data.metrics
    }
    told = [(run.info.run_id, run.info.status, run.data.params, run.data.tags) for run in [parent, *children]]
    return told, histories, [files(uri, run) for run in children]


def tracked(study: Study, uri: str, said: list[str] | None = None) -> Tracker:
    return Tracker(uri, study.path, say=said.append if said is not None else pytest.fail)


def until(true: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(process: int) -> bool:
    """Whether a process runs: one that has ended and is waited for by nobody does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def sending(out: Path) -> list[int]:
    """The processes that send a study."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and alive(int(folder.name)):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            found += [int(folder.name)] if {b"studies.engine.tracking.sending", str(out).encode()} <= {*words} else []
    return found
