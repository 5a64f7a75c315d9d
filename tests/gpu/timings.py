"""Times an iteration of every method, alone and with the MI term, with its memory: OUT/timings.json.

An iteration of DC and DSA with many updates is put together from iterations of one and of two updates, whose
difference is an update with the network's training before it: with 50 images a class, the whole would take a stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from stage import Repeats, Stage, Work, precision, repeated, tried

from mim4dd.methods import DC, DM, DSA, MTT, Method, Mim
from mim4dd.methods.loop import Distillation
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import ConvNet
from mim4dd.networks.precision import BF16, FLOAT32
from studies.engine.problems import Problem

CLASSES = 10
# So many that no iteration that is timed is a report.
ITERATIONS = 1_000_000


@dataclass(frozen=True)
class Sizes:
    """What is timed. images: real ones of each class; steps: of MTT's student, 0 follows ipc; window: see `repeated`.

    networks: that are trained together, for evaluation; predicting: that classify together.
    """

    width: int
    side: int
    batch: int
    images: int
    ipcs: tuple[int, ...]
    steps: int
    window: float
    networks: int
    predicting: int


PAPER = Sizes(128, 32, 256, 512, (1, 10, 50), 0, 2.0, networks=20, predicting=5)
SMALL = Sizes(4, 16, 4, 12, (1, 10), 2, 0.01, networks=3, predicting=2)


@dataclass(frozen=True)
class Case:
    """A method on images of a class. term: with the MI term; precision: as in `stage.precision`, or bf16 real sides."""

    base: str
    ipc: int
    term: bool = False
    precision: str = "default"


def cases(sizes: Sizes) -> Iterator[Case]:
    """In order of worth."""
    for term in (False, True):
        for ipc in sizes.ipcs:
            for base in ("dm", "dsa", "dc", "mtt"):
                yield Case(base, ipc, term)
    for kind in ("tf32", "ieee"):
        for base in ("dm", "dsa", "dc", "mtt"):
            yield Case(base, sizes.ipcs[0], precision=kind)
        yield Case("dm", sizes.ipcs[1], precision=kind)
    for base in ("dm", "dsa", "dc"):
        yield Case(base, sizes.ipcs[0], precision=BF16)


def task_of(stage: Stage, sizes: Sizes, ipc: int) -> DistillationTask:
    """Noise in the shape of CIFAR-10: what an iteration costs does not depend on what images show."""
    count = CLASSES * sizes.images
    train = Problem("cifar10", (3, sizes.side, sizes.side), CLASSES, count, count).generate()
    return DistillationTask(train, ConvNet(width=sizes.width), ipc, 0, torch.device(stage.device))


def method_of(base: str, sizes: Sizes, *, updates: int = 0, term: bool = False, real: str = FLOAT32) -> Method:
    """A method as published, MTT with the fewest experts.

    updates: of an iteration of DC and DSA, 0 follows ipc; real: the precision of their real sides and of DM's.
    """
    method: Method
    if base == "dm":
        method = DM(iterations=ITERATIONS, batch_real=sizes.batch, precision=real)
    elif base == "mtt":
        method = MTT(iterations=ITERATIONS, batch_real=sizes.batch, steps=sizes.steps).least_prepared()
    else:
        matching = {"dc": DC, "dsa": DSA}[base]
        method = matching(iterations=ITERATIONS, batch_real=sizes.batch, outer=updates, precision=real)
    return Mim(base=method) if term else method


def iterating(task: DistillationTask, method: Method) -> Work:
    """One iteration of the loop; the first reports, the others do not."""
    run = Distillation(task, method)
    return lambda: run.advance(run.iteration + 1)


def iteration(stage: Stage, sizes: Sizes, task: DistillationTask, case: Case) -> dict[str, Any]:
    """The row of a case."""
    updates = DC().loops(case.ipc)[0] if case.base in ("dc", "dsa") else 1
    real, fewest = BF16 if case.precision == BF16 else FLOAT32, range(1, min(updates, 2) + 1)
    methods = [method_of(case.base, sizes, updates=few, term=case.term, real=real) for few in fewest]
    found = [repeated(iterating(task, method), stage.device, sizes.window) for method in methods]
    one, last = found[0], found[-1]
    whole = [a + (updates - 1) * (b - a) for a, b in zip(one.seconds, last.seconds, strict=False)]
    return Repeats(tuple(whole), max(each.peak_bytes for each in found)).entries | {"updates": updates}


def main(stage: Stage) -> None:
    """Time every case, and write what is known after each."""
    sizes, rows, tasks = SMALL if stage.small else PAPER, list[dict[str, Any]](), dict[int, DistillationTask]()
    for case in cases(sizes):
        if case.ipc not in tasks:
            tasks[case.ipc] = task_of(stage, sizes, case.ipc)
        with precision("default" if case.precision == BF16 else case.precision):
            row = asdict(case) | tried(stage, partial(iteration, stage, sizes, tasks[case.ipc], case))
        rows.append(row)
        told = row.get("failed") or f"{1000 * row['seconds']:.1f} ms"
        print(f"{case.base}{' + mim' * case.term}, ipc {case.ipc}, {case.precision}: {told}", flush=True)
        stage.write("timings.json", {"sizes": asdict(sizes), "rows": rows})


if __name__ == "__main__":
    main(Stage.of(__doc__))
