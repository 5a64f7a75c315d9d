"""What the driver itself costs: trials that return at once, through the whole engine, at three sizes.

    python tests/benchmarks/scale.py            # 50, 500 and 5,000 trials, with MLflow (sqlite) and without
    python tests/benchmarks/scale.py 50 500

Prints a Markdown table: seconds a trial, the driver's peak memory, the size of OUT and of the tracking store. Nothing
else may run beside it. Each size is a process of its own; `run N` is one of them.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mim4dd.configuration import Configuration
from studies.answers.sensitivity.flags import DesignFlags
from studies.engine.answer import Answer, Sentence
from studies.engine.arms import Arm, Setting
from studies.engine.command import main
from studies.engine.configuring import configured
from studies.engine.folder import StudyFolder
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.runs import Saved
from studies.engine.study import Study
from studies.engine.trial import Inputs, Outcome, Trial

SIZES = (50, 500, 5_000)


def at_once(trial: Trial, inputs: Inputs, device: str, saved: Saved, on_step: Any) -> Outcome:
    """A trial that returns at once, with a row and a history of usual size."""
    now = time.time()
    result = {
        "status": "ok",
        "selection": "clean",
        "validation_accuracy": [0.5] * 5,
        "validation_recall": [[0.5] * 10] * 5,
        "failed_by": [],
        "failures": {},
    }
    history = [{"iteration": float(i), "loss/dm": 1.0, "gradient_norm/dm": 1.0} for i in range(25)]
    return Outcome(trial, result, {"test_accuracy": [0.5] * 5}, times(now), history)


def times(now: float) -> dict[str, Any]:
    return {"seconds": 0.0, "started": now, "ended": now, "device": "cpu", "threads": 1, "node": platform.node()}


def plan(options: Options, configuration: Configuration) -> Plan:
    """One seed a trial, five trials a setting."""
    assert isinstance(options.flags, DesignFlags)
    trials = [Trial.of(configuration.flat | {"seed": i}) for i in range(options.flags.settings)]
    hashes = [trial.hash for trial in trials]
    arms = [Arm(f"random-{i}", "random") for i in range(len(trials) // 5)]
    settings = [Setting(i, arm, trials=tuple(hashes[5 * i : 5 * i + 5])) for i, arm in enumerate(arms)]
    return Plan((), tuple(settings), tuple(trials))


def answer(folder: StudyFolder) -> Answer:
    return Answer(sentences=(Sentence(f"{len(folder.rows)} rows"),))


STUDY = Study(
    name="scale",
    title="What does the driver cost?",
    question="How long does a trial take that does nothing?",
    description=__doc__ or "",
    flags=DesignFlags,
    configure=lambda options: configured(options, {"method": "random"}),
    plan=plan,
    answer=answer,
    work=at_once,
)


def run(count: int, offline: bool) -> dict[str, float]:
    """One study in this process; what it took between the first row and the last, and what it left."""
    out = Path("out")
    words = ["--settings", str(count), "--seeds", "0-4", "--out", str(out), *(["--offline"] if offline else [])]
    began = time.time()
    assert main(STUDY, words) == 0
    took = time.time() - began
    ended = sorted(json.loads(line)["measured"]["ended"] for line in (out / "rows.jsonl").open())
    assert len(ended) == count
    tenth = max(2, count // 10)
    return {
        "took": took,
        "each": (ended[-1] - ended[0]) / (count - 1),
        "last_tenth": (ended[-1] - ended[-tenth]) / (tenth - 1),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "out": size(out),
        "store": size(Path("mlflow.db")) + size(Path("mlruns")),
    }


def size(path: Path) -> float:
    """MiB of a file or a folder."""
    files = path.rglob("*") if path.is_dir() else [path] if path.exists() else []
    return sum(file.stat().st_size for file in files if file.is_file()) / 2**20


def table(sizes: list[int]) -> None:
    columns = ["trials", "MLflow", "whole run, s", "ms a trial", "ms a trial, last tenth", "driver's peak, MiB"]
    columns += ["OUT, MiB", "store, MiB"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for count in sizes:
        for offline in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                asked = [sys.executable, __file__, "run", str(count), "offline" if offline else "sqlite"]
                here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}  # workers import this file
                ended = subprocess.run(asked, cwd=folder, env=here, capture_output=True, text=True, check=False)
                if ended.returncode:
                    sys.exit(ended.stdout + ended.stderr)
                found = json.loads(ended.stdout.splitlines()[-1])
            cells = [f"{found['took']:.0f}", f"{1000 * found['each']:.1f}", f"{1000 * found['last_tenth']:.1f}"]
            cells += [f"{found['peak']:.0f}", f"{found['out']:.1f}", f"{found['store']:.1f}"]
            print(f"| {count} | {'no' if offline else 'sqlite'} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        import scale  # type: ignore[import-not-found]  # as workers know it: not as __main__

        print(json.dumps(scale.run(int(sys.argv[2]), sys.argv[3] == "offline")))
    else:
        table([int(word) for word in sys.argv[1:]] or list(SIZES))
