"""A fixed design in Optuna's storage, setting by setting as it is finished, for optuna-dashboard to show live.

optuna-dashboard OUT/optuna.journal
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from studies.engine.arms import Setting
from studies.engine.plan import Plan
from studies.engine.rows import Row
from studies.engine.space import inside

STORAGE = "optuna.journal"
TRIED = ("default", "design")


class Live:
    """The settings of a plan with knobs; none where a study compares methods. `add` each row once it is on disk."""

    def __init__(self, out: Path, name: str, plan: Plan, rows: dict[str, Row]) -> None:
        self.rows, self.space = rows, plan.space
        clean = {factor.name: factor.reference.label for factor in plan.factors}
        tried = [one for one in plan.settings if one.arm.role in TRIED and one.levels == clean]
        configs = {trial.hash: trial.config for trial in plan.trials}
        self.knobs = {one.setting: configs[one.trials[0]] for one in tried}
        tried = [one for one in tried if plan.space and inside(plan.space, self.knobs[one.setting])]
        self.place = {trial: setting for setting in tried for trial in setting.trials}
        self.study = opened(out / STORAGE, name) if tried else None
        self.there = (
            {one.user_attrs["setting"] for one in self.study.get_trials(deepcopy=False)} if self.study else set()
        )
        for setting in tried:
            self._show(setting)

    def add(self, row: Row) -> None:
        """Show the setting of a row when it was the last of its seeds."""
        setting = self.place.get(row.trial)
        if setting is not None:
            self._show(setting)

    def _show(self, setting: Setting) -> None:
        if self.study is None or setting.setting in self.there or any(h not in self.rows for h in setting.trials):
            return
        from optuna.trial import TrialState, create_trial

        found = [self.rows[h].validation_mean for h in setting.trials]
        mean = sum(found) / len(found)
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
        self.there.add(setting.setting)


def opened(storage: Path, name: str) -> Any:
    """The study of that name, begun if it is not there."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = JournalStorage(JournalFileBackend(str(storage)))
    return optuna.create_study(storage=journal, study_name=name, direction="maximize", load_if_exists=True)
