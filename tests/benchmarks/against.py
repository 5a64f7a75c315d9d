"""A digits trial of this checkout beside that of an earlier commit: `python tests/benchmarks/against.py COMMIT`.

Both run in processes of their own that take turns, so that neighbouring trials share the speed that the machine has
just then. Nothing else may run beside it. What an earlier commit measures in a trial that this one does not, such as
interim accuracies, is part of the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("random", "dm", "mim", "dc")
PROTOCOL = "digits"
# What is timed: wall seconds of a trial, processor seconds of it, and wall seconds of its two stages.
TIMES = {"seconds": "a trial", "cpu": "user + system", "distil_seconds": "distilling", "evaluate_seconds": "evaluating"}


def serve() -> None:
    """Run the trial of each line of the input, a method and a seed, and print its seconds as a line of JSON."""
    import torch

    from mim4dd.configuration import configure
    from mim4dd.data import load
    from mim4dd.information import train_reference
    from mim4dd.memory import keep_freed_memory
    from mim4dd.networks import ConvNet
    from studies.engine.running import run_trial
    from studies.engine.trial import Inputs, Trial

    torch.set_num_threads(1)
    keep_freed_memory()
    splits = load("digits")
    inputs = Inputs(splits, train_reference(splits, ConvNet(width=32)))
    for line in sys.stdin:
        method, seed = line.split()
        flat = configure(
            source="digits", method={"method": method}, network="convnet", protocol_name=PROTOCOL, assigned={}
        ).flat
        before = os.times()
        outcome = run_trial(Trial.of({"dataset": "digits", "ipc": 1, "seed": int(seed)} | flat), inputs)
        after = os.times()
        taken = {name: outcome.measured[name] for name in TIMES if name in outcome.measured}
        taken["cpu"] = after.user - before.user + after.system - before.system
        taken["accuracy"] = statistics.fmean(outcome.report_only["test_accuracy"])
        print(json.dumps(taken), flush=True)


class Server:
    """A process that runs trials of the checkout in a folder."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment,
        )

    def run(self, method: str, seed: int) -> dict[str, float]:
        """What a trial took."""
        given, told = self._pipes
        print(method, seed, file=given, flush=True)
        line = told.readline()
        if not line:
            raise SystemExit(f"the trial of {method} ended with status {self.process.wait()}")
        found: dict[str, float] = json.loads(line)
        return found

    @property
    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        return self.process.stdin, self.process.stdout

    def end(self) -> None:
        """Let it end by itself."""
        self._pipes[0].close()
        self.process.wait()


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The files of a commit in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "x"], input=packed, cwd=folder, check=True)
        yield Path(folder)


def lines(commit: str, methods: list[str], repeats: int) -> Iterator[str]:
    """Rows of the table: for each method the ratios now / then, and the accuracies of both."""
    with checkout(commit) as folder:
        then, now = Server(folder), Server(ROOT)
        for method in methods:
            pairs = [_pair(then, now, method, seed) for seed in range(repeats + 1)][1:]
            for key, what in TIMES.items():
                ratios = sorted(ours[key] / theirs[key] for theirs, ours in pairs if key in ours and theirs.get(key))
                told = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})" if ratios else "–"
                seconds = [statistics.median(each[at][key] for each in pairs) for at in (0, 1)] if ratios else []
                yield f"| {method}: {what} | {' | '.join(f'{one:.2f}' for one in seconds) or '– | –'} | {told} |"
            accuracies = [statistics.fmean(each[at]["accuracy"] for each in pairs) for at in (0, 1)]
            same = sum(theirs["accuracy"] == ours["accuracy"] for theirs, ours in pairs)
            told = " | ".join(f"{100 * one:.2f}" for one in accuracies)
            yield f"| {method}: test accuracy, mean | {told} | equal in {same} of {len(pairs)} |"
        for server in (then, now):
            server.end()


def _pair(then: Server, now: Server, method: str, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """What a trial took then and now; each is the first in every other pair."""
    if seed % 2:
        ours = now.run(method, seed)
        return then.run(method, seed), ours
    theirs = then.run(method, seed)
    return theirs, now.run(method, seed)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", nargs="?", help="the earlier commit")
    parser.add_argument("--method", action="append", choices=METHODS, help="may be repeated (default: all)")
    parser.add_argument("--repeats", type=int, default=5, help="seeds after one that is not counted (default: 5)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve()
        return
    if given.commit is None:
        parser.error("which commit?")
    print(f"{platform.machine()}, 1 thread, protocol {PROTOCOL}, median (range) of {given.repeats} seeds\n")
    print(f"| trial on digits | {given.commit}, s | now, s | now / then |\n|---|---|---|---|")
    for line in lines(given.commit, given.method or list(METHODS), given.repeats):
        print(line, flush=True)


if __name__ == "__main__":
    main()
