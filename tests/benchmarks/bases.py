"""Each base's iteration on 28x28 images of the paper's network, beside the plain way, and what bounds it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from plain import PlainConvNet, Weights, dc_iteration, dm_iteration, mtt_iteration
from torch import Tensor

from mim4dd.data.augment import augment_images, draw_siamese
from mim4dd.data.operations import SIAMESE, operations
from mim4dd.methods import DC, DM, DSA, MTT, Method, Mim
from mim4dd.methods.loop import Distillation
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import ConvNet
from mim4dd.records import ImageData

CLASSES, SOURCE, BATCH = 10, "mnist/train", 64
STEPS = 10  # of MTT's student: five times fewer than published, the ratio is a step's
Work = Callable[[], None]


def task_of(ipc: int) -> DistillationTask:
    """Noise in the shape of MNIST: what an iteration costs does not depend on what the images show."""
    rng, count = np.random.default_rng(0), 2_000
    images, labels = rng.random((count, 1, 28, 28), dtype=np.float32), np.arange(count) % CLASSES
    train = ImageData(images, labels, np.arange(count), tuple("0123456789"), SOURCE)
    return DistillationTask(train, ConvNet(), ipc, 0, torch.device("cpu"))


def methods() -> dict[str, Method]:
    """The bases as published but for the real batch, and MTT's student."""
    mtt = MTT(iterations=1000, batch_real=BATCH, steps=STEPS, experts=1, expert_epochs=2, augment="none")
    return {
        "DM": DM(iterations=1000, batch_real=BATCH, augment="none"),
        "DC": DC(iterations=1000, batch_real=BATCH, outer=1),
        "DSA": DSA(iterations=1000, batch_real=BATCH, outer=1),
        f"MTT, {STEPS} steps": mtt,
    }


def ours(method: Method, ipc: int) -> Work:
    """One iteration of the loop, off the grid of its reports."""
    run = Distillation(task_of(ipc), method)
    run.advance(1)
    return lambda: run.advance(run.iteration + 1)


def plain(name: str, ipc: int) -> Work:
    """The same update, one class at a time."""
    task = task_of(ipc)
    pixels = torch.randn((CLASSES * ipc, 1, 28, 28), requires_grad=True)
    optimizer = torch.optim.SGD([pixels], lr=0.1, momentum=0.5)
    labels = torch.arange(CLASSES).repeat_interleave(ipc)
    names, rng = operations(SIAMESE, SOURCE), np.random.default_rng(0)
    start: Weights = {k: v.detach() for k, v in PlainConvNet(1, 128, 3, 28, CLASSES).named_parameters()}
    target: Weights = {k: v.detach() for k, v in PlainConvNet(1, 128, 3, 28, CLASSES).named_parameters()}
    rate = torch.tensor(0.01, requires_grad=True)

    def augment(synthetic: Tensor, real: Tensor, label: int) -> tuple[Tensor, Tensor]:
        draw = draw_siamese(names, 1, rng)
        return tuple(augment_images(images, draw, np.zeros(len(images), dtype=int)) for images in (synthetic, real))  # type: ignore[return-value]

    def update() -> None:
        network = PlainConvNet(1, 128, 3, 28, CLASSES)
        optimizer.zero_grad()
        if name.startswith("MTT"):
            mtt_iteration(network, start, target, pixels, labels, STEPS, rate).backward()
        else:
            real, _ = task.real_batch(BATCH, int(rng.integers(1000)))
            if name == "DM":
                dm_iteration(network, real, pixels, CLASSES).backward()
            else:
                dc_iteration(network, real, pixels, CLASSES, augment if name == "DSA" else None).backward()
        optimizer.step()

    return update


def paired(first: Work, second: Work, repeats: int = 5) -> Iterator[tuple[float, float]]:
    """Seconds of both, in turns, after one round that is not counted."""
    for repeat in range(repeats + 1):
        taken = []
        for work in (first, second):
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
        if repeat:
            yield taken[0], taken[1]


