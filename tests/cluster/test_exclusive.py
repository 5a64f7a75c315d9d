"""Trials that are measured: each is the only one on its node, one at a time, and what is in its way is told."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from local_cluster import HOUSE, LocalCluster

pytestmark = [pytest.mark.ray, pytest.mark.slow]

# A job of trials that only sleep. It prints when each ran, in which process and with how many threads.
TRIALS = """
import json, os, sys, time
from pathlib import Path
from cluster import connect, disconnect
from mim4dd.data import load
from studies.engine.trial import Inputs, Outcome, Trial
from studies.engine.tuning import feeding
from studies.engine.tuning.context import Resources
from studies.engine.tuning.fitting import open_context, run_fixed

def work(trial, inputs, device, saved, on_step):
    import torch
    began = time.time()
    Path(trial.config["began"]).touch()
    time.sleep(1.0)
    threads = [torch.get_num_threads(), int(os.environ["OMP_NUM_THREADS"])]
    measured = {"seconds": 1.0, "started": began, "ended": time.time(), "pid": os.getpid(), "threads": threads}
    return Outcome(trial, {"status": "ok"}, measured=measured)

class Told:
    def lost(self, trial, reason): print("lost", reason)
    def waits(self): print("waits")

address, exclusive, out = sys.argv[1], sys.argv[2] == "exclusive", Path(sys.argv[3])
connect(address)
feeding.WAIT_SECONDS = 3.0
inputs, resources = Inputs(load("digits"), None), Resources(exclusive=exclusive)
context = open_context(resources, inputs, out, checkpoint_seconds=30, silence_seconds=60, work=work)
trials = [Trial.of({"seed": seed, "began": str(out / "began")}) for seed in range(5)]
found = []
assert run_fixed(trials, context, lambda outcome, retries: found.append(outcome.measured), Told(), lambda: False)
print(json.dumps(found))
disconnect()
"""
# Another job: a task that holds one CPU for as long as asked, then a short one every half second from one line that it
# reads until the next. It prints when each was submitted and ran.
TASKS = """
import json, sys, threading, time
from cluster import connect, disconnect
import ray
connect(sys.argv[1])

@ray.remote(num_cpus=1)
def task(seconds, submitted):
    began = time.time()
    time.sleep(seconds)
    return {"submitted": submitted, "started": began, "ended": time.time()}

ray.get(task.remote(0.0, 0.0))
tasks = [task.remote(float(sys.argv[2]), time.time())]
print("holds", flush=True)
sys.stdin.readline()
stop = threading.Thread(target=sys.stdin.readline)
stop.start()
while stop.is_alive():
    tasks.append(task.remote(0.3, time.time()))
    time.sleep(0.5)
print(json.dumps(ray.get(tasks)))
disconnect()
"""


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[LocalCluster]:
    cluster = LocalCluster(cpus=2)
    try:
        yield cluster
    finally:
        cluster.stop()


@contextlib.contextmanager
def job(code: str, *words: str, cluster: LocalCluster) -> Iterator[subprocess.Popen[str]]:
    """A driver of its own, with pipes."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | cluster.env
    asked, pipe = [sys.executable, "-c", code, cluster.address, *words], subprocess.PIPE
    driver = subprocess.Popen(asked, cwd=HOUSE, env=clean, stdin=pipe, stdout=pipe, text=True)
    try:
        yield driver
    finally:
        driver.kill()
        driver.communicate()


def ran_beside_tasks(
    kind: str, held: float, cluster: LocalCluster, out: Path
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """When trials and tasks of another job ran on one node, and what the trials' driver was told.

    held: for how many seconds the first task holds its CPU.
    """
    with job(TASKS, str(held), cluster=cluster) as others:
        assert others.stdin is not None
        assert others.stdout is not None
        assert others.stdout.readline() == "holds\n"
        with job(TRIALS, kind, str(out), cluster=cluster) as driver:
            until_began(driver, out)
            print(file=others.stdin, flush=True)
            told, _ = driver.communicate(timeout=120)
        *lines, trials = told.splitlines()
        tasks, _ = others.communicate("\n", timeout=60)
    return json.loads(trials), json.loads(tasks), lines


def test_exclusive_trials_go_on_on_a_smaller_node_when_theirs_is_lost(tmp_path: Path) -> None:
    cluster = LocalCluster(cpus=1)
    try:
        larger = cluster.add_node(cpus=2)
        with job(TRIALS, "exclusive", str(tmp_path), cluster=cluster) as driver:
            until_began(driver, tmp_path)
            cluster.kill_node(larger)
            told, _ = driver.communicate(timeout=180)
    finally:
        cluster.stop()
    trials = json.loads(told.splitlines()[-1])
    assert len(trials) == 5
    assert "waits" in told.splitlines()
    assert not any(overlap(*pair) for pair in combinations(trials, 2))


def until_began(driver: subprocess.Popen[str], out: Path) -> None:
    """Wait until a trial has begun."""
    deadline = time.monotonic() + 120
    while not (out / "began").exists():
        assert driver.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["started"] < other["ended"] and other["started"] < one["ended"])


def test_exclusive_trials_overlap_neither_each_other_nor_the_work_of_another_job(
    two_cpus: LocalCluster, tmp_path: Path
) -> None:
    trials, tasks, told = ran_beside_tasks("exclusive", 8.0, two_cpus, tmp_path)
    assert len(trials) == 5
    assert not any(overlap(*pair) for pair in combinations(trials, 2))
    assert not any(overlap(*pair) for pair in product(trials, tasks))
    last = max(trial["ended"] for trial in trials)
    assert sum(task["submitted"] < last for task in tasks) > 3, "others wanted to run meanwhile"
    assert told == ["waits"], "for the task that held a CPU"
    assert len({trial["pid"] for trial in trials}) == 1
    assert {tuple(trial["threads"]) for trial in trials} == {(1, 1)}


def test_other_trials_run_beside_each_other(two_cpus: LocalCluster, tmp_path: Path) -> None:
    trials, _, _ = ran_beside_tasks("shared", 0.0, two_cpus, tmp_path)
    assert any(overlap(*pair) for pair in combinations(trials, 2))


def test_other_trials_run_beside_the_work_of_another_job(two_cpus: LocalCluster, tmp_path: Path) -> None:
    trials, tasks, _ = ran_beside_tasks("shared", 20.0, two_cpus, tmp_path)
    assert any(overlap(*pair) for pair in product(trials, tasks))
