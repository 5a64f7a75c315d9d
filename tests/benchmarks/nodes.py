"""How many workers one driver keeps busy: trials that sleep, on a real Ray cluster of many raylets on this machine.

    python tests/benchmarks/nodes.py                              # 6 nodes of 3 CPUs (10 GB), 4 lengths, 4 minutes
    python tests/benchmarks/nodes.py --nodes 2 --seconds 2,1,.5,.25 --each 20
    python tests/benchmarks/nodes.py --nodes 2 --seconds 20,4 --each 80 --lost 2   # workers that die
    python tests/benchmarks/nodes.py monitor                      # heartbeats and checkpoints that one monitor takes

A trial sleeps, with heartbeats and checkpoints as a real one has, whose state is that of ten 32x32 images a class with
momentum; one in 50 raises. What limits is the number of trials a second, so that few workers with short trials stand
for many with long ones; whether that is so shows where the number of nodes differs and the rate does not. Prints a
Markdown table, a line for each length: busy is the share of the time for which workers had a trial, between the first
moment at which all had one of that length and the last start. Nothing else may run beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from scale import HISTORY, ROOT, Sample, Sampler, plan_of

from mim4dd.configuration import Configuration
from studies.engine.answer import Answer, Sentence
from studies.engine.command import main
from studies.engine.configuring import configured
from studies.engine.flags import Flags
from studies.engine.folder import StudyFolder
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.runs import Saved
from studies.engine.signals import WITH_ERRORS
from studies.engine.study import Study
from studies.engine.trial import Inputs, Outcome, Trial

# What the processes of the cluster are told.
ASKED = "MIM4DD_NODES"
CHECKPOINT_SECONDS = 5
PREFLIGHT_SECONDS = 180
STATE_FLOATS = 2 * 10 * 10 * 3 * 32 * 32
RAISES = 50
WORKER_GIB, NODE_GIB = 0.45, 0.3


@dataclass(frozen=True)
class Phase:
    """Trials of one length. lost: how many of them kill their worker, once, after half of it."""

    seconds: float
    trials: int
    lost: int = 0

    def loses(self, place: int) -> bool:
        """Whether the trial at a place of the phase kills its worker; they lie evenly in it."""
        return self.lost > 0 and place % (self.trials // self.lost) == self.trials // self.lost // 2


@dataclass
class Nap:
    """A trial in progress, as the session sees it."""

    trial: Trial
    slept: float

    @property
    def progress(self) -> str:
        return f"sleeping, {self.slept:.0f} s"

    def state_dict(self) -> dict[str, Any]:
        import torch

        return {"slept": self.slept, "images": torch.zeros(STATE_FLOATS)}


def phases() -> list[Phase]:
    return [Phase(*values) for values in json.loads(os.environ[ASKED])["phases"]]


def place_of(seed: int) -> tuple[int, int]:
    """The phase of a trial, and its place there."""
    place = seed
    for number, phase in enumerate(phases()):
        if place < phase.trials:
            return number, place
        place -= phase.trials
    raise ValueError(f"no phase has trial {seed}")


def sleep(trial: Trial, inputs: Inputs, device: str, saved: Saved, on_step: Any) -> Outcome:
    """A trial that sleeps for .8 to 1.2 times the seconds of its phase."""
    seed = int(trial.config["seed"])
    number, place = place_of(seed)
    phase, nap, began = phases()[number], Nap(trial, saved.state["slept"] if saved.state else 0.0), time.time()
    seconds = phase.seconds * (0.8 + 0.4 * (seed * 0.618 % 1))
    killed = Path(json.loads(os.environ[ASKED])["folder"]) / f"killed-{seed}"
    while nap.slept < seconds:
        step = min(0.5, seconds - nap.slept)
        time.sleep(step)
        nap.slept += step
        on_step(nap)
        if nap.slept >= seconds / 2 and phase.loses(place) and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if place % RAISES == RAISES - 1:
        raise RuntimeError("one of the trials that raise")
    now = time.time()
    result = {"status": "ok", "selection": "clean", "validation_accuracy": [0.5] * 5, "failed_by": [], "failures": {}}
    measured = {"seconds": now - began, "started": began, "ended": now, "device": device, "node": platform.node()}
    return Outcome(trial, result, {"test_accuracy": [0.5] * 5}, measured, HISTORY)


class NoFlags(Flags):
    def describe(self) -> str:
        return "trials that sleep"


def plan(options: Options[NoFlags], configuration: Configuration) -> Plan:
    return plan_of(configuration, sum(phase.trials for phase in phases()))


STUDY = Study(
    name="nodes",
    title="How many workers does a driver keep busy?",
    question="What share of the time do workers have a trial?",
    description=__doc__ or "",
    flags=NoFlags,
    configure=lambda options: configured(options, {"method": "random"}),
    plan=plan,
    answer=lambda folder: Answer(sentences=(Sentence(f"{len(folder.rows)} rows"),)),
    work=sleep,
)


def drive(address: str) -> None:
    """The study in this process; prints a line for each phase as JSON."""
    out = Path("out")
    sampler = Sampler(out / "rows.jsonl")
    sampler.start()
    words = ["--address", address, "--seeds", "0-4", "--offline", "--out", str(out)]
    words += ["--checkpoint-seconds", str(CHECKPOINT_SECONDS), "--preflight-limit", str(PREFLIGHT_SECONDS)]
    status = main(STUDY, words)
    assert status in (0, WITH_ERRORS), status
    sampler.ended.set()
    sampler.join()
    rows = list(StudyFolder.read(out).rows.values())
    assert len(rows) == sum(phase.trials for phase in phases())
    of_phase: list[list[tuple[float, float]]] = [[] for _ in phases()]
    for row in rows:
        of_phase[place_of(int(row.config["seed"]))[0]].append((row.measured["started"], row.measured["ended"]))
    everything = [span for spans in of_phase for span in spans]
    retries = sum(row.measured["retries"] for row in rows)
    print(json.dumps([[*found(sorted(spans), everything, sampler.samples), retries] for spans in of_phase]))


def found(
    spans: Sequence[tuple[float, float]], everything: Sequence[tuple[float, float]], samples: Sequence[Sample]
) -> list[float]:
    """The seconds of a phase's window, trials that ended in it, worker-seconds, the driver's processor seconds."""
    workers = json.loads(os.environ[ASKED])["workers"]
    begin, end = spans[workers - 1][0], spans[-1][0]
    busy = sum(max(0.0, min(ended, end) - max(started, begin)) for started, ended in everything)
    ended = sum(begin < span[1] <= end for span in everything)
    inside = [sample.seconds for sample in samples if begin <= sample.at <= end]
    return [end - begin, ended, busy, inside[-1] - inside[0]]


def measure(options: argparse.Namespace) -> None:
    """Start the cluster, run the study on it in a process of its own, and print the table."""
    from ray.cluster_utils import Cluster

    workers = options.nodes * options.cpus
    needed, free = workers * WORKER_GIB + options.nodes * NODE_GIB, psutil.virtual_memory().available / 2**30
    if needed > free:
        sys.exit(f"{workers} workers on {options.nodes} nodes need about {needed:.0f} GiB, {free:.0f} GiB are free")
    lengths = [float(word) for word in options.seconds.split(",")]
    asked = [(each, max(2 * workers, round(workers * options.each / each)), options.lost) for each in lengths]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPATH"] = f"{ROOT}:{Path(__file__).parent}"
        os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
        os.environ[ASKED] = json.dumps({"phases": asked, "workers": workers, "folder": folder})
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            for _ in range(options.nodes):
                cluster.add_node(num_cpus=options.cpus)
            words = [sys.executable, __file__, "drive", cluster.address]
            ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        finally:
            cluster.shutdown()
    if ended.returncode:
        sys.exit(ended.stdout + ended.stderr)
    columns = ["nodes", "workers", "s a trial", "trials", "asked for, a second", "done, a second", "busy"]
    columns += ["driver's processor, ms a trial", "lost in all"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for (each, count, _), (window, done, busy, driver, lost) in zip(
        asked, json.loads(ended.stdout.splitlines()[-1]), strict=True
    ):
        cells = [f"{workers / each:.1f}", f"{done / window:.1f}", f"{busy / workers / window:.0%}"]
        cells += [f"{1000 * driver / done:.1f}", str(lost)]
        print(f"| {options.nodes} | {workers} | {each:g} | {count} | {' | '.join(cells)} |")


def monitor() -> None:
    """What one monitor takes from four processes: heartbeats, and checkpoints of three sizes."""
    import ray

    from studies.engine.tuning.monitor import start_monitor, this_worker

    def send(monitor: Any, trial: str, count: int, size: int) -> None:
        ticket = ray.get(monitor.begin.remote(trial, this_worker())).ticket
        state = bytes(size)
        for _ in range(count // 20):  # a worker does not wait for answers
            sent = [
                monitor.save.remote(ticket, state) if size else monitor.heartbeat.remote([ticket], "")
                for _ in range(20)
            ]
            ray.get(sent)

    with tempfile.TemporaryDirectory() as folder:
        ray.init(num_cpus=4, include_dashboard=False)
        actor, task = start_monitor(Path(folder), 60.0), ray.remote(send)
        print("| what | a second | workers, each one in 5 s or 30 s |\n|---|---|---|")
        for size, count in ((0, 2_000), (100_000, 400), (STATE_FLOATS * 4, 100), (20_000_000, 20)):
            for repeat in range(2):  # the first starts the processes
                began = time.monotonic()
                ray.get([task.remote(actor, f"{size}-{repeat}-{i}", count, size) for i in range(4)])
                rate = 4 * count / (time.monotonic() - began)
            what = f"checkpoints of {size / 1e6:.1f} MB" if size else "heartbeats"
            print(f"| {what} | {rate:.0f} | {rate * (30 if size else 5):,.0f} |", flush=True)
        ray.shutdown()


if __name__ == "__main__":
    if sys.argv[1:2] == ["drive"]:
        import nodes  # as workers know it: not as __main__

        nodes.drive(sys.argv[2])
    elif sys.argv[1:2] == ["monitor"]:
        monitor()
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--nodes", type=int, default=6)
        parser.add_argument("--cpus", type=int, default=3, help="of a node; each runs a trial")
        parser.add_argument("--seconds", default="4,2,1,.5", help="the lengths of the trials, one after the other")
        parser.add_argument("--each", type=float, default=20, help="how many seconds the trials of a length last")
        parser.add_argument("--lost", type=int, default=0, help="trials of each length that kill their worker")
        measure(parser.parse_args())