def told(pairs: list[tuple[float, float]]) -> str:
    """The median of the ratios second / first, with the smallest and largest."""
    found = sorted(second / first for first, second in pairs)
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def rates() -> dict[str, float]:
    """Multiply-adds a second: a matrix product, and the network's middle convolution without and with gradients."""
    matrix, maps = torch.randn(2048, 2048), torch.randn(16, 128, 16, 16, requires_grad=True)
    kernel = torch.randn(128, 128, 3, 3, requires_grad=True)
    counts = 2048**3, maps.numel() * 128 * 9, 3 * maps.numel() * 128 * 9

    def forward() -> None:
        with torch.no_grad():
            F.conv2d(maps, kernel, padding=1)

    def both() -> None:
        F.conv2d(maps, kernel, padding=1).sum().backward()

    def product() -> None:
        torch.mm(matrix, matrix)

    works = {"matrix product": product, "convolution": forward, "convolution with gradients": both}
    found = {}
    for (name, work), count in zip(works.items(), counts, strict=True):
        times = sorted(one for pair in paired(work, work, 10) for one in pair)
        found[name] = count / times[len(times) // 2]
    return found


def bases() -> list[str]:
    """Lines of the table: milliseconds, the ratio to the plain way, and the share of the measured rates."""
    measured = rates()
    lines = [f"| {name}, G multiply-adds a second | {rate / 1e9:.0f} |" for name, rate in measured.items()]
    image = ConvNet().multiply_adds((1, 28, 28), CLASSES)
    for name, method in methods().items():
        for ipc in (1,) if name.startswith("MTT") else (1, 10):
            pairs = list(paired(ours(method, ipc), plain(name, ipc)))
            each = statistics.median(first for first, _ in pairs)
            rate = method.image_passes(CLASSES, ipc) * image / each
            share = rate / measured["convolution with gradients" if name != "DM" else "convolution"]
            what = f"{name} iteration, 28x28, width 128, batch {BATCH}, ipc {ipc}"
            lines += [
                f"| {what}: ms | {1000 * each:.0f} |",
                f"| {what}: plain / ours | {told(pairs)} |",
                f"| {what}: of the convolution's rate, of the matrix product's | "
                f"{share:.0%}, {rate / measured['matrix product']:.0%} |",
            ]
            if not name.startswith("MTT"):
                term = ours(Mim(base=method, balance="gradnorm", weight=1.0), ipc)
                lines.append(f"| {what}: with the MI term / without | {told(list(paired(ours(method, ipc), term)))} |")
    return lines


def memory() -> list[str]:
    """Peak memory of a process that runs one iteration, above what it holds before it; each in a process of its own."""
    # What is freed goes back at once: kept, it would count among what the process holds before the iteration.
    given = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}
    lines = []
    for name in methods():
        for ipc in (1,) if name.startswith("MTT") else (1, 10):
            peaks = []
            for way in ("ours", "plain"):
                asked = [sys.executable, __file__, way, name, str(ipc)]
                done = subprocess.run(asked, capture_output=True, text=True, check=True, env=os.environ | given)
                peaks.append(int(done.stdout))
            what = (
                f"{name} iteration, 28x28, width 128, batch {BATCH}, ipc {ipc}: MiB above the idle process, ours, plain"
            )
            lines.append(f"| {what} | {peaks[0] >> 20}, {peaks[1] >> 20} |")
    return lines


def _peak(way: str, name: str, ipc: int) -> int:
    from mim4dd.cost import Meter

    torch.set_num_threads(1)
    work = ours(methods()[name], ipc) if way == "ours" else plain(name, ipc)
    # Kernels are loaded by an iteration that is not counted.
    work()
    meter = Meter()
    idle = meter.peak_bytes
    work()
    return meter.peak_bytes - idle


if __name__ == "__main__":
    print(_peak(sys.argv[1], sys.argv[2], int(sys.argv[3])))
