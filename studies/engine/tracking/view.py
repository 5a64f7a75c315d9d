"""One study in MLflow: an experiment, a parent run for the study's folder, a child run for each finished trial.

Runs are identified by our own tags and have the times of their rows, so sending a row again changes nothing. A child
that has ended and has its row's digest is complete, because ending it is the last step.
"""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mim4dd.durable import read_json
from mim4dd.errors import InputError
from studies.engine.arms import Setting
from studies.engine.folder import StudyFolder, read_settings
from studies.engine.reading import checked, reason
from studies.engine.rows import Row, each_row
from studies.engine.tracking import describe, mlflow_fields, varied
from studies.engine.tracking.server import client

PARENT, STUDY, TRIAL, ROW = "mlflow.parentRunId", "mim4dd.study", "mim4dd.trial", "mim4dd.row"
ENDED = {"FINISHED", "FAILED"}


class Child(NamedTuple):
    """A child run. run: its id; row: the digest of the row that was sent; failed_by: its tag, "" without one."""

    run: str
    row: str
    complete: bool
    failed_by: str


class View:
    """Sends rows to the runs of a study.

    Any method may raise whatever MLflow raises, and may be called again.
    """

    def __init__(self, uri: str, folder: StudyFolder, experiment: str, parent: str, *, fresh: bool = False) -> None:
        """experiment, parent: the ids that `open_view` found; fresh: whether the parent has no children yet."""
        self.folder, self.client, self.user = folder, client(uri), user()
        self.experiment, self.parent = experiment, parent
        self.known: dict[str, Child] | None = {} if fresh else None
        self.doubtful: set[str] = set()
        self.last_ended = 0

    def send(self, row: Row) -> bool:
        """Send one finished trial; returns False if MLflow has it already."""
        trial, content = row.trial, mlflow_fields.digest(row)
        self.last_ended = max(self.last_ended, mlflow_fields.times(row)[1])
        if self.known is None:
            self.known = dict(self._children(f"tags.`{PARENT}` = '{self.parent}'"))
        if trial in self.doubtful:
            condition = f"tags.`{PARENT}` = '{self.parent}' AND tags.`{TRIAL}` = '{trial}'"
            self.known |= dict(self._children(condition))
        child = self.known.get(trial)
        if child is not None and child.row != content:
            # The trial was run again: metrics of two runs must not mix in one history.
            self.client.delete_run(child.run)
            del self.known[trial]
            child = None
        if child is not None and child.complete:
            return False
        # A request may fail after the server has executed it: until all is sent, what has arrived is unknown.
        self.doubtful.add(trial)
        self._write(row, content, child)
        self.doubtful.discard(trial)
        return True

    def finish(self, status: str) -> None:
        """Write the parent's description with the answer, its metrics and files, and end the run."""
        from mlflow.entities import Metric, RunTag

        ended, out = self.last_ended or int(1000 * time.time()), self.folder.path
        summary = self.folder.summary().items()
        numbers = {mlflow_fields.allowed(name): float(value) for name, value in summary if mlflow_fields.usable(value)}
        metrics = [Metric(name, value, ended, 0) for name, value in numbers.items()]
        self._mark(self.folder.failed())
        text = describe.parent(self.folder, self.experiment, describe.answer(self.folder))
        note = RunTag("mlflow.note.content", text)
        self.client.log_batch(self.parent, metrics, tags=[note])
        packed = (f"{name}.jsonl{end}" for name in ("settings", "rows") for end in ("", ".gz"))
        for name in ("answer.md", "report.html", "study.json", *packed):
            if (out / name).is_file():
                self.client.log_artifact(self.parent, str(out / name))
        for name in ("figures", "tables"):
            if (out / name).is_dir():
                self.client.log_artifacts(self.parent, str(out / name), name)
        self.client.set_terminated(self.parent, status, ended)

    def _mark(self, failures: Mapping[str, list[str]]) -> None:
        """Update each trial's failure modes with those that only groups of trials show. failures: these, by trial."""
        if self.known is None:
            self.known = dict(self._children(f"tags.`{PARENT}` = '{self.parent}'"))
        for row in each_row(self.folder.path, unfinished=True):
            child = self.known.get(row.trial)
            if child is None or child.row != mlflow_fields.digest(row):
                continue  # a later row of the trial was sent, or none
            modes = mlflow_fields.failed_by([*row.failed_by, *failures.get(row.trial, [])])
            if (child.failed_by or row.trial in failures) and child.failed_by != modes:
                note = describe.trial(row, self._setting(row), self.folder, modes)
                tags = {"failed_by": modes, "mlflow.note.content": note}
                self.client.log_batch(child.run, tags=entities("RunTag", tags))
                self.known[row.trial] = child._replace(failed_by=modes)

    def _children(self, condition: str) -> Iterator[tuple[str, Child]]:
        """The child runs by trial; of two runs of one trial, the incomplete or else the younger one is deleted.

        condition: MLflow's filter string.
        """
        best: dict[str, tuple[bool, int, str]] = {}
        token = ""
        while token is not None:
            page = self.client.search_runs([self.experiment], condition, max_results=1000, page_token=token or None)
            for run in page:
                tags = run.data.tags
                trial, complete = tags.get(TRIAL, ""), run.info.status in ENDED
                rank = (not complete, run.info.start_time, run.info.run_id)
                if trial in best:
                    rank, extra = sorted((best[trial], rank))
                    self.client.delete_run(extra[2])
                best[trial] = rank
                if rank[2] == run.info.run_id:
                    yield trial, Child(run.info.run_id, tags.get(ROW, ""), complete, tags.get("failed_by", ""))
            token = page.token

    def _write(self, row: Row, content: str, child: Child | None) -> None:
        """Write a trial's run and end it. content: the row's digest; child: the incomplete run, None for a new one."""
        setting, study, files = self._setting(row), self.folder.study, self.folder.path / "trials" / row.trial
        started, ended = mlflow_fields.times(row)
        tags = mlflow_fields.tags(row, setting, study)
        modes = tags.get("failed_by", "")
        tags["mlflow.note.content"] = describe.trial(row, setting, self.folder, modes)
        if child is not None:
            run = child.run
        else:
            tags |= {PARENT: self.parent, TRIAL: row.trial, ROW: content, "mlflow.user": self.user}
            run = self.client.create_run(
                self.experiment, started, tags, mlflow_fields.run_name(row, setting)
            ).info.run_id
        assert self.known is not None
        self.known[row.trial] = Child(run, content, False, modes)
        history = _history(files / "history.json")
        metrics, parameters = (
            mlflow_fields.points(row, history),
            varied.parameters(row, setting, self.folder) | mlflow_fields.parameters(row, study.get("knobs") or {}),
        )
        self.client.log_batch(run, entities("Metric", metrics), entities("Param", parameters))
        self.log_dataset(run, row.config, mlflow_fields.condition(row, study))
        for name in ("synthetic.png", "synthetic.safetensors", "history.json"):
            if (files / name).is_file():
                self.client.log_artifact(run, str(files / name))
        self.client.set_terminated(run, "FINISHED" if row.status == "ok" else "FAILED", ended)
        self.known[row.trial] = Child(run, content, True, modes)

    def log_dataset(self, run: str, config: Mapping[str, Any], condition: str) -> None:
        """Log a run's training data; logging the same again changes nothing."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        study = self.folder.study
        name = mlflow_fields.dataset_name(str(study["dataset"]), condition)
        source = json.dumps(mlflow_fields.dataset_source(config))
        dataset = Dataset(name, str(study.get("data_digest") or "unknown"), "mim4dd", source)
        self.client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def _setting(self, row: Row) -> Setting:
        """A trial's setting; for an unknown trial settings.jsonl is read again, because a search extends it."""
        if row.trial not in self.folder.planned:
            self.folder = replace(self.folder, settings=read_settings(self.folder.path))
        return self.folder.planned.get(row.trial) or mlflow_fields.suggested(row, self.folder)


def _history(path: Path) -> list[dict[str, float | None]]:
    """What history.json holds; none when there is no such file.

    Raises: InputError.
    """
    try:
        return checked(read_json(path) or [], list[dict[str, float | None]])
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({reason(error)}); restore it, or move it away") from error


def entities(kind: str, values: Any) -> list[Any]:
    """MLflow's entities of a kind, such as `Metric`. values: a dictionary, or tuples of the entity's arguments."""
    from mlflow import entities as mlflow_entities

    entity = getattr(mlflow_entities, kind)
    return [entity(*value) for value in (values.items() if isinstance(values, dict) else values)]


def user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
