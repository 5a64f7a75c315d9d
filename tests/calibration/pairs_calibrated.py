"""Intervals of means and of pairs, the one decision rule, its forecast, P(A > B), slopes along a factor, ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from measured import Row, covers, row
from noise import NETWORKS, NOISES, NORMAL, SKEWED, Array, Noise
from scipy import stats

from studies.engine.statistics import mean_interval, paired_interval, probability_of_improvement, rank_methods
from studies.engine.statistics.contrasts import LEVEL, Decision, judge, pairs_needed, three_tests

MARGIN = 0.5  # points
NETS = 5
EVERY = "every report"
FAMILIES = ((5, 1), (5, 3), (5, 10), (5, 34), (10, 1), (10, 10), (20, 10))  # pairs, contrasts
Noises = Sequence[Noise]
DECIDED = (Decision.GAIN, Decision.LOSS)


def differences(rng: np.random.Generator, noise: Noise, effects: list[float], seeds: int) -> Array:
    """Each arm less the base that all share, [arms, seeds].

    Two arms of the same skewed law differ by a symmetric law; here the base has no noise of its own, so that the
    differences keep the skewness, with the same standard deviation.
    """
    if noise is SKEWED:
        alone = replace(noise, seed=0.0, network=0.0).scores(rng, np.zeros(len(effects)), seeds, NETS).mean(axis=2)
        return np.asarray(np.array(effects)[:, None] + np.sqrt(2) * alone)
    scores = noise.scores(rng, np.array([0.0, *effects]), seeds, NETS).mean(axis=2)
    return np.asarray(scores[1:] - scores[0])


def intervals(
    rng: np.random.Generator, runs: int, noises: Noises = NOISES, sizes: Sequence[int] = (3, 5, 10, 20)
) -> list[Row]:
    rows = []
    for noise in noises:
        for n in sizes:
            alone, pairs = [], []
            for _ in range(2 * runs):
                sets = noise.scores(rng, np.zeros(1), n, NETS)[0].mean(axis=1)
                found = mean_interval(sets)
                alone.append(covers(found.low, 0.0, found.high))
                (gain,) = differences(rng, noise, [0.0], n)
                one = paired_interval(gain, np.zeros(n))
                pairs.append(covers(one.low, 0.0, one.high))
            rows.append(row("t intervals", "t interval of a mean", f"{n} sets", noise.name, "coverage", alone, EVERY))
            what = "t interval of paired differences"
            rows.append(row("t intervals", what, f"{n} pairs", noise.name, "coverage", pairs, EVERY))
    return rows


def families(
    rng: np.random.Generator, runs: int, noises: Noises = NOISES, sizes: Sequence[tuple[int, int]] = FAMILIES
) -> list[Row]:
    """The decision rule: a family errs if any of its contrasts does."""
    rows = []
    for noise in noises:
        for n, size in sizes:
            wrong, alike = [], []
            for _ in range(max(runs // 5, 2) if size > 3 else runs):
                null = judge("null", [three_tests(d, margin=MARGIN) for d in differences(rng, noise, [0.0] * size, n)])
                wrong.append(any(one.decision in DECIDED for one in null))
                large = differences(rng, noise, [MARGIN] * size, n)
                at = judge("margin", [three_tests(d, margin=MARGIN) for d in large])
                alike.append(any(one.negligible is not None and one.negligible < LEVEL for one in at))
            many = f"{n} pairs, family of {size}"
            rows.append(row("decisions", "gain or loss where there is none", many, noise.name, "error", wrong, EVERY))
            what = "negligible where every effect is the margin"
            rows.append(row("decisions", what, many, noise.name, "error", alike, EVERY))
    return rows


def powers(rng: np.random.Generator, runs: int) -> list[Row]:
    """One effect in a family of otherwise equal arms."""
    rows = []
    for n, size in ((5, 1), (5, 10), (10, 1), (10, 10), (20, 1), (20, 10)):
        for effect in (0.5, 1.0):
            found, negligible = [], []
            for _ in range(max(runs // 4, 2)):
                d = differences(rng, NETWORKS, [effect] + [0.0] * (size - 1), n)
                judged = judge("power", [three_tests(one, margin=MARGIN) for one in d])
                found.append(judged[0].decision is Decision.GAIN)
                negligible.append(judged[-1].decision is Decision.NEGLIGIBLE)
            many = f"{n} pairs, family of {size}"
            what = f"gain where it is {effect:g} points"
            rows.append(row("decisions", what, many, NETWORKS.name, "power", found, EVERY))
            if size > 1 and effect == 1.0:
                what = "negligible where the effect is 0"
                rows.append(row("decisions", what, many, NETWORKS.name, "power", negligible, EVERY))
    return rows


def decides(effect: float, n: int, level: float) -> float:
    """The power of the two-sided paired t test of an effect in standard deviations."""
    bound, shift = stats.t.isf(level / 2, n - 1), effect * np.sqrt(n)
    below = stats.nct.cdf(-bound, n - 1, shift)
    return float(stats.nct.sf(bound, n - 1, shift) + (below if np.isfinite(below) else 0.0))


def forecasts(rng: np.random.Generator, runs: int) -> list[Row]:
    """Whether a new experiment with the forecast's number of pairs decides; among undecided ones that have one."""
    rows = []
    for n, size in ((5, 1), (10, 1), (20, 1), (5, 10), (10, 10)):
        for effect in (0.5, 1.0):
            level, fewest, most = LEVEL / size, [], []
            for _ in range(2 * runs):
                one = three_tests(rng.normal(effect, 1.0, size=n), margin=1e-3)
                needed = pairs_needed(one, level) if (one.difference or 0.0) >= level else None
                if needed is not None:
                    fewest.append(decides(effect, needed[0], level) > rng.random())
                    if needed[1] is not None:
                        most.append(decides(effect, min(needed[1], 2000), level) > rng.random())
            many = f"{n} pairs, family of {size}, effect of {effect:g} sd"
            rows += [
                row("pairs that would decide", what, many, "normal", kind, values, "tables of contrasts")
                for what, kind, values in (
                    ("decides with the fewest pairs", "power", fewest),
                    ("decides with the most pairs", "at least", most),
                )
                if len(values) >= 10
            ]
    return rows


