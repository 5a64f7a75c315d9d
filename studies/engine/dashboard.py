"""A copy of a fixed design in Optuna's storage, for a live view: `optuna-dashboard OUT/optuna.journal`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from studies.engine.arms import Setting
from studies.engine.plan import Plan
from studies.engine.rows import Row
from studies.engine.space import inside

STORAGE = "optuna.journal"
# Roles of the settings that are points of the design's space.
ROLES = ("default", "design")


class LiveDesign:
    """Copies each setting of a design to Optuna's storage once all its seeds have rows; does nothing without a space.

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
        self.study = open_storage(out / STORAGE, name) if points else None
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
        from optuna.trial import TrialState, create_trial

        accuracies = [self.rows[h].validation_mean for h in setting.trials]
        mean = sum(accuracies) / len(accuracies)
        knobs = self.knobs[setting.setting]
        self.study.add_trial(
            create_trial(
                params={axis.key: axis.sampled(knobs[axis.key]) for axis in self.space},
                distributions={axis.key: axis.distribution() for axis in self.space},
                user_attrs={"setting": setting.setting, "role": setting.arm.role},
                value=None if math.isnan(mean) else mean,
                state=TrialState.FAIL if math.isnan(mean) else TrialState.COMPLETE,
            )
        )
        self.copied.add(setting.setting)


def open_storage(storage: Path, name: str) -> Any:
    """The Optuna study of that name in a journal file; creates what does not exist."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = JournalStorage(JournalFileBackend(str(storage)))
    return optuna.create_study(storage=journal, study_name=name, direction="maximize", load_if_exists=True)
