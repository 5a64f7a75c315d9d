"""The reference beside ours: seconds to equal accuracy on Fashion-MNIST, for DM and DC.

    git clone https://github.com/VICO-UoE/DatasetCondensation CLONE
    make beside ARGS="--reference CLONE --data-root DATA_ROOT --method dm --ipc 1"

The reference's own script runs, as it lies in the clone, but for how often it evaluates. Each side is a process of its
own with one thread, the reference and ours in turns; nothing else may run beside them. Imports and reading the images
are told apart and counted in no ratio but their own. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from sides import SCRIPTS, Asked
from spent import Pair, Side, accuracies, common_accuracy, stages

from mim4dd.memory import MMAP_THRESHOLD, TOP_PAD, TRIM_THRESHOLD

SIDES = Path(__file__).with_name("sides.py")
# What fits into about five minutes with ten synthetic images.
ITERATIONS = {"dm": 30, "dc": 10}
# What glibc reads at the start of a process, to the same effect as `mim4dd.memory` within it.
KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(MMAP_THRESHOLD[1]),
    "MALLOC_TRIM_THRESHOLD_": str(TRIM_THRESHOLD[1]),
    "MALLOC_TOP_PAD_": str(TOP_PAD[1]),
}
NOTE = """Seconds are user + system, medians; ratios are reference / ours, median and range of the pairs: above 1 ours
wins. At equal accuracy, the highest that both reach, seconds and ratios are of the mean curves, the range of the
pairs, each at its own. Page faults: reference, ours."""


def run(side: str, asked: Asked, threads: int, *, kept: bool = False) -> Side:
    """Run one side in a fresh process. kept: the reference keeps freed memory too.

    Raises: RuntimeError with the end of what it printed when it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        stamps, log = Path(folder) / "stamps.jsonl", Path(folder) / "log"
        words = [sys.executable, str(SIDES), side, json.dumps(asdict(asked)), str(stamps)]
        here = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        here |= {"OMP_WAIT_POLICY": "passive"}
        if side == "reference":  # nothing is written into the clone
            here |= {"PYTHONDONTWRITEBYTECODE": "1"} | (KEPT if kept else {})
        with log.open("wb") as output:
            began = time.monotonic()
            process = subprocess.Popen(words, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=here)
            # Unlike wait(), it says what this child alone has used.
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told = log.read_text("utf-8", "replace").splitlines()[-30:]
            raise RuntimeError("\n".join([f"{side} ended with status {process.returncode}:", *told]))
        lines = [json.loads(line) for line in stamps.read_text("utf-8").splitlines()]
        peak = usage.ru_maxrss / 1024 if sys.platform == "linux" else usage.ru_maxrss / 2**20
        return Side.of([line | {"wall": line["wall"] - began} for line in lines], peak)


def tables(pairs: Sequence[Pair], asked: Asked, threads: int, *, kept: bool) -> list[str]:
    """The lines that are printed: what was run, what to read in the tables, and these."""
    epochs = asked.epochs or {"dm": 1000, "dc": 300}[asked.method]
    images = f"{asked.ipc} image{'s' if asked.ipc > 1 else ''} a class"
    told = [f"{asked.method.upper()} on Fashion-MNIST, {images}, networks evaluated after {epochs} epochs"]
    told += [*asked.assigned, *(["the reference keeps freed memory too"] if kept else [])]
    told += [f"torch {version('torch')}", platform.machine(), f"{threads} thread{'s' if threads > 1 else ''}"]
    accuracy = f"equal accuracy {100 * common_accuracy(pairs):.1f}%"
    first = ", ".join([*told, f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''}", accuracy])
    return [f"{first}.", "", *stages(pairs, asked.networks), "", *accuracies(pairs), "", NOTE]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="a clone of VICO-UoE/DatasetCondensation")
    parser.add_argument("--data-root", type=Path, required=True, help="the folder that holds FashionMNIST/raw")
    parser.add_argument("--method", choices=SCRIPTS, default="dm")
    parser.add_argument("--ipc", type=int, choices=(1, 10), default=1, help="images per class")
    parser.add_argument("--iterations", type=int, help=f"a multiple of --points (default: {ITERATIONS})")
    parser.add_argument("--points", type=int, default=2, help="evaluations after the first images' (default: 2)")
    parser.add_argument("--networks", type=int, default=1, help="trained and tested at each evaluation (default: 1)")
    parser.add_argument("--epochs", type=int, default=0, help="of their training, for DM (default: 1000)")
    parser.add_argument("--repeats", type=int, default=1, help="pairs of processes (default: 1)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kept", action="store_true", help="let the reference keep freed memory too, which ours does")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a knob of our side")
    parser.add_argument("--json", type=Path, help="file for the numbers of each side, written after each pair")
    given = parser.parse_args(argv)
    given.iterations = given.iterations or ITERATIONS[given.method]
    if not (given.reference / SCRIPTS[given.method]).is_file():
        parser.error(f"--reference {given.reference} holds no {SCRIPTS[given.method]}")
    if min(given.points, given.networks, given.repeats, given.iterations) < 1 or given.iterations % given.points:
        parser.error("--iterations must be a multiple of --points, and these, --networks and --repeats at least 1")
    if given.epochs and given.method == "dc":
        parser.error("--epochs is for DM: the script of DC sets its own")
    return given


def main(argv: Sequence[str] | None = None) -> None:
    """Run the pairs and print the tables."""
    given = arguments(argv)
    asked = Asked(
        reference=str(given.reference.resolve()),
        data_root=str(given.data_root.resolve()),
        method=given.method,
        ipc=given.ipc,
        iterations=given.iterations,
        every=given.iterations // given.points,
        networks=given.networks,
        epochs=given.epochs,
        seed=0,
        assigned=given.set,
    )
    pairs: list[Pair] = []
    for repeat in range(given.repeats):
        found = []
        for side in ("reference", "ours"):
            found.append(run(side, replace(asked, seed=repeat), given.threads, kept=given.kept))
            told = ", ".join(f"{accuracy:.1%}" for accuracy in found[-1].accuracies)
            print(f"pair {repeat + 1}, {side}: {told}, {found[-1].both.processor:.0f} s", file=sys.stderr, flush=True)
        pairs.append((found[0], found[1]))
        if given.json:
            settings = {key: value for key, value in asdict(asked).items() if key not in ("reference", "data_root")}
            numbers = [{"reference": one.told(), "ours": other.told()} for one, other in pairs]
            given.json.write_text(json.dumps({"asked": settings, "pairs": numbers}, indent=1) + "\n", "utf-8")
    print("\n".join(tables(pairs, asked, given.threads, kept=given.kept)))


if __name__ == "__main__":
    main()
