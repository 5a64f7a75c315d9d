"""Finds a device's own limits for pieces and groups, and times networks grouped, by vmap, one by one: OUT/limits.json.

The library's limits (`mim4dd.networks.passes`) are those of a CPU's cache. Each is tried here at several values; the
value chosen is the smallest under which no workload takes much longer than under its best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from typing import Any
from unittest import mock

import torch
from plain import PlainConvNet, train_by_vmap, train_one_by_one
from stage import Repeats, Stage, Work, repeated, tried
from timings import CLASSES, ITERATIONS, PAPER, SMALL, Sizes, iterating, method_of, task_of

from mim4dd.networks import ConvNet
from mim4dd.networks.chunks import predict
from mim4dd.networks.passes import STEP_NUMBERS, WITH_GRADIENTS, WITHOUT_GRADIENTS
from mim4dd.train import Recipe, Streams, Training, fresh_networks

# The module whose copy of a limit decides, and the library's value.
PLACES = {
    "WITHOUT_GRADIENTS": ("mim4dd.networks.chunks", WITHOUT_GRADIENTS),
    "WITH_GRADIENTS": ("mim4dd.methods.gradients", WITH_GRADIENTS),
    "STEP_NUMBERS": ("mim4dd.networks.passes", STEP_NUMBERS),
}
# Multiples of the library's value, up to where one computation holds all that is timed.
FACTORS = {
    "WITHOUT_GRADIENTS": (1, 4, 16, 64, 256),
    "WITH_GRADIENTS": (1, 4, 16, 64),
    "STEP_NUMBERS": (1, 4, 16, 64, 256, 1024),
}
SMALL_VALUES = (500, 50_000)
# A workload may take so many times its best under the value that is chosen.
NEARLY = 1.05
# Of networks that are trained the plain way, in one repeat.
EPOCHS = 3


@contextmanager
def using(limits: Mapping[str, int]) -> Iterator[None]:
    """Let the library work under these limits."""
    with ExitStack() as stack:
        for name, value in limits.items():
            stack.enter_context(mock.patch.object(import_module(PLACES[name][0]), name, value))
        yield


def choose(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """For each limit the smallest value under which no workload takes more than NEARLY times its best.

    Where there is none, that under which the slowest is least slow. A value that one workload failed under, or was not
    timed under, is not chosen.
    """
    chosen = {}
    for limit in dict.fromkeys(row["limit"] for row in rows):
        own = [row for row in rows if row["limit"] == limit]
        timed = {(row["workload"], row["value"]): row["seconds"] for row in own if "seconds" in row}
        workloads = {row["workload"] for row in own}
        values = sorted({value for _, value in timed if all((each, value) in timed for each in workloads)})
        if not values:
            continue
        best = {each: min(timed[each, value] for value in values) for each in workloads}
        slower = {value: max(timed[each, value] / best[each] for each in workloads) for value in values}
        good = [value for value in values if slower[value] <= NEARLY]
        chosen[limit] = good[0] if good else min(values, key=lambda value: slower[value])
    return chosen


def shape_of(sizes: Sizes) -> tuple[int, int, int]:
    return 3, sizes.side, sizes.side


def predicting(stage: Stage, sizes: Sizes) -> Work:
    """Several networks classify images, as at the end of an evaluation."""
    network, device = ConvNet(width=sizes.width), torch.device(stage.device)
    params = fresh_networks(network, shape_of(sizes), CLASSES, Streams.first("check", 0, sizes.predicting), device)
    images = task_of(stage, sizes, 1).images
    return lambda: predict(network, params, images)


def iterations(base: str, ipc: int, stage: Stage, sizes: Sizes) -> Work:
    """Iterations of one update."""
    return iterating(task_of(stage, sizes, ipc), method_of(base, sizes, updates=1))


def pixels_of(stage: Stage, sizes: Sizes, images: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn((images, *shape_of(sizes)), generator=generator).to(stage.device)
    return pixels, torch.arange(images, device=stage.device) % CLASSES


def epoch(images: int, stage: Stage, sizes: Sizes) -> Work:
    """An epoch of the networks that evaluate a set: one step on all of its images."""
    network, streams = ConvNet(width=sizes.width), Streams.first("check", 0, sizes.networks)
    params = fresh_networks(network, shape_of(sizes), CLASSES, streams, torch.device(stage.device))
    recipe = Recipe(networks=sizes.networks, epochs=ITERATIONS, batch=images, augment="none")
    training = Training(network, params, *pixels_of(stage, sizes, images), recipe, streams, "check")
    return lambda: training.advance(training.epoch + 1)


Build = Callable[[Stage, Sizes], Work]


@dataclass(frozen=True)
class Sweep:
    """A limit, and what is timed under its values, by name."""

    limit: str
    workloads: Mapping[str, Build]

    def values(self, *, small: bool) -> tuple[int, ...]:
        return SMALL_VALUES if small else tuple(PLACES[self.limit][1] * factor for factor in FACTORS[self.limit])


def sweeps(sizes: Sizes) -> tuple[Sweep, ...]:
    """In order of worth."""
    of_images = {f"epoch, {CLASSES * ipc} images": partial(epoch, CLASSES * ipc) for ipc in sizes.ipcs}
    return (
        Sweep("WITHOUT_GRADIENTS", {"dm, ipc 1": partial(iterations, "dm", 1), "classifying": predicting}),
        Sweep("WITH_GRADIENTS", {f"dsa, ipc {ipc}": partial(iterations, "dsa", ipc) for ipc in sizes.ipcs[:2]}),
        Sweep("STEP_NUMBERS", of_images),
    )


def timed_under(limits: Mapping[str, int], build: Build, stage: Stage, sizes: Sizes) -> dict[str, Any]:
    with using(limits):
        return repeated(build(stage, sizes), stage.device, sizes.window / 4).entries


def trained_plainly(way: str, images: int, stage: Stage, sizes: Sizes) -> dict[str, Any]:
    """An epoch of as many networks as torch modules, one by one or by torch.func.vmap."""
    depth = ConvNet().blocks(sizes.side)
    networks = [
        PlainConvNet(3, sizes.width, depth, sizes.side, CLASSES).to(stage.device) for _ in range(sizes.networks)
    ]
    train = {"one by one": train_one_by_one, "vmap": train_by_vmap}[way]
    pixels, labels = pixels_of(stage, sizes, images)
    found = repeated(lambda: train(networks, pixels, labels, EPOCHS), stage.device, sizes.window / 4)
    return Repeats(tuple(seconds / EPOCHS for seconds in found.seconds), found.peak_bytes).entries


def main(stage: Stage) -> None:
    """Time every workload under every value, then the plain ways; write what is known after each."""
    sizes = SMALL if stage.small else PAPER
    content: dict[str, Any] = {"sizes": asdict(sizes), "rows": [], "ways": [], "chosen": {}}

    def add(part: str, row: dict[str, Any]) -> None:
        content[part].append(row)
        content["chosen"] = choose(content["rows"])
        names = [str(value) for key, value in row.items() if key in ("limit", "value", "workload", "way", "images")]
        told = row.get("failed") or f"{1000 * row['seconds']:.2f} ms"
        print(f"{', '.join(names)}: {told}", flush=True)
        stage.write("limits.json", content)

    for sweep in sweeps(sizes):
        for value in sweep.values(small=stage.small):
            for name, build in sweep.workloads.items():
                row = {"limit": sweep.limit, "value": value, "workload": name}
                add("rows", row | tried(stage, partial(timed_under, {sweep.limit: value}, build, stage, sizes)))
    for ipc in sizes.ipcs:
        for way in ("one by one", "vmap"):
            row = {"way": way, "images": CLASSES * ipc}
            add("ways", row | tried(stage, partial(trained_plainly, way, CLASSES * ipc, stage, sizes)))
    print(f"chosen: {content['chosen']}")


if __name__ == "__main__":
    main(Stage.of(__doc__))
