"""One side of `beside.py`, in a process of its own: it stamps what it has spent before and after each evaluation.

    python tests/benchmarks/sides.py reference|ours ASKED STAMPS

ASKED is JSON, see `Asked`; STAMPS the file to write.
"""

from __future__ import annotations

import importlib
import io
import json
import re
import resource
import runpy
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = {"dm": "main_DM.py", "dc": "main.py"}
EVALUATES = re.compile(r"model_train = .*, iteration = (\d+)$")
EVALUATED = re.compile(r"Evaluate \d+ random .*, mean = ([\d.]+)")


@dataclass(frozen=True)
class Asked:
    """What both sides are to do; `every` divides `iterations`, epochs 0 is as published.

    assigned: knobs of our side, as KEY=VALUE.
    """

    reference: str
    data_root: str
    method: str
    ipc: int
    iterations: int
    every: int
    networks: int
    epochs: int
    seed: int
    assigned: list[str]


class Stamps:
    """Writes what this process has spent until now, a line a stamp."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w", encoding="utf-8")

    def __call__(self, event: str, iteration: int = 0, accuracy: float = 0.0) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        stamp = {"event": event, "iteration": iteration, "accuracy": accuracy, "wall": time.monotonic()}
        stamp |= {"user": used.ru_utime, "system": used.ru_stime, "faults": used.ru_minflt}
        print(json.dumps(stamp), file=self.file, flush=True)


class Finished(Exception):
    """The last evaluation is done; the script would go on for one more iteration."""


class Listener(io.TextIOBase):
    """Standard output of the reference's script, which says there what it does next."""

    def __init__(self, stamp: Stamps, last: int) -> None:
        self.stamp, self.last, self.iteration, self.rest = stamp, last, 0, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            print(line, file=sys.__stdout__)
            self._hear(line)
        return len(text)

    def _hear(self, line: str) -> None:
        if line.endswith("training begins"):
            self.stamp("begins")
        elif found := EVALUATES.match(line):
            self.iteration = int(found[1])
            self.stamp("evaluates", self.iteration)
        elif found := EVALUATED.match(line):
            self.stamp("evaluated", self.iteration, float(found[1]))
            if self.iteration == self.last:
                raise Finished


def evaluate_every(every: int) -> None:
    """Have the script evaluate after each `every` iterations, not 500 or 2,000: its first numpy.arange lists them."""
    import numpy

    arange: Any = numpy.arange

    def listed(start: int, stop: int, step: int) -> Any:
        numpy.arange = arange
        return arange(start, stop, every)

    numpy.arange = listed  # type: ignore[assignment]


def mend(operations: dict[str, list[Any]]) -> None:
    """Let the reference's augmentations run on a CPU under today's torch; what they compute stays the same.

    A batch of one image gives all its images the first one's draw by writing a tensor into itself, which is refused now
    and changes nothing. Grey images that were cropped have the strides of channels that lie last, as do the maps that
    are made of them, which the reference's networks cannot flatten.
    """

    def mended(operation: Any) -> Any:
        def augment(images: Any, param: Any) -> Any:
            siamese, param.Siamese = param.Siamese, param.Siamese and len(images) > 1
            augmented = operation(images, param)
            param.Siamese = siamese
            # The same memory where it is contiguous, with the strides of channels that come first.
            return augmented.flatten().view(augmented.shape)

        return augment

    for name, listed in operations.items():
        operations[name] = [mended(operation) for operation in listed]


def reference(asked: Asked, stamp: Stamps) -> None:
    """Run the reference's own script, as it lies there, with its defaults."""
    sys.path.insert(0, asked.reference)
    # All that the script imports: none of it may meet the changed arange.
    mend(importlib.import_module("utils").AUGMENT_FNS)
    script = str(Path(asked.reference) / SCRIPTS[asked.method])
    words = {
        "--dataset": "FashionMNIST",
        "--data_path": asked.data_root,
        "--save_path": str(Path("saved").resolve()),
        "--ipc": asked.ipc,
        "--Iteration": asked.iterations,
        "--num_eval": asked.networks,
        "--num_exp": 1,
        "--eval_mode": "S",
    }
    if asked.epochs:
        words["--epoch_eval_train"] = asked.epochs
    sys.argv = [script, *(str(word) for pair in words.items() for word in pair)]
    evaluate_every(asked.every)
    sys.stdout = Listener(stamp, asked.iterations)
    try:
        runpy.run_path(script, run_name="__main__")
    except Finished:
        pass
    finally:
        sys.stdout = sys.__stdout__


def ours(asked: Asked, stamp: Stamps) -> None:
    """The same method and recipe, from Python, with freed memory kept as the command line does.

    The method has its published number of iterations and is stopped before: the 25 reports of a whole run, each with a
    gradient more, must not fall into a short one.
    """
    import torch

    from mim4dd.configuration import assignments, configure
    from mim4dd.data import load
    from mim4dd.evaluation import evaluate
    from mim4dd.memory import keep_freed_memory
    from mim4dd.methods import METHODS
    from mim4dd.methods.catalogue import standard_of
    from mim4dd.methods.loop import Distillation
    from mim4dd.methods.task import DistillationTask
    from mim4dd.networks import NETWORKS
    from mim4dd.registry import unflatten
    from mim4dd.train import RECIPES

    keep_freed_memory()
    # DC is evaluated for 300 epochs without augmentation, DM for 1,000 with; both scripts forget the momentum.
    recipe = {"evaluation": "dc"} if asked.method == "dc" else {"evaluation.restart_momentum": "true"}
    recipe |= {"evaluation.networks": str(asked.networks)}
    recipe |= {"evaluation.epochs": str(asked.epochs)} if asked.epochs else {}
    flat = configure(
        source="fashion_mnist",
        method={"method": asked.method},
        network="convnet",
        protocol_name="paper",
        assigned=recipe | assignments(asked.assigned, "--set"),
    ).flat
    method, network = unflatten(METHODS, flat, "method"), unflatten(NETWORKS, flat, "network")
    splits = load("fashion_mnist", data_root=asked.data_root)
    device, standard = torch.device("cpu"), standard_of(method)
    task = DistillationTask(splits.train, network, asked.ipc, asked.seed, device, standard=standard)
    run, trained = Distillation(task, method), unflatten(RECIPES, flat, "evaluation")
    stamp("begins")
    for mark in range(0, asked.iterations + 1, asked.every):
        run.advance(mark)
        stamp("evaluates", mark)
        score = evaluate(run.synthetic(), splits.test, network=network, recipe=trained, seed=asked.seed)
        stamp("evaluated", mark, score.mean)


if __name__ == "__main__":
    side, given, path = sys.argv[1:]
    {"reference": reference, "ours": ours}[side](Asked(**json.loads(given)), Stamps(Path(path)))
