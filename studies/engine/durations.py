"""How long a trial takes, from the operations of its stages and the rates of a machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mim4dd.complexity import (
    classification_operations,
    iteration_operations,
    preparation_operations,
    training_operations,
)
from mim4dd.methods import METHODS
from mim4dd.methods.catalogue import least_prepared, wrapped
from mim4dd.networks import NETWORKS
from mim4dd.registry import Flat, name_of, unflatten
from studies.engine.judging import Judge, judges_of, other_rates, rates_of
from studies.engine.problems import COST, MEMORY, OWN, WINDOW, Problem
from studies.engine.repeating import LONG_WINDOWS, timed_seconds
from studies.engine.sizes import Size, size_in
from studies.engine.speeds import Speeds
from studies.engine.trial import RUNG_IMAGES, RUNG_NETWORKS, RUNGS

if TYPE_CHECKING:
    from mim4dd.methods import Method

# How often a rate is chosen that is not the recipe's own.
CHOSEN_ANEW = 0.7
# Reports of a run, each of which differentiates every term once more.
REPORTS = 25


def trial_seconds(config: Flat, speeds: Speeds, read: Size | None = None) -> float:
    """One trial's seconds on one core, without the preparations that trials share (see `preparation_seconds`).

    read: as in `size_in`.
    """
    if COST in config:
        return _measuring(config, speeds, read)
    shape, classes, images, evaluated = size_in(config, read)
    synthetic = images if config.get("method") == "full" else classes * int(config["ipc"])
    judges, rates = judges_of(config), rates_of(config)
    judged = sum(_judged(judge, shape, classes, synthetic, evaluated, speeds) for judge in judges.values())
    if rates:
        # One network at each other rate; and all at the one that is chosen, unless it is the recipe's own.
        one = [Judge(judge.network, replace(judge.recipe, networks=1)) for judge in judges.values()]
        tries = sum(
            len(other_rates(judge, rates)) * _judged(judge, shape, classes, synthetic, RUNG_IMAGES, speeds)
            for judge in one
        )
        judged += tries + CHOSEN_ANEW * judged
    fixed = speeds.driver.trial_seconds
    if "method" not in config:
        return fixed + judged  # a set that is made already
    method = unflatten(METHODS, config, "method")
    rungs = 0.0
    if config.get("interim") and method.iterations:
        own = judges[""]
        few = Judge(own.network, replace(own.recipe, networks=RUNG_NETWORKS))
        rungs = len(RUNGS) * _judged(few, shape, classes, synthetic, min(RUNG_IMAGES, evaluated), speeds)
    return fixed + iteration_seconds(config, speeds, read) * _iterations(method) + judged + rungs


def _iterations(method: Method) -> float:
    """Its iterations, and what its reports add."""
    return method.iterations + min(method.iterations, REPORTS) * 0.5


def iteration_seconds(config: Flat, speeds: Speeds, read: Size | None = None) -> float:
    """Seconds of one iteration of a trial's method; 0 for a selection."""
    shape, classes, _, _ = size_in(config, read)
    method, network = unflatten(METHODS, config, "method"), unflatten(NETWORKS, config, "network")
    rate = speeds.of(name_of(getattr(method, "base", method)))
    return rate.seconds(iteration_operations(method, network, shape, classes, int(config["ipc"])))


def _judged(
    judge: Judge, shape: tuple[int, int, int], classes: int, synthetic: int, real: int, speeds: Speeds
) -> float:
    """Seconds of training a judge's networks on a set, and of classifying real images."""
    trained = training_operations(judge.recipe, judge.network, shape, classes, synthetic)
    seen = classification_operations(judge.network, shape, classes, judge.recipe.networks, real)
    return speeds.training.seconds(trained) + speeds.classification.seconds(seen)


def preparation_seconds(config: Flat, speeds: Speeds, read: Size | None = None) -> float:
    """Seconds of what a trial's method prepares; 0 for nothing."""
    shape, classes, images, _ = size_in(config, read)
    method, network = unflatten(METHODS, config, "method"), unflatten(NETWORKS, config, "network")
    return speeds.training.seconds(preparation_operations(method, network, shape, classes, images))


def _measuring(config: Flat, speeds: Speeds, read: Size | None) -> float:
    """Seconds of a trial that measures: each stage for a window, or as often as a long one is repeated."""
    shape, classes, images, _ = size_in(config, read)
    if config[COST] != OWN:
        images = Problem.of(str(config[COST])).images
    method, network = unflatten(METHODS, config, "method"), unflatten(NETWORKS, config, "network")
    once, window = iteration_seconds(config, speeds, read), float(config[WINDOW])
    # With the term, the base alone runs in turns.
    sides = 2 if config.get("method.weight") and wrapped(method) is not None else 1
    prepared = speeds.training.seconds(preparation_operations(least_prepared(method), network, shape, classes, images))
    preparing = prepared if prepared >= LONG_WINDOWS * window else prepared + timed_seconds(prepared, window)
    # With memory, an iteration is counted and two run in a fresh process.
    weighed = speeds.driver.memory_seconds + 4 * once if config[MEMORY] else 0.0
    stages = sides * timed_seconds(once, window) + (preparing if method.preparation is not None else 0.0)
    return speeds.driver.measuring_seconds + stages + weighed
