"""A copy of a fixed design in Optuna's storage, for a live view: `optuna-dashboard OUT/optuna.journal`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mim4dd.registry import Flat
from studies.engine.arms import Setting
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

    def __init__(self, out: Path, name: str, plan: Plan, rows: dict[str, Row]) -> None:
        self.rows, self.space = rows, plan.space
        clean = {factor.name: factor.reference.label for factor in plan.factors}
        points = [setting for setting in plan.settings if setting.arm.role in ROLES and setting.levels == clean]
        configs = {trial.hash: trial.config for trial in plan.trials}
        self.knobs = {setting.setting: configs[setting.trials[0]] for setting in points}
        points = [setting for setting in points if plan.space and inside(plan.space, self.knobs[setting.setting])]
        self.setting_of_trial = {trial: setting for setting in points for trial in setting.trials}
        self.study = restored_storage(out / STORAGE, name)[0] if points else None
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
        accuracies = [self.rows[h].validation_mean for h in setting.trials]
        mean = sum(accuracies) / len(accuracies)
        about = {"setting": setting.setting, "role": setting.arm.role}
        try:
            self.study.add_trial(tried_trial(self.space, self.knobs[setting.setting], mean, about))
        except Exception as error:  # noqa: BLE001 (Optuna raises what its storage, JSON or the disk does)
            self.study = None
            say(f"{STORAGE} takes no more settings ({first_line(error)}); the study goes on, rows are on disk")
            return
        self.copied.add(setting.setting)


def tried_trial(space: Space, knobs: Flat, score: float, about: dict[str, Any]) -> Any:
    """A setting as a finished trial of Optuna; failed where the score is NaN. about: its user attributes."""
    from optuna.trial import TrialState, create_trial

    return create_trial(
        params={axis.key: axis.sampled(knobs[axis.key]) for axis in space},
        distributions={axis.key: axis.distribution() for axis in space},
        user_attrs=about,
        value=None if math.isnan(score) else score,
        state=TrialState.FAIL if math.isnan(score) else TrialState.COMPLETE,
    )


def restored_storage(storage: Path, name: str) -> tuple[Any, bool]:
    """As `open_storage`, but a file that Optuna cannot read is set aside; returns the study, and whether one was."""
    try:
        if storage.is_file() and cut_unfinished(storage):
            say(f"{storage.name} ended in an unfinished line, which was removed")
        study = open_storage(storage, name)
        study.get_trials(deepcopy=False)
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
