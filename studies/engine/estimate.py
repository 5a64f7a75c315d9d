"""What a study will do and about how long it will take, without Ray, torch or the data."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS
from mim4dd.registry import Flat, unflatten
from mim4dd.train import RECIPES
from studies.engine.answer import plural
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.progress import clock
from studies.engine.rows import read_rows
from studies.engine.trial import RUNG_NETWORKS, RUNGS

# Measured on one AVX-512 core, eager: a step's fixed cost, and the multiply-adds a second of a small network; they go
# faster with the third root of an image's multiply-adds, up to what wide convolutions reach (docs/results/bench.md).
STEP_SECONDS = 3e-3
SMALL, MULTIPLY_ADDS_A_SECOND, MOST = 2e5, 10e9, 65e9
# (channels, height, classes, training images, validation and test images) of the named sets; others are taken for
# CIFAR-10.
SHAPES = {
    "digits": ((1, 8, 8), 10, 1_100, 697),
    "mnist": ((1, 28, 28), 10, 54_000, 16_000),
    "fashion_mnist": ((1, 28, 28), 10, 54_000, 16_000),
    "svhn": ((3, 32, 32), 10, 65_931, 33_358),
    "cifar10": ((3, 32, 32), 10, 45_000, 15_000),
    "cifar100": ((3, 32, 32), 100, 45_000, 15_000),
}
OTHER = ((3, 32, 32), 10, 18_000, 12_000)


def describe(plan: Plan, options: Options[Any], out: Path) -> str:
    """The trials of a plan, a line a setting, and an estimate of the time."""
    lines = [f"{plural(len(plan.trials), 'trial')} of {plural(len(plan.settings), 'setting')}, to {out}"]
    lines += plan.notes
    for setting in plan.settings:
        seeds = len(setting.trials)
        lines.append(f"{setting.setting:>4} {plural(seeds, 'seed')}  {setting.name}")
    suggested = 0
    if (design := options.flags.adaptive_design) is not None:
        suggested = design.settings * len(options.seeds)
        lines.append(f"then what {design.describe()} suggests, {plural(len(options.seeds), 'seed')} each")
    measured = [row.measured["seconds"] for row in read_rows(out).values() if row.status == "ok"]
    if measured:
        seconds = statistics.fmean(measured) * (len(plan.trials) + suggested)
        basis = f"the {len(measured)} trials that have run"
    else:
        known = {trial.hash: trial_seconds(trial.config) for trial in plan.trials}
        # What a search suggests costs about what the default does.
        each = next((known[s.trials[0]] for s in plan.settings if s.arm.role == "default"), 0.0)
        seconds = sum(known.values()) + prepared_seconds(plan) + suggested * each
        basis = "operation counts"
    lines.append(f"about {clock(seconds)} of one worker's time, from {basis}; divide by the trials that run at once")
    return "\n".join(lines)


def trial_seconds(config: Flat) -> float:
    """A rough time for one trial on one core: operation counts, and a fixed cost a step.

    What it shares with other trials is left out.
    """
    shape, classes, images, judged = SHAPES.get(str(config["dataset"]), OTHER)
    network, recipe = unflatten(NETWORKS, config, "network"), unflatten(RECIPES, config, "evaluation")
    method, ipc = unflatten(METHODS, config, "method"), int(config["ipc"])
    synthetic = images if config["method"] == "full" else classes * ipc
    image = image_seconds(network.multiply_adds(shape, classes))
    distil = method.iterations * (2 * STEP_SECONDS + method.image_passes(classes, ipc) * image)
    epochs = recipe.epochs_for(synthetic)
    steps = epochs * -(-synthetic // recipe.batch) * STEP_SECONDS
    each = (3 * epochs * synthetic + judged) * image
    # The interim accuracies train fewer networks on as many images.
    rungs = len(RUNGS) * (steps + RUNG_NETWORKS * each) if method.iterations else 0.0
    return distil + steps + recipe.networks * each + rungs


def prepared_seconds(plan: Plan) -> float:
    """The same for what is made once for all trials that need it, such as an expert's training."""
    found: dict[tuple[object, ...], float] = {}
    for trial in plan.trials:
        config = trial.config
        needed = unflatten(METHODS, config, "method").preparation
        if needed is not None:
            shape, classes, images, _ = SHAPES.get(str(config["dataset"]), OTHER)
            network = unflatten(NETWORKS, config, "network")
            image = image_seconds(network.multiply_adds(shape, classes))
            shared = (needed, network, config["seed"], config.get("perturb", ""))
            found[shared] = needed.image_passes(images) * image
    return sum(found.values())


def image_seconds(multiply_adds: int) -> float:
    """How long one image's forward pass takes among many."""
    return multiply_adds / min(MOST, MULTIPLY_ADDS_A_SECOND * (multiply_adds / SMALL) ** (1 / 3))
