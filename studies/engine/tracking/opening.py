"""A study's experiment and parent run in MLflow: found, or created."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studies.engine.folder import StudyFolder
from studies.engine.tracking import browser, describe
from studies.engine.tracking.database import database
from studies.engine.tracking.server import client
from studies.engine.tracking.view import STUDY, View, entities, user

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KIND = "custom_model_development"  # opens the web page on training, not on language models


def open_view(uri: str, folder: StudyFolder, *, live: bool) -> View:
    """Find or create the experiment and the parent run, and store the prepared views.

    live: whether the study, and so its parent run, is running. May raise whatever MLflow raises, and be called again.
    """
    tracking = client(uri)
    experiment = _experiment(uri, folder, tracking)
    run = _parent(folder, tracking, experiment, live)
    view = View(uri, folder, experiment, run or _new_parent(folder, tracking, experiment), fresh=not run)
    if not run:
        view.log_dataset(view.parent, folder.study["configuration"], "clean")
    # Of the experiment, and of this study each trial and means over seeds.
    views = {browser.ALL: browser.state(folder)} | {
        browser.key(folder, means=means): browser.state(folder, view.parent, means=means) for means in (False, True)
    }
    for key, content in views.items():
        tracking.set_experiment_tag(experiment, f"{browser.PREFIX}{key}", content)
    return view


def experiment_name(folder: StudyFolder) -> str:
    """The experiment of a study; all studies of one script share it."""
    return f"mim4dd-{folder.name}"


def _experiment(uri: str, folder: StudyFolder, tracking: MlflowClient) -> str:
    """The experiment's id; the experiment is created if missing and restored if deleted."""
    from mlflow.exceptions import MlflowException

    name = experiment_name(folder)
    experiment = tracking.get_experiment_by_name(name)
    if experiment is None:
        # Artifacts lie beside the SQLite file, wherever the study was started; a server has a location of its own.
        path = database(uri)
        artifacts = (path.parent / "mlruns" / name).as_uri() if path else None
        try:
            created = str(tracking.create_experiment(name, artifacts, {"mlflow.experimentKind": KIND}))
            note = describe.experiment(folder.study).replace("\n\n", f"\n\n{describe.look(created)}", 1)
            tracking.set_experiment_tag(created, "mlflow.note.content", note)
            return created
        except MlflowException:
            experiment = tracking.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        tracking.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def _parent(folder: StudyFolder, tracking: MlflowClient, experiment: str, live: bool) -> str:
    """The parent's run id, "" if there is none."""
    runs = tracking.search_runs([experiment], f"tags.`{STUDY}` = '{folder.identifier}'")
    if not runs:
        return ""
    oldest: Run = min(runs, key=lambda run: (run.info.start_time, run.info.run_id))
    if live and oldest.info.status != "RUNNING":
        tracking.update_run(oldest.info.run_id, status="RUNNING")
    return str(oldest.info.run_id)


def _new_parent(folder: StudyFolder, tracking: MlflowClient, experiment: str) -> str:
    study = folder.study
    tags = describe.tags(study) | {STUDY: folder.identifier, "out": folder.path.name, "mlflow.user": user()}
    tags["mlflow.note.content"] = describe.parent(folder, experiment)
    started = int(1000 * describe.moment(study["created"]))
    run = tracking.create_run(experiment, started, tags, describe.name(study)).info.run_id
    tracking.log_batch(run, params=entities("Param", describe.parameters(study)))
    return str(run)
