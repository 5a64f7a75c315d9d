"""What the driver itself costs: trials that return at once, through the whole engine, at three sizes.

    python tests/benchmarks/scale.py            # 50, 500 and 5,000 trials, with MLflow (sqlite) and without
    python tests/benchmarks/scale.py 50 500

Prints a Markdown table: milliseconds a trial, of the clock and of the driver's own processor time; the driver's memory
along the rows; what the process that sends to MLflow took of a processor for a trial and of memory, and how many trials
it had sent when the study ended; the sizes of OUT and of the store. Nothing else may run beside it. Each size is a
process of its own; `run N sqlite|offline` is one of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from mim4dd.configuration import Configuration
from studies.engine.answer import Answer, Sentence
from studies.engine.arms import Arm, Setting
from studies.engine.command import main
from studies.engine.configuring import configured
from studies.engine.flags import Flags
from studies.engine.folder import StudyFolder
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.runs import Saved
from studies.engine.study import Study
from studies.engine.trial import Inputs, Outcome, Trial

SIZES = (50, 500, 5_000)
ROOT = Path(__file__).parents[2]
# Of the rows, at which the driver's memory is told.
SHARES = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
SENDER = "studies.engine.tracking.sending"
# Of a trial: as many reports as a real one has.
HISTORY = [{"iteration": float(i), "loss/dm": 1.0, "gradient_norm/dm": 1.0} for i in range(25)]


@dataclass(frozen=True)
class Count(Flags):
    """How many trials."""

    trials: int = 50

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--trials", type=int, default=50)

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Count:
        return cls(arguments.trials)

    def describe(self) -> str:
        return f"{self.trials} trials"


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
    return Outcome(trial, result, {"test_accuracy": [0.5] * 5}, times(now), HISTORY)


def times(now: float) -> dict[str, Any]:
    return {"seconds": 0.0, "started": now, "ended": now, "device": "cpu", "threads": 1, "node": platform.node()}


def plan(options: Options[Count], configuration: Configuration) -> Plan:
    return plan_of(configuration, options.flags.trials)


def plan_of(configuration: Configuration, count: int) -> Plan:
    """One seed a trial, five trials a setting, fewer in the last."""
    trials = [Trial.of(configuration.flat | {"seed": seed}) for seed in range(count)]
    hashes = [trial.hash for trial in trials]
    arms = [Arm(f"random-{i}", "random") for i in range(-(-count // 5))]
    settings = [Setting(i, arm, trials=tuple(hashes[5 * i : 5 * i + 5])) for i, arm in enumerate(arms)]
    return Plan((), tuple(settings), tuple(trials))


def answer(folder: StudyFolder) -> Answer:
    return Answer(sentences=(Sentence(f"{len(folder.rows)} rows"),))


STUDY = Study(
    name="scale",
    title="What does the driver cost?",
    question="How long does a trial take that does nothing?",
    description=__doc__ or "",
    flags=Count,
    configure=lambda options: configured(options, {"method": "random"}),
    plan=plan,
    answer=answer,
    work=at_once,
)


class Sample(NamedTuple):
    """A moment: seconds since 1970, rows on disk, the driver's processor seconds and MiB, those of what sends."""

    at: float
    rows: int
    seconds: float
    mib: float
    sender_seconds: float
    sender_mib: float


class Sampler(threading.Thread):
    """Looks at this process and the one that sends to MLflow, twice a second."""

    def __init__(self, rows: Path) -> None:
        super().__init__(daemon=True)
        self.rows, self.samples = rows, [Sample(0.0, 0, 0.0, 0.0, 0.0, 0.0)]
        self.ended = threading.Event()
        self.sender: psutil.Process | None = None

    def run(self) -> None:
        position = count = 0
        while not self.ended.wait(0.5):
            if self.rows.exists():
                with self.rows.open("rb") as file:
                    file.seek(position)
                    new = file.read()
                position, count = position + len(new), count + new.count(b"\n")
            self.samples.append(self._sample(count))

    def _sample(self, rows: int) -> Sample:
        here = psutil.Process()
        return Sample(time.time(), rows, time.process_time(), mib_of(here), *self._sender())

    def _sender(self) -> tuple[float, float]:
        if self.sender is None:
            found = [one for one in psutil.Process().children() if SENDER in " ".join(one.cmdline())]
            self.sender = found[0] if found else None
        try:
            assert self.sender is not None
            times = self.sender.cpu_times()
            return times.user + times.system, mib_of(self.sender)
        except (AssertionError, psutil.NoSuchProcess):
            return self.samples[-1].sender_seconds, self.samples[-1].sender_mib


