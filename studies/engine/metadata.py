"""The metadata of a study (study.json): the entries that decide its trials, their hash, and the code's commit."""

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
    """The content of study.json; its `hash` is over everything that decides the study's trials."""
    decides = {
        "study": study.name,
        "dataset": dataset_name(options.dataset),
        "protocol": options.protocol,
        "rules": RESULTS_VERSION,
        "design": options.flags.describe(),
        "selection": options.selection,
        # Without the parts, which came later: a study keeps its hash.
        "conditions": [_without_parts(condition.json()) for condition in plan.conditions],
        "seeds": list(options.seeds),
        "configuration": configuration.flat,
        # As text, for the hash: what is read are the axes.
        "space": [str(axis) for axis in plan.space],
    }
    text = json.dumps([decides, [trial.hash for trial in plan.trials]], sort_keys=True)
    return {
        **decides,
        "conditions": [condition.json() for condition in plan.conditions],
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
        "plugins": {plugin.identity: list(plugin.registered) for plugin in options.plugins.loaded},
        "knobs": {
            axis.key: {
                "symbol": axis.symbol,
                "help": axis.help or configuration.knobs[axis.key].help,
                "log": axis.log,
                "name": axis.name,
                "given": dict(axis.given),
            }
            for axis in plan.space
        },
    }


def _without_parts(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "parts"}


def configuration_of(study: Study[Any], options: Options[Any]) -> Configuration:
    """The configuration that the trials of a study share, with data set and results version.

    Raises: InputError, UnknownNameError or KnobError.
    """
    components = study.configure(options)
    if "source" in components.fixed:
        raise InputError("--set cannot change `source`, the kind of data set; use --dataset")
    return replace(components, flat={**shared_entries(options), **components.flat})


def git_commit() -> str:
    """The checkout's commit, with a + if files differ from it; "" outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--abbrev=10"]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return completed.stdout.strip() if completed.returncode == 0 else ""


def versions() -> dict[str, str]:
    """The versions of the packages that can change a result."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "numpy", "optuna", "ray", "mlflow", "mim4dd")}
