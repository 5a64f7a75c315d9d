"""Speed, each figure as a ratio within one run: `make bench` prints a Markdown table.

Nothing else may run beside it: a second process makes torch on two cores many times slower.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from bases import bases, memory
from plain import PlainConvNet, dm_iteration, train_by_vmap, train_one_by_one

from mim4dd.configuration import configure
from mim4dd.data import load
from mim4dd.information import train_reference
from mim4dd.memory import keep_freed_memory
from mim4dd.methods import DM, Mim
from mim4dd.methods.loop import Distillation
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import ConvNet
from mim4dd.train import Recipe, Streams, fresh_networks, train_networks
from studies.engine.trial import Inputs, Outcome, Trial

EPOCHS, ITERATIONS, REPEATS = 60, 60, 5
# (width, images, pixels a side) of the sets that networks are trained on.
SIZES = ((16, 10), (32, 10), (64, 10), (32, 100), (128, 10, 28), (16, 10, 28), (128, 100, 28))


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Wall seconds of each repeat after one that is not counted."""
    work()
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


def ratio(slow: list[float], fast: list[float]) -> str:
    """The median of the repeats' ratios, with the smallest and largest."""
    found = sorted(a / b for a, b in zip(slow, fast, strict=True))
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def evaluation(width: int, images: int, size: int = 8) -> list[str]:
    """Ten networks at once against one by one and against torch.func.vmap."""
    shape, generator = (1, size, size), torch.Generator().manual_seed(0)
    depth, epochs = (2, EPOCHS) if size == 8 else (3, 3)
    pixels = torch.randn((images, *shape), generator=generator)
    labels = torch.arange(images) % 10
    network, recipe = ConvNet(width=width), Recipe(epochs=epochs, augment="none", networks=10)
    streams = Streams.first("bench", 0, 10)
    params = fresh_networks(network, shape, 10, streams, torch.device("cpu"))
    plain = [PlainConvNet(1, width, depth, size, 10) for _ in range(10)]
    ours = seconds(lambda: train_networks(network, params, pixels, labels, recipe, streams, "digits/train"))
    singly = seconds(lambda: train_one_by_one(plain, pixels, labels, epochs))
    mapped = seconds(lambda: train_by_vmap(plain, pixels, labels, epochs))
    name = f"evaluation of 10 networks, width {width}, {images} {size}x{size} images"
    return [
        f"| {name}: grouped, ms an epoch | {1000 * statistics.median(ours) / epochs:.2f} |",
        f"| {name}: one by one / grouped | {ratio(singly, ours)} |",
        f"| {name}: vmap / grouped | {ratio(mapped, ours)} |",
    ]


def iterations() -> list[str]:
    """Distilling iterations under the protocol digits: DM, the MI term's overhead, and a plain loop over classes."""
    splits, network = load("digits"), ConvNet(width=32)
    base = DM(iterations=ITERATIONS, batch_real=32)
    bare = DM(iterations=ITERATIONS, batch_real=32, augment="none")

    def ours(method: DM | Mim) -> Callable[[], object]:
        task = DistillationTask(splits.train, network, 1, 0, torch.device("cpu"))
        return lambda: Distillation(task, method).advance(ITERATIONS)

    task = DistillationTask(splits.train, network, 1, 0, torch.device("cpu"))

    def plain() -> None:
        pixels = task.images[torch.from_numpy(task.random_rows())].clone().requires_grad_()
        optimizer = torch.optim.SGD([pixels], lr=1.0, momentum=0.5)
        for iteration in range(ITERATIONS):
            real, _ = task.real_batch(32, iteration)
            optimizer.zero_grad()
            dm_iteration(PlainConvNet(1, 32, 2, 8, 10), real, pixels, 10).backward()
            optimizer.step()

    alone, term, without, loop = (seconds(work) for work in (ours(base), ours(Mim(base=base)), ours(bare), plain))
    name = "iteration on digits, width 32, batch 32"
    return [
        f"| {name}: DM, ms | {1000 * statistics.median(alone) / ITERATIONS:.2f} |",
        f"| {name}: DM + MI term / DM | {ratio(term, alone)} |",
        f"| {name}, no augmentation: class by class / all at once | {ratio(loop, without)} |",
    ]


