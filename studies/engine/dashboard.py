"""A copy of a fixed design in Optuna's storage, for a live view: `optuna-dashboard OUT/optuna.journal`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mim4dd.registry import Flat
from studies.engine.arms import Setting
from studies.engine.design import BY_SEED, by_seed
from studies.engine.journal import cut_unfinished
from studies.engine.plan import Plan
from studies.engine.progress import say
from studies.engine.rows import Row
from studies.engine.space import Space, inside
from studies.engine.views import set_aside

STORAGE = "optuna.journal"
# Roles of the settings that are points of the design's space.
ROLES = ("default", "design")


class LiveDesign:
    """Copies each setting of a design to Optuna's storage once all its seeds have rows; does nothing without a space.

    The copy never stops a study: when the storage fails, one line says so, and the next run copies what is missing.
    Rows are passed to `add` once they are on disk.
    """

    def __init__(self, out: Path, name: str, question: str, plan: Plan, rows: dict[str, Row]) -> None:
        self.rows, self.space = rows, plan.space
        clean = {factor.name: factor.reference.label for factor in plan.factors}
        points = [setting for setting in plan.settings if setting.arm.role in ROLES and setting.levels == clean]
        configs = {trial.hash: trial.config for trial in plan.trials}
        self.knobs = {setting.setting: configs[setting.trials[0]] for setting in points}
        points = [setting for setting in points if plan.space and inside(plan.space, self.knobs[setting.setting])]
        self.setting_of_trial = {trial: setting for setting in points for trial in setting.trials}
        self.study = restored_storage(out / STORAGE, name, plan.space)[0] if points else None
        if self.study:
            describe(self.study, question, out)
        trials = self.study.get_trials(deepcopy=False) if self.study else ()
        self.copied = {trial.user_attrs["setting"] for trial in trials}
        for setting in points:
            self._copy_if_complete(setting)

    def add(self, row: Row) -> None:
        """Copy the setting of a row if it was the last of its seeds."""
        setting = self.setting_of_trial.get(row.trial)
        if setting is not None:
            self._copy_if_complete(setting)

    def _copy_if_complete(self, setting: Setting) -> None:
        if self.study is None or setting.setting in self.copied or any(h not in self.rows for h in setting.trials):
            return
        rows = [self.rows[h] for h in setting.trials]
        mean = sum(row.validation_mean for row in rows) / len(rows)
        about = {"setting": setting.setting, "role": setting.arm.role}
        try:
            self.study.add_trial(tried_trial(self.space, self.knobs[setting.setting], mean, rows, about))
        except Exception as error:  # noqa: BLE001 (Optuna raises what its storage, JSON or the disk does)
            self.study = None
            say(f"{STORAGE} takes no more settings ({first_line(error)}); the study goes on, rows are on disk")
            return
        self.copied.add(setting.setting)


def tried_trial(space: Space, knobs: Flat, score: float, rows: Sequence[Row], about: dict[str, Any]) -> Any:
    """A setting as a finished trial of Optuna; failed where the score is NaN.

    rows: of its seeds, which say when it ran; about: its user attributes besides the accuracies.
    """
    from optuna.trial import TrialState, create_trial

    trial = create_trial(
        params={axis.key: knobs[axis.key] for axis in space},
        distributions={axis.key: axis.distribution() for axis in space},
        user_attrs={**about, BY_SEED: {str(row.config["seed"]): by_seed(row.validation_mean) for row in rows}},
        value=None if math.isnan(score) else round(score, 6),
        state=TrialState.FAIL if math.isnan(score) else TrialState.COMPLETE,
    )
    times = [row.measured[when] for row in rows for when in ("started", "ended") if when in row.measured]
    if times:
        trial.datetime_start = datetime.fromtimestamp(min(times))
        trial.datetime_complete = datetime.fromtimestamp(max(times))
    return trial


def describe(study: Any, question: str, out: Path) -> None:
    """Say in Optuna's study what it is and where its answer is: the dashboard's panels have no intervals."""
    from optuna.exceptions import ExperimentalWarning

    about = {
        "question": question,
        "objective": f"mean validation accuracy of a setting over its seeds; each seed's: '{BY_SEED}'",
        "report": f"{(out / 'report.html').resolve()} (written when the study ends or is stopped)",
        "importance": "the dashboard's has no noise control; the report's is held against a knob that does nothing",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(["mean validation accuracy"])
    for name, text in about.items():
        if study.user_attrs.get(name) != text:
            study.set_user_attr(name, text)


def restored_storage(storage: Path, name: str, space: Space) -> tuple[Any, bool]:
    """As `open_storage`, but a file that Optuna cannot read, or that holds the knobs otherwise, is set aside.

    Returns: the study, and whether a file was set aside.
    """
    try:
        if storage.is_file() and cut_unfinished(storage):
            say(f"{storage.name} ended in an unfinished line, which was removed")
        study = open_storage(storage, name)
        held = {axis.key: axis.distribution() for axis in space}
        trials = study.get_trials(deepcopy=False)
        if any(held.get(key) != one for trial in trials for key, one in trial.distributions.items()):
            raise ValueError("an earlier version wrote it")
        return study, False
    except Exception as error:
        if isinstance(error, OSError) and not storage.is_dir():
            raise  # the disk's, not the content's
        say(set_aside(storage, f"cannot be read ({first_line(error)})"))
    return open_storage(storage, name), True


def first_line(error: Exception) -> str:
    """The first line of an error, or its type."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def open_storage(storage: Path, name: str) -> Any:
    """The Optuna study of that name in a journal file; creates what does not exist."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = JournalStorage(JournalFileBackend(str(storage)))
    return optuna.create_study(storage=journal, study_name=name, direction="maximize", load_if_exists=True)
