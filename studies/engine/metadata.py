"""What a study is: the entries that decide its trials, their hash, and where the code stood."""

from __future__ import annotations

import datetime
import hashlib
import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mim4dd.configuration import Configuration
from mim4dd.data import source_digest
from mim4dd.protocol import PROTOCOL
from mim4dd.registry import Flat
from studies.engine.asked import Blocks
from studies.engine.options import Options

if TYPE_CHECKING:
    from studies.engine.study import Plan, Study


def shared_entries(options: Options) -> Flat:
    """What decides a trial besides its components and its seed."""
    return {
        "dataset": dataset_name(options.dataset),
        "dataset_digest": source_digest(options.dataset),
        "ipc": options.ipc,
        "split_seed": options.split_seed,
        "protocol": options.protocol,
        "rules": PROTOCOL,
        # What is not asked for is not named: trials on clean data are the same in every study.
        **({"classes_as": options.classes_as} if options.classes_as else {}),
        **({"selection": options.selection} if options.selection != "clean" else {}),
        **({"tail": options.tail} if options.tail else {}),
    }


def dataset_name(spec: str) -> str:
    """A data set's name in rows and titles: results must not depend on where its file lies."""
    kind, colon, path = spec.partition(":")
    where = Path(path)
    return f"{kind}:{where.stem if kind == 'npz' else where.name}" if colon else kind


def study_metadata(study: Study, options: Options, configuration: Configuration, plan: Plan) -> dict[str, Any]:
    """study.json: what the study is, and the hash of everything that decides its trials."""
    decides = {
        "study": study.name,
        "dataset": dataset_name(options.dataset),
        "protocol": options.protocol,
        "rules": PROTOCOL,
        "design": options.asked.told(),
        "selection": options.selection,
        "conditions": [one.json() for one in plan.conditions],
        "seeds": list(options.seeds),
        "configuration": configuration.flat,
        "space": [str(axis) for axis in plan.space],
    }
    # It changes the answer and no trial: the same study may be answered again with more beside it.
    beside = [str(path) for path in options.asked.beside] if isinstance(options.asked, Blocks) else []
    text = json.dumps([decides, [trial.hash for trial in plan.trials]], sort_keys=True)
    return {
        **decides,
        "conditions": [{**one.json(), "parts": list(one.parts)} for one in plan.conditions],
        "hash": hashlib.sha256(text.encode()).hexdigest()[:10],
        "title": study.title,
        "question": study.question,
        "command": options.command,
        **({"beside": beside} if beside else {}),
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