def overhead() -> list[str]:
    """What Ray Tune and the driver add to a trial once its worker is warm."""
    from cluster import connect, disconnect
    from studies.engine.running import run_trial
    from studies.engine.tuning.context import Resources
    from studies.engine.tuning.fitting import open_context, run_fixed

    splits = load("digits")
    inputs = Inputs(splits, train_reference(splits, ConvNet(width=8), steps=20))
    assigned = {"width": "8", "iterations": "20", "batch_real": "8", "epochs": "20", "networks": "2"}
    configuration = configure(
        source="digits", method={"method": "mim"}, network="convnet", protocol_name="digits", assigned=assigned
    )
    shared = {"dataset": "digits", "ipc": 1, **configuration.flat}
    trials = [Trial.of({**shared, "seed": seed}) for seed in range(30)]
    arrived: list[tuple[float, float]] = []

    def sink(outcome: Outcome, retries: int) -> None:
        arrived.append((time.time(), outcome.measured["seconds"]))

    with tempfile.TemporaryDirectory() as folder:
        connection = connect("local")
        place = Path(folder)
        context = open_context(Resources(), inputs, place, checkpoint_seconds=30, silence_seconds=600, work=run_trial)
        told: Any = SimpleNamespace(lost=lambda trial, reason: None, waits=lambda: None)
        run_fixed(trials, context, sink, told, lambda: False)
        disconnect()
    workers, warm = int(connection.cpus), arrived[4:]
    wall = (warm[-1][0] - warm[0][0]) * workers / (len(warm) - 1)
    busy = statistics.fmean(own for _, own in warm)
    return [
        f"| overhead of a trial in a warm worker, s | {wall - busy:.2f} |",
        f"| the same trial's own work, s | {busy:.2f} |",
    ]


def perturbing() -> list[str]:
    """Every perturbation at its default on 50,000 colour images of 32x32 pixels."""
    from mim4dd.records import ImageData
    from perturbations import PERTURBATIONS

    rng = np.random.default_rng(0)
    images = rng.random((50_000, 3, 32, 32), dtype=np.float32)
    labels = rng.integers(0, 10, 50_000)
    train = ImageData(images, labels, np.arange(50_000), tuple("0123456789"), "cifar10/train")
    lines = []
    for name in PERTURBATIONS.names():
        if name not in ("matrix", "human"):  # they read a file, and then index an array
            component = PERTURBATIONS.build(name)
            taken = seconds(lambda component=component: component(train, seed=0), 1)
            lines.append(f"| {name} on 50,000 images of 3x32x32, s | {taken[0]:.2f} |")
    return lines


def detecting() -> list[str]:
    """The share of a trial that its failure detectors take, on noisy digits under the protocol digits."""
    from studies.engine.conditions import condition
    from studies.engine.running import run_trial

    splits, one = load("digits"), condition("symmetric:rate=0.4")
    inputs = Inputs(splits, train_reference(splits, ConvNet(width=32)), perturbations={one.text: one.perturbations})
    lines = []
    for method in ("random", "mim"):
        flat = configure(
            source="digits", method={"method": method}, network="convnet", protocol_name="digits", assigned={}
        ).flat
        measured = []
        for seed in range(REPEATS + 1):
            trial = Trial.of({"dataset": "digits", "ipc": 1, "seed": seed} | flat | one.entry)
            measured.append(run_trial(trial, inputs).measured)
        shares = sorted(m["detect_seconds"] / m["seconds"] for m in measured[1:])
        told = f"{statistics.median(shares):.1%} ({shares[0]:.1%} to {shares[-1]:.1%})"
        lines.append(f"| failure detectors, share of a trial of {method} on digits | {told} |")
    return lines


PARTS: dict[str, Callable[[], list[str]]] = {
    "evaluation": lambda: [line for given in SIZES for line in evaluation(*given)],
    "iterations": iterations,
    "bases": bases,
    "memory": memory,
    "overhead": overhead,
    "perturbing": perturbing,
    "detecting": detecting,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=PARTS, action="append", help="one part of the table; may be repeated")
    given = parser.parse_args()
    threads = given.threads
    torch.set_num_threads(threads)
    keep_freed_memory()
    print(
        f"torch {torch.__version__}, {platform.machine()}, {threads} thread(s), median (range) of {REPEATS} repeats\n"
    )
    print("| what | value |\n|---|---|")
    for part in given.only or PARTS:
        print("\n".join(PARTS[part]()), flush=True)


if __name__ == "__main__":
    main()
