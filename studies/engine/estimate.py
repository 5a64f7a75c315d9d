"""The dry run: a study's trials and a forecast of their time, without Ray, torch or the data."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS, Network
from mim4dd.registry import Flat, Scalar, unflatten
from studies.engine.judging import Judge, judges_of
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.rows import Row, read_rows
from studies.engine.trial import RUNG_NETWORKS, RUNGS
from studies.engine.wording import clock, plural

if TYPE_CHECKING:
    from mim4dd.methods.task import Preparation

# Measured on one AVX-512 core, eager mode (docs/results/bench.md): a step's fixed cost; the multiply-adds a second of a
# network with SMALL multiply-adds an image, which grow with the cube root of that number up to MOST_A_SECOND.
STEP_SECONDS = 3e-3
SMALL, MULTIPLY_ADDS_A_SECOND, MOST_A_SECOND = 2e5, 10e9, 65e9
# Of an execution on one machine, besides its trials: until the first one starts, after the last one, between two.
STARTUP_SECONDS, ANSWER_SECONDS, TRIAL_OVERHEAD_SECONDS = 22.0, 5.0, 0.1
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


class Shared(NamedTuple):
    """What trials prepare before their first iteration, such as experts; those for which it is equal share it."""

    preparation: Preparation
    network: Network
    seed: Scalar
    perturb: Scalar


@dataclass(frozen=True)
class Forecast:
    """What trials are expected to take, each on a worker of its own.

    trials: seconds by hash; shared: what each of them prepares that does; preparations: seconds of each of these.
    """

    trials: Mapping[str, float]
    shared: Mapping[str, Shared]
    preparations: Mapping[Shared, float]

    @property
    def worker_seconds(self) -> float:
        """The seconds of one worker for all of it."""
        return sum(self.trials.values()) + sum(self.preparations.values())

    def only(self, trials: Container[str]) -> Forecast:
        """The forecast of some of the trials, by their hashes."""
        shared = {trial: of for trial, of in self.shared.items() if trial in trials}
        return Forecast(
            {trial: seconds for trial, seconds in self.trials.items() if trial in trials},
            shared,
            {of: self.preparations[of] for of in shared.values()},
        )

    def without(self, made: Container[Shared]) -> Forecast:
        """The forecast where some preparations have been made already."""
        return replace(self, preparations={key: value for key, value in self.preparations.items() if key not in made})


def forecast(plan: Plan, trials: Container[str]) -> Forecast:
    """What some of a plan's trials are expected to take. trials: their hashes."""
    asked = [trial for trial in plan.trials if trial.hash in trials]
    shared = {trial.hash: of for trial in asked if (of := preparation_of(trial.config)) is not None}
    configs = {shared[trial.hash]: trial.config for trial in asked if trial.hash in shared}
    return Forecast(
        {trial.hash: trial_seconds(trial.config) for trial in asked},
        shared,
        {of: preparation_seconds(of, config) for of, config in configs.items()},
    )


def worker_seconds(rows: Iterable[Row], made: Container[Shared] = ()) -> float:
    """The seconds of one worker that trials took, with what they share, each once, as in a `Forecast`.

    made: the preparations that were there before. What trials waited for these is no worker's time.
    """
    alone, preparations = 0.0, dict[Shared, float]()
    for row in rows:
        alone += row.measured["seconds"] - row.measured.get("waited_seconds", 0.0)
        shared = preparation_of(row.config)
        if shared is not None and shared not in made:
            preparations[shared] = row.measured.get("prepared_seconds", 0.0)
    return alone + sum(preparations.values())


def timed(rows: Iterable[Row]) -> dict[str, Row]:
    """Those of some rows, by trial, whose seconds a forecast is held against: of whole trials."""
    return {row.trial: row for row in rows if row.status == "ok" and "seconds" in row.measured}


