"""The sensitivity study with trials that go wrong as FAULT says: `raise`, `raise all` or `hang`, FAULT_TIMES times.

Each fault leaves a mark in FAULT_MARKS, so that it is known how often it has happened, in whatever process.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from studies.engine.command import main
from studies.engine.running import run_trial
from studies.engine.runs import Saved, StepCallback
from studies.engine.trial import Inputs, Outcome, Trial
from studies.sensitivity import STUDY


def faulty(trial: Trial, inputs: Inputs, device: str, saved: Saved, on_step: StepCallback | None) -> Outcome:
    """The base alone with seed 1 goes wrong, or every trial (`raise all`); each other trial is as it is."""
    one = trial.config.get("method.weight") == 0 and trial.config["seed"] == 1
    if one or os.environ["FAULT"] == "raise all":
        marks = Path(os.environ["FAULT_MARKS"])
        if len(list(marks.iterdir())) < int(os.environ["FAULT_TIMES"]):
            (marks / f"{time.time_ns()}").touch()
            if os.environ["FAULT"].startswith("raise"):
                raise ValueError("a fault that was asked for")
            time.sleep(10_000)
    return run_trial(trial, inputs, device, saved, on_step)


if __name__ == "__main__":
    import faulty_study  # as workers know it: not as __main__

    sys.exit(main(replace(STUDY, work=faulty_study.faulty)))