def mib_of(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


def run(count: int, offline: bool) -> dict[str, Any]:
    """One study in this process: what it took between the first row and the last, and what it left."""
    out = Path("out")
    words = ["--trials", str(count), "--seeds", "0-4", "--out", str(out), *(["--offline"] if offline else [])]
    sampler = Sampler(out / "rows.jsonl")
    sampler.start()
    began = time.time()
    assert main(STUDY, words) == 0
    took = time.time() - began
    sampler.ended.set()
    sampler.join()
    ended = sorted(json.loads(line)["measured"]["ended"] for line in (out / "rows.jsonl").open())
    assert len(ended) == count
    tenth = max(2, count // 10)
    during = [sample for sample in sampler.samples if 0 < sample.rows < count]
    first, last = during[0], during[-1]
    return {
        "took": took,
        "each": (ended[-1] - ended[0]) / (count - 1),
        "last_tenth": (ended[-1] - ended[-tenth]) / (tenth - 1),
        "driver": (last.seconds - first.seconds) / max(1, last.rows - first.rows),
        "mib": [next(one.mib for one in sampler.samples if one.rows >= share * count) for share in SHARES],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "sender_seconds": sampler.samples[-1].sender_seconds,
        "sender_peak": max(sample.sender_mib for sample in sampler.samples),
        "out": size(out),
        "store": size(Path("mlflow.db")) + size(Path("mlruns")),
    }


def size(path: Path) -> float:
    """MiB of a file or a folder."""
    files = path.rglob("*") if path.is_dir() else [path] if path.exists() else []
    return sum(file.stat().st_size for file in files if file.is_file()) / 2**20


def table(sizes: list[int], stores: list[str]) -> None:
    columns = [
        "trials",
        "MLflow",
        "whole run, s",
        "ms a trial",
        "ms a trial, last tenth",
        "driver's processor, ms a trial",
    ]
    shares = " ".join(f"{share:.0%}" for share in SHARES)
    columns += [f"driver, MiB at {shares} of the rows", "sent in time"]
    columns += ["sending, processor ms a trial", "sending, MiB", "OUT, MiB", "store, MiB"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for count in sizes:
        for store in stores:
            with tempfile.TemporaryDirectory() as folder:
                asked = [sys.executable, __file__, "run", str(count), store]
                here = {**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}  # workers import this file
                ended = subprocess.run(asked, cwd=folder, env=here, capture_output=True, text=True, check=False)
                if ended.returncode:
                    sys.exit(ended.stdout + ended.stderr)
            found = json.loads(ended.stdout.splitlines()[-1])
            missing = re.search(r"^([\d,]+) finished trials? did not reach MLflow", ended.stderr, re.M)
            sent = count - int(missing[1].replace(",", "")) if missing else count
            cells = [f"{found['took']:.0f}"] + [
                f"{1000 * found[name]:.1f}" for name in ("each", "last_tenth", "driver")
            ]
            cells.append(" ".join(f"{mib:.0f}" for mib in found["mib"]))
            if store == "offline":
                cells += ["", "", ""]
            else:
                cells += [str(sent), f"{1000 * found['sender_seconds'] / sent:.1f}", f"{found['sender_peak']:.0f}"]
            cells += [f"{found['out']:.1f}", f"{found['store']:.1f}"]
            print(f"| {count} | {'no' if store == 'offline' else store} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        import scale  # as workers know it: not as __main__

        print(json.dumps(scale.run(int(sys.argv[2]), sys.argv[3] == "offline")))
    else:
        table([int(word) for word in sys.argv[1:] if word.isdigit()] or list(SIZES), ["offline", "sqlite"])
