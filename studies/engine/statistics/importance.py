"""Importance of knobs with an interval, a permutation null, the dummy knob's importance as floor, and a verdict.

Only for space-filling designs: settings chosen by an optimizer bias all of these numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mim4dd.seeding import generator, integer

from .design import checked_design
from .evaluators import fanova, ped_anova, ped_quantile
from .means import Array, setting_means
from .processes import process_pool

EVALUATORS = ("fANOVA", "PED-ANOVA")
ABOVE, BELOW, UNDECIDED = "decided above the noise", "below the noise", "not decided"
FEWEST = 5


@dataclass(frozen=True)
class Importance:
    """One knob under one evaluator. value is None without settings; low, high, null95 are None below 5 of them.

    null95 is the 95th percentile of the value when the target is permuted; dummy is the value of the dummy knob.
    """

    knob: str
    evaluator: str
    value: float | None
    low: float | None
    high: float | None
    null95: float | None
    dummy: float | None
    verdict: str


@dataclass(frozen=True)
class Importances:
    """The findings for every knob under every evaluator, and the parameters of their computation."""

    findings: tuple[Importance, ...]
    n_settings: int
    lost_settings: int
    lost_sets: int
    resamples: int
    permutations: int
    trees: int
    top_quantile: float


@dataclass(frozen=True)
class _Draw:
    """The parameters of one evaluation of both evaluators, which make it reproducible in any process."""

    kind: str  # value, half or permuted
    index: int
    seed: int
    trees: int
    quantile: float


def knob_importance(
    x: ArrayLike,
    y: ArrayLike,
    names: Sequence[str],
    *,
    dummy: str | None,
    resamples: int = 100,
    permutations: int = 100,
    trees: int = 64,
    resample_trees: int = 16,
    processes: int = 1,
    seed: int = 0,
) -> Importances:
    """fANOVA and PED-ANOVA of the setting means, with a verdict for each knob against the noise.

    Shapes: x [S, d] in [0, 1] (log knobs as logarithms); y [S, R, E], NaN where a trial failed.
    Raises: ValueError if x is not in [0, 1], names do not fit x, or dummy is not among the names.
    """
    means = setting_means(y)
    points = checked_design(x, names, settings=len(np.asarray(y)), dummy=dummy)[means.kept]
    n = len(points)
    quantile = ped_quantile(max(n, 1))
    tasks = [_Draw("value", 0, seed, trees, quantile)] if n else []
    if n >= FEWEST and np.ptp(means.values) > 0:
        tasks += [_Draw("half", index, seed, resample_trees, quantile) for index in range(resamples)]
        tasks += [_Draw("permuted", index, seed, resample_trees, quantile) for index in range(permutations)]
    drawn = _evaluate(points, means.values, tasks, processes)
    findings = tuple(
        finding
        for row, evaluator in enumerate(EVALUATORS)
        for finding in _findings(evaluator, names, dummy, drawn[:, row], resamples)
    )
    return Importances(findings, n, means.lost_settings, means.lost_sets, resamples, permutations, trees, quantile)


def verdict(low: float | None, high: float | None, null95: float | None, dummy: float | None) -> str:
    """ABOVE if low > null95 and low > dummy; BELOW if high < null95; otherwise UNDECIDED.

    BELOW does not prove that there is no effect: a true effect smaller than the importance under permuted targets (for
    fANOVA 0.4 of the variance at 16 settings, 0.2 at 64) is below it too; a response curve's band may still show it.
    """
    if low is None or high is None or null95 is None:
        return UNDECIDED
    if low > max(null95, dummy or 0.0):
        return ABOVE
    return BELOW if high < null95 else UNDECIDED


def _findings(
    evaluator: str, names: Sequence[str], dummy: str | None, drawn: Array, resamples: int
) -> list[Importance]:
    """The findings of one evaluator.

    Shapes: drawn [1 + resamples + permutations, d], or [1, d] with too few settings, or [0, d] without any.
    """
    if len(drawn) == 0:
        return [Importance(knob, evaluator, None, None, None, None, None, UNDECIDED) for knob in names]
    floor = None if dummy is None else float(drawn[0, list(names).index(dummy)])
    findings = []
    for column, knob in enumerate(names):
        value = float(drawn[0, column])
        if len(drawn) == 1:
            findings.append(Importance(knob, evaluator, value, None, None, None, floor, UNDECIDED))
            continue
        low, high = _interval(value, drawn[1 : 1 + resamples, column], 1.0 if evaluator == "fANOVA" else math.inf)
        null95 = float(np.quantile(drawn[1 + resamples :, column], 0.95))
        findings.append(Importance(knob, evaluator, value, low, high, null95, floor, verdict(low, high, null95, floor)))
    return findings


def _interval(value: float, halves: Array, ceiling: float) -> tuple[float, float]:
    """value + quantiles of the half samples about their mean, clipped to [0, ceiling] and to include the value."""
    low, high = value + np.quantile(halves - halves.mean(), [0.025, 0.975])
    return float(np.clip(low, 0.0, value)), float(np.clip(high, value, ceiling))


def _evaluate(x: Array, y: Array, tasks: list[_Draw], processes: int) -> Array:
    """Both evaluators for each task. Shapes: out [len(tasks), 2, d]."""
    if not tasks:
        return np.empty((0, len(EVALUATORS), x.shape[1]))
    xs, ys = [x] * len(tasks), [y] * len(tasks)
    if processes == 1 or len(tasks) == 1:
        return np.array(list(map(_draw, xs, ys, tasks)))
    with process_pool(processes) as pool:
        return np.array(list(pool.map(_draw, xs, ys, tasks, chunksize=8)))


def _draw(x: Array, y: Array, task: _Draw) -> Array:
    rng = generator("statistics.importance", task.kind, task.index, task.seed)
    if task.kind == "half":
        # Copies in a bootstrap sample end up on both sides of a tree's own resampling, which makes it overconfident. A
        # half without replacement has no copies; to first order it varies about the whole as the whole about the truth.
        half = rng.permutation(len(y))[: math.ceil(len(y) / 2)]
        x, y = x[half], y[half]
    elif task.kind == "permuted":
        y = rng.permutation(y)
    forest = integer("statistics.importance.forest", task.kind, task.index, task.seed)
    return np.stack([fanova(x, y, trees=task.trees, seed=forest), ped_anova(x, y, quantile=task.quantile)])
