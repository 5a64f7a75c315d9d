"""The dry run: a study's trials and an estimate of their time, without Ray, torch or the data."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS
from mim4dd.registry import Flat, unflatten
from studies.engine.judging import Judge, judges_of
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.rows import read_rows
from studies.engine.trial import RUNG_NETWORKS, RUNGS
from studies.engine.wording import clock, plural

# Measured on one AVX-512 core, eager mode (docs/results/bench.md): a step's fixed cost; the multiply-adds a second of a
# network with SMALL multiply-adds an image, which grow with the cube root of that number up to MOST_A_SECOND.
STEP_SECONDS = 3e-3
SMALL, MULTIPLY_ADDS_A_SECOND, MOST_A_SECOND = 2e5, 10e9, 65e9
# (shape [channels, height, width], classes, training images, validation and test images) of the named data sets.
SHAPES = {
    "digits": ((1, 8, 8), 10, 1_100, 697),
    "mnist": ((1, 28, 28), 10, 54_000, 16_000),
    "fashion_mnist": ((1, 28, 28), 10, 54_000, 16_000),
    "svhn": ((3, 32, 32), 10, 65_931, 33_358),
    "cifar10": ((3, 32, 32), 10, 45_000, 15_000),
    "cifar100": ((3, 32, 32), 100, 45_000, 15_000),
}
# What a file or folder is assumed to hold.
OTHER = ((3, 32, 32), 10, 18_000, 12_000)


def describe(plan: Plan, options: Options[Any], out: Path) -> str:
    """The trials of a plan, one line for each setting, and an estimate of the time."""
    lines = [f"{plural(len(plan.trials), 'trial')} of {plural(len(plan.settings), 'setting')}, to {out}"]
    lines += plan.notes
    for setting in plan.settings:
        seeds = len(setting.trials)
        lines.append(f"{setting.setting:>4} {plural(seeds, 'seed')}  {setting.name}")
    suggested = plan.growth
    if suggested:
        lines.append(f"then the best setting on up to {plural(suggested, 'more trial')}")
    if (design := options.flags.adaptive_design) is not None:
        suggested = design.settings * len(options.seeds)
        lines.append(f"then what {design.describe()} suggests, {plural(len(options.seeds), 'seed')} each")
    rows = read_rows(out).values()
    measured = [row.measured["seconds"] for row in rows if row.status == "ok" and "seconds" in row.measured]
    if measured:
        seconds = statistics.fmean(measured) * (len(plan.trials) + suggested)
        basis = f"the {len(measured)} trials that have run"
    else:
        estimates = {trial.hash: trial_seconds(trial.config) for trial in plan.trials}
        # A suggestion of a search is assumed to cost as much as the default.
        default = next((estimates[s.trials[0]] for s in plan.settings if s.arm.role == "default"), 0.0)
        seconds = sum(estimates.values()) + prepared_seconds(plan) + suggested * default
        basis = "operation counts"
    lines.append(f"about {clock(seconds)} of one worker's time, from {basis}; divide by the trials that run at once")
    return "\n".join(lines)


def trial_seconds(config: Flat) -> float:
    """A rough time for one trial on one core, from operation counts and a fixed cost a step.

    Preparations that trials share are not included (see `prepared_seconds`).
    """
    shape, classes, images, evaluated = _data(config)
    network, ipc = unflatten(NETWORKS, config, "network"), int(config["ipc"])
    synthetic = images if config.get("method") == "full" else classes * ipc
    image = image_seconds(network.multiply_adds(shape, classes))
    judged, judges = 0.0, judges_of(config)
    for judge in judges.values():
        steps, per_network = _training_seconds(judge, shape, classes, synthetic, evaluated)
        judged += steps + judge.recipe.networks * per_network
    if "method" not in config:
        return judged  # a set that is made already
    method = unflatten(METHODS, config, "method")
    distil = method.iterations * (2 * STEP_SECONDS + method.image_passes(classes, ipc) * image)
    # The interim accuracies train fewer networks on as many images.
    interim = bool(config.get("interim")) and method.iterations > 0
    steps, per_network = _training_seconds(judges[""], shape, classes, synthetic, evaluated)
    rungs = len(RUNGS) * (steps + RUNG_NETWORKS * per_network) if interim else 0.0
    return distil + judged + rungs


def _training_seconds(
    judge: Judge, shape: tuple[int, int, int], classes: int, synthetic: int, evaluated: int
) -> tuple[float, float]:
    """(the fixed cost of all steps, the seconds of each network), of training on a set and classifying real images."""
    image = image_seconds(judge.network.multiply_adds(shape, classes))
    epochs = judge.recipe.epochs_for(synthetic)
    # A backward pass costs about two forward passes.
    return epochs * -(-synthetic // judge.recipe.batch) * STEP_SECONDS, (3 * epochs * synthetic + evaluated) * image


def _data(config: Flat) -> tuple[tuple[int, int, int], int, int, int]:
    """As in SHAPES, of images that have been resized where the configuration says so."""
    (channels, *sides), classes, images, evaluated = SHAPES.get(str(config["dataset"]), OTHER)
    height, width = [int(config.get("source.size", 0)) or side for side in sides]
    return (channels, height, width), classes, images, evaluated


def prepared_seconds(plan: Plan) -> float:
    """A rough time for the preparations of a plan, such as training experts, each made once for all its trials."""
    preparations: dict[tuple[object, ...], float] = {}
    for trial in plan.trials:
        config = trial.config
        if "method" not in config:
            continue
        preparation = unflatten(METHODS, config, "method").preparation
        if preparation is not None:
            shape, classes, images, _ = _data(config)
            network = unflatten(NETWORKS, config, "network")
            image = image_seconds(network.multiply_adds(shape, classes))
            shared_by = (preparation, network, config["seed"], config.get("perturb", ""))
            preparations[shared_by] = preparation.image_passes(images) * image
    return sum(preparations.values())


def image_seconds(multiply_adds: int) -> float:
    """The seconds of one image's forward pass within a large batch."""
    return multiply_adds / min(MOST_A_SECOND, MULTIPLY_ADDS_A_SECOND * (multiply_adds / SMALL) ** (1 / 3))
