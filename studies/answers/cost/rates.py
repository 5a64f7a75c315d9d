"""The rates of the machine that was measured, by which its studies forecast their time."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from mim4dd.complexity import (
    Operations,
    classification_operations,
    iteration_operations,
    preparation_operations,
    training_operations,
)
from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS
from mim4dd.registry import name_of, unflatten
from mim4dd.train import RECIPES
from studies.answers.results import Results
from studies.engine.durations import trial_seconds
from studies.engine.problems import CLASSIFIED, COST, MEMORY, Problem
from studies.engine.rows import Row
from studies.engine.sizes import NAMED, Size
from studies.engine.speeds import ANY, Driver, Rate, Speeds, fit

# A fit for one base takes so many cells, each of which has four rates to tell apart.
ENOUGH = 6
Measured = tuple[Operations, float]


def speeds_of(results: Results) -> Speeds | None:
    """The rates that explain the measured seconds; None where iterations or evaluations were not measured."""
    rows = [row for row in results.folder.rows.values() if row.status == "ok" and COST in row.config]
    iterations: dict[str, list[Measured]] = {}
    for row in rows:
        if "iteration_seconds" in row.costs:
            iterations.setdefault(_base(row), []).append((_iteration(row), row.costs["iteration_seconds"]))
    training = [one for row in rows for one in _training(row)]
    classified = [one for row in rows for one in _classified(row)]
    if not iterations or not training or not classified:
        return None
    everything = [one for own in iterations.values() for one in own]
    by_base = {base: _fitted(own) for base, own in iterations.items() if len({key(op) for op, _ in own}) >= ENOUGH}
    device, threads = str(rows[0].measured["device"]), int(rows[0].measured["threads"])
    machine = f"{rows[0].measured.get('processor') or device}, torch {rows[0].measured['torch']}"
    known = (machine, device, threads)
    first = Speeds(*known, {ANY: _fitted(everything), **by_base}, _fitted(training), _fitted(classified), NOTHING)
    paces = [row.measured["pace_seconds"] for row in rows if "pace_seconds" in row.measured]
    pace = statistics.median(paces) if paces else 0.0
    return replace(first, driver=_driver(results, first), pace=pace)


# What trials take besides their operations, before it is known; and where a study has no trial of a kind.
NOTHING = Driver(0.0, 0.0, 0.0, 0.0, 0.0)
# A study that was interrupted before its first row has one long after it was created.
LONGEST_START = 120.0
ASSUMED = Driver(0.3, 0.2, 1.0, 20.0, 0.05)


def key(operations: Operations) -> tuple[float, ...]:
    """Equal for measurements of the same work."""
    return operations.steps, operations.flops, operations.activations, operations.drawn


def _data(row: Row) -> Size:
    """The shape, classes and images of a row, of the study's own data as they were."""
    problem = Problem.of(str(row.record["result"]["problem"]))
    return Size(problem.shape, problem.classes, problem.whole, 0)


def _fitted(measured: list[Measured]) -> Rate:
    return fit([one for one, _ in measured], [seconds for _, seconds in measured])


def _base(row: Row) -> str:
    method = unflatten(METHODS, row.config, "method")
    return name_of(getattr(method, "base", method))


def _iteration(row: Row) -> Operations:
    shape, classes, _, _ = _data(row)
    method, network = unflatten(METHODS, row.config, "method"), unflatten(NETWORKS, row.config, "network")
    return iteration_operations(method, network, shape, classes, int(row.config["ipc"]))


def _training(row: Row) -> Iterable[Measured]:
    """The training of evaluating networks, and of what a method prepares."""
    shape, classes, images, _ = _data(row)
    network = unflatten(NETWORKS, row.config, "network")
    if "training_seconds" in row.costs:
        recipe = unflatten(RECIPES, row.config, "evaluation")
        trained = training_operations(recipe, network, shape, classes, classes * int(row.config["ipc"]))
        yield trained, row.costs["training_seconds"]
    if "preparation_seconds" in row.costs:
        method = unflatten(METHODS, row.config, "method")
        yield preparation_operations(method, network, shape, classes, images), row.costs["preparation_seconds"]


def _classified(row: Row) -> Iterable[Measured]:
    if "classified_image_seconds" in row.costs:
        shape, classes, _, _ = _data(row)
        recipe, network = unflatten(RECIPES, row.config, "evaluation"), unflatten(NETWORKS, row.config, "network")
        seen = classification_operations(network, shape, classes, recipe.networks, CLASSIFIED)
        yield seen, CLASSIFIED * row.costs["classified_image_seconds"]


def _driver(results: Results, speeds: Speeds) -> Driver:
    """What trials and the study take besides: medians over its rows."""
    rows = sorted(
        (row for row in results.folder.rows.values() if "started" in row.measured),
        key=lambda row: row.measured["started"],
    )
    rest: dict[str, list[float]] = {"trial": [], "measuring": [], "memory": []}
    for row in rows:
        if row.status == "ok" and str(row.config["dataset"]) in NAMED:
            taken = row.measured["seconds"] - row.measured.get("waited_seconds", 0.0)
            rest[_kind(row)].append(max(0.0, taken - trial_seconds(row.config, speeds)))
    middle = {kind: statistics.median(found) for kind, found in rest.items() if found}
    measuring = middle.get("measuring", ASSUMED.measuring_seconds)
    gaps = [after.measured["started"] - before.measured["ended"] for before, after in pairwise(rows)]
    created = datetime.fromisoformat(str(results.folder.study["created"])).timestamp()
    return Driver(
        trial_seconds=middle.get("trial", ASSUMED.trial_seconds),
        measuring_seconds=measuring,
        # The fresh process comes on top of what every trial that measures takes.
        memory_seconds=max(0.0, middle["memory"] - measuring) if "memory" in middle else ASSUMED.memory_seconds,
        startup_seconds=min(LONGEST_START, max(0.0, rows[0].measured["started"] - created)),
        between_seconds=max(0.0, statistics.median(gaps)) if gaps else ASSUMED.between_seconds,
    )


def _kind(row: Row) -> str:
    """Which of the driver's numbers a row tells."""
    if COST not in row.config:
        return "trial"
    return "memory" if row.config[MEMORY] else "measuring"
