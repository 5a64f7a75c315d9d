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
from studies.engine.durations import preparation_seconds, trial_seconds
from studies.engine.measuring import processor
from studies.engine.options import Options
from studies.engine.pace import pace_seconds
from studies.engine.plan import Plan
from studies.engine.problems import COST
from studies.engine.rows import Row, read_rows
from studies.engine.speeds import Speeds, speeds_beside
from studies.engine.trial import distillation_seed
from studies.engine.wording import clock, plural

if TYPE_CHECKING:
    from mim4dd.methods.task import Preparation

# The end of an execution: the answer from all rows.
ANSWER_SECONDS = 5.0


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


def forecast(plan: Plan, trials: Container[str], speeds: Speeds) -> Forecast:
    """What some of a plan's trials are expected to take. trials: their hashes."""
    asked = [trial for trial in plan.trials if trial.hash in trials]
    shared = {trial.hash: of for trial in asked if (of := preparation_of(trial.config)) is not None}
    configs = {shared[trial.hash]: trial.config for trial in asked if trial.hash in shared}
    return Forecast(
        {trial.hash: trial_seconds(trial.config, speeds, plan.size) for trial in asked},
        shared,
        {of: preparation_seconds(config, speeds, plan.size) for of, config in configs.items()},
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


def wall_seconds(worker: float, trials: int, workers: int, speeds: Speeds) -> float:
    """The seconds of a whole execution. worker: the seconds of one worker for its trials; workers: at once."""
    at_once, driver = max(1, min(workers, trials)), speeds.driver
    return driver.startup_seconds + (worker + trials * driver.between_seconds) / at_once + ANSWER_SECONDS


def workers_at_once(nodes: Sequence[tuple[float, float]], options: Options[Any], exclusive: bool) -> int:
    """The number of trials that run at once on nodes, (CPUs, GPUs) of each."""
    cpus, gpus = options.cpus_per_trial, options.gpus_per_trial
    # Ray counts in fractions of 1e-4.
    fit = sum(int(min(node[0] / cpus, node[1] / gpus if gpus else math.inf) + 1e-4) for node in nodes)
    return min(fit, 1 if exclusive else options.max_concurrent or fit)


def speeds_of(options: Options[Any], out: Path, *, here: bool) -> Speeds:
    """The speeds by which the trials of a command are forecast. out: its study's folder.

    here: whether they run on this machine; where its processor is another than that of the speeds, they are scaled by
    its pace, which says less than having measured on the same one.
    """
    device = "cuda" if options.gpus_per_trial else "cpu"
    speeds = speeds_beside(out, device, max(1, int(options.cpus_per_trial)))
    another = here and device == "cpu" and not speeds.machine.startswith(processor(device))
    return speeds.at(pace_seconds()) if another else speeds


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
        lines.append(f"then the best of what is tried on up to {plural(suggested, 'more trial')}")
    if (design := options.flags.adaptive_design) is not None:
        suggested = design.settings * len(options.seeds)
        lines.append(f"then what {design.describe()} suggests, {plural(len(options.seeds), 'seed')} each")
    speeds = speeds_of(options, out, here=bool(workers))
    return "\n".join([*lines, time_left(plan, rows.values(), suggested, workers, speeds)])


def time_left(plan: Plan, rows: Collection[Row], suggested: int, workers: int, speeds: Speeds) -> str:
    """A line on the time of the trials without a row, by the model times what those with one took of its forecast.

    suggested: the trials that will be added to the plan; workers: as in `describe`.
    """
    done = {row.trial for row in rows if row.status != "error"}
    whole = forecast(plan, {trial.hash for trial in plan.trials}, speeds)
    suggested = max(0, suggested - len(done - whole.trials.keys()))
    left = whole.only(whole.trials.keys() - done).without(whole.only(done).preparations)
    count = len(left.trials) + suggested
    if not count:
        return "no trial is left to run"
    known = {trial: row for trial, row in timed(rows).items() if trial in whole.trials}
    factor = worker_seconds(known.values()) / whole.only(known).worker_seconds if known else 1.0
    seconds = factor * (left.worker_seconds + suggested * added_seconds(plan, whole))
    of = f" for {plural(count, 'trial')} left to run" if done else ""
    basis = f" times {factor:.2g}, from the {plural(len(known), 'trial')} that have run" if known else ""
    together = "divide by the trials that run at once"
    if workers:
        wall = clock(wall_seconds(seconds, count, workers, speeds))
        together = f"about {wall} in all on {plural(min(workers, count), 'worker')} of this machine"
    return f"about {clock(seconds)} of one worker's time{of}, by the speed of {speeds.machine}{basis}; {together}"


def added_seconds(plan: Plan, whole: Forecast) -> float:
    """What a trial that is added to the plan is assumed to take: as the default, or the mean of what is tried."""
    default = [whole.trials[setting.trials[0]] for setting in plan.settings if setting.arm.role == "default"]
    tried = [whole.trials[setting.trials[0]] for setting in plan.settings if setting.arm.role == "design"]
    return default[0] if default else sum(tried) / len(tried) if tried else 0.0


def preparation_of(config: Flat) -> Shared | None:
    """What a trial's method prepares; None where it prepares nothing."""
    if "method" not in config or COST in config:
        return None  # a set that is made already, or a measurement of less than the whole
    preparation = unflatten(METHODS, config, "method").preparation
    if preparation is None:
        return None
    return Shared(
        preparation, unflatten(NETWORKS, config, "network"), distillation_seed(config), config.get("perturb", "")
    )