def wall_seconds(worker: float, trials: int, workers: int) -> float:
    """The seconds of a whole execution. worker: the seconds of one worker for its trials; workers: at once."""
    at_once = max(1, min(workers, trials))
    return STARTUP_SECONDS + (worker + trials * TRIAL_OVERHEAD_SECONDS) / at_once + ANSWER_SECONDS


def workers_at_once(nodes: Sequence[tuple[float, float]], options: Options[Any], exclusive: bool) -> int:
    """The number of trials that run at once on nodes, (CPUs, GPUs) of each."""
    cpus, gpus = options.cpus_per_trial, options.gpus_per_trial
    # Ray counts in fractions of 1e-4.
    fit = sum(int(min(node[0] / cpus, node[1] / gpus if gpus else math.inf) + 1e-4) for node in nodes)
    return min(fit, 1 if exclusive else options.max_concurrent or fit)


def this_machine() -> tuple[float, float]:
    """The CPUs of this machine that this process may use, and 0 GPUs: torch alone could count them."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return float(allowed), 0.0


def describe(plan: Plan, options: Options[Any], out: Path, workers: int) -> str:
    """The trials of a plan, one line for each setting, and a forecast of the time.

    workers: that run at once on this machine; 0 where that is unknown, as on a cluster.
    """
    rows = read_rows(out)
    plan = plan.grown(rows)
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
    return "\n".join([*lines, time_left(plan, rows.values(), suggested, workers)])


def time_left(plan: Plan, rows: Collection[Row], suggested: int, workers: int) -> str:
    """A line on the time of the trials without a row, by the model times what those with one took of its forecast.

    suggested: the trials that will be added to the plan; workers: as in `describe`.
    """
    done = {row.trial for row in rows if row.status != "error"}
    whole = forecast(plan, {trial.hash for trial in plan.trials})
    suggested = max(0, suggested - len(done - whole.trials.keys()))
    left = whole.only(whole.trials.keys() - done).without(whole.only(done).preparations)
    count = len(left.trials) + suggested
    if not count:
        return "no trial is left to run"
    # A suggestion of a search is assumed to cost as much as the default.
    default = next((whole.trials[s.trials[0]] for s in plan.settings if s.arm.role == "default"), 0.0)
    known = {trial: row for trial, row in timed(rows).items() if trial in whole.trials}
    factor = worker_seconds(known.values()) / whole.only(known).worker_seconds if known else 1.0
    seconds = factor * (left.worker_seconds + suggested * default)
    of = f" for {plural(count, 'trial')} left to run" if done else ""
    basis = f" times {factor:.2g}, from the {plural(len(known), 'trial')} that have run" if known else ""
    together = "divide by the trials that run at once"
    if workers:
        wall = clock(wall_seconds(seconds, count, workers))
        together = f"about {wall} in all on {plural(min(workers, count), 'worker')} of this machine"
    return f"about {clock(seconds)} of one worker's time{of}, from operation counts{basis}; {together}"


def trial_seconds(config: Flat) -> float:
    """A rough time for one trial on one core, from operation counts and a fixed cost a step.

    Preparations that trials share are not included (see `preparation_seconds`).
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


def preparation_of(config: Flat) -> Shared | None:
    """What a trial's method prepares; None where it prepares nothing."""
    if "method" not in config:
        return None  # a set that is made already
    preparation = unflatten(METHODS, config, "method").preparation
    if preparation is None:
        return None
    return Shared(preparation, unflatten(NETWORKS, config, "network"), config["seed"], config.get("perturb", ""))


def preparation_seconds(shared: Shared, config: Flat) -> float:
    """A rough time for making what trials share. config: of one of them."""
    shape, classes, images, _ = _data(config)
    return shared.preparation.image_passes(images) * image_seconds(shared.network.multiply_adds(shape, classes))


def image_seconds(multiply_adds: int) -> float:
    """The seconds of one image's forward pass within a large batch."""
    return multiply_adds / min(MOST_A_SECOND, MULTIPLY_ADDS_A_SECOND * (multiply_adds / SMALL) ** (1 / 3))