def improvements(rng: np.random.Generator, runs: int) -> list[Row]:
    rows = []
    for n in (5, 10, 20):
        for effect in (0.0, 0.5):
            probability = float(stats.norm.cdf(effect / (np.sqrt(2) * NETWORKS.paired(NETS))))
            covered = []
            for _ in range(runs):
                (d,) = differences(rng, NETWORKS, [effect], n)
                one = probability_of_improvement(d, np.zeros(n))
                covered.append(covers(one.low, probability, one.high))
            what = f"interval of P(A > B) = {probability:.2f}"
            rows.append(row("P(A > B)", what, f"{n} pairs", NETWORKS.name, "coverage", covered, "comparisons, stress"))
    return rows


def slopes(rng: np.random.Generator, runs: int) -> list[Row]:
    """The slope of accuracy over five levels of noise or imbalance, on each seed; noise grows with the level."""
    rows, x = [], np.linspace(0.0, 0.8, 5)
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    for noise in NOISES:
        for n in (5, 10):
            covered = []
            for _ in range(runs):
                scores = -20 * x + (1 + 3 * x) * noise.scores(rng, np.zeros(5), n, NETS).mean(axis=2).T
                one = mean_interval(scores @ weights)
                covered.append(covers(one.low, -20.0, one.high))
            what = "t interval of a slope over 5 levels"
            rows.append(row("slopes along a factor", what, f"{n} seeds", noise.name, "coverage", covered, "stress"))
    return rows


def ranks(rng: np.random.Generator, runs: int) -> list[Row]:
    """Blocks are seeds; all methods equal, or one 1 point better."""
    rows = []
    for noise in NOISES:
        for blocks, methods in ((5, 4), (10, 4), (20, 4), (5, 10), (20, 10)):
            tests: dict[str, list[bool]] = {
                "Friedman's test": [],
                "Iman and Davenport's test": [],
                "Nemenyi, any two": [],
            }
            for _ in range(max(runs // 2, 2)):
                found = rank_methods(noise.scores(rng, np.zeros(methods), blocks, NETS).mean(axis=2).T)
                gap = float(np.ptp(found.average or (0.0,)))
                tests["Friedman's test"].append((found.friedman_p or 1.0) < LEVEL)
                tests["Iman and Davenport's test"].append((found.iman_davenport_p or 1.0) < LEVEL)
                tests["Nemenyi, any two"].append(gap >= (found.critical_difference or np.inf))
            many = f"{methods} methods, {blocks} seeds"
            rows += [
                row("ranks", f"{name} where all are equal", many, noise.name, "error", values, "baselines")
                for name, values in tests.items()
            ]
    for blocks in (5, 20):
        apart = []
        for _ in range(max(runs // 2, 2)):
            scores = NORMAL.scores(rng, np.r_[1.0, np.zeros(3)], blocks, NETS).mean(axis=2).T
            found = rank_methods(scores)
            best, other = (found.average or (0.0, 0.0))[:2]
            apart.append(other - best >= (found.critical_difference or np.inf))
        what = "Nemenyi, a method 1 point better than another"
        rows.append(row("ranks", what, f"4 methods, {blocks} seeds", NORMAL.name, "power", apart, "baselines"))
    return rows
