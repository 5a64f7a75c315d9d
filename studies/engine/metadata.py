"""What a study is: the entries that decide its trials, their hash, and where the code stood."""

from __future__ import annotations

import datetime
import hashlib
import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mim4dd.configuration import Configuration
from mim4dd.errors import InputError
from mim4dd.protocol import RESULTS_VERSION
from studies.engine.configuring import dataset_name, shared_entries
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.study import Study


def study_metadata(
    study: Study[Any], options: Options[Any], configuration: Configuration, plan: Plan
) -> dict[str, Any]:
    """study.json: what the study is, and the hash of everything that decides its trials."""
    decides = {
        "study": study.name,
        "dataset": dataset_name(options.dataset),
        "protocol": options.protocol,
        "rules": RESULTS_VERSION,
        "design": options.flags.describe(),
        "selection": options.selection,
        "conditions": [one.json() for one in plan.conditions],
        "seeds": list(options.seeds),
        "configuration": configuration.flat,
        "space": [str(axis) for axis in plan.space],
    }
    text = json.dumps([decides, [trial.hash for trial in plan.trials]], sort_keys=True)
    return {
        **decides,
        "conditions": [{**one.json(), "parts": list(one.parts)} for one in plan.conditions],
        "hash": hashlib.sha256(text.encode()).hexdigest()[:10],
        "title": study.title,
        "question": study.question,
        "command": options.command,
        **options.flags.metadata(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"),
        "git_commit": git_commit(),
        "versions": versions(),
        "axes": [asdict(axis) for axis in plan.space],
        "factors": [factor.json() for factor in plan.factors],
        "fixed": list(configuration.fixed),
        "knobs": {
            axis.key: {"symbol": axis.symbol, "help": configuration.knobs[axis.key].help, "log": axis.log}
            for axis in plan.space
        },
    }


def configuration_of(study: Study[Any], options: Options[Any]) -> Configuration:
    """What the trials of a study share, data set and results version included.

    Raises: InputError, UnknownNameError or KnobError.
    """
    components = study.configure(options)
    if "source" in components.fixed:
        raise InputError("--set source is not for data sets; name one with --dataset")
    return replace(components, flat={**shared_entries(options), **components.flat})


def git_commit() -> str:
    """The checkout's commit, with a + when files differ from it; "" where there is no checkout."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--abbrev=10"]
    try:
        found = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def versions() -> dict[str, str]:
    """The versions that can move a number."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "numpy", "optuna", "ray", "mlflow", "mim4dd")}
