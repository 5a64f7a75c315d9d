"""Crossed variance components, and a setting chosen and judged: on the same seeds, leaving one out, on other seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from measured import Row, covers, row
from noise import NETWORKS, NOISES, NORMAL, Noise

from studies.engine.statistics import crossed_components, mean_interval, regret_of, set_components, split_choice

SENSITIVITY = "sensitivity"
SETTINGS_SD = 0.2
TABLES = ((8, 3, 3), (16, 3, 5), (32, 5, 5), (64, 5, 5), (64, 10, 10))  # settings, seeds, networks
STUDIES = ((8, 5), (8, 8), (8, 10), (16, 5), (16, 8), (16, 10), (64, 5), (64, 10))  # settings, seeds
Noises = Sequence[Noise]


def truths(noise: Noise, networks: int) -> dict[str, float]:
    paired = noise.paired(networks)
    return {
        "settings": SETTINGS_SD,
        "seeds": noise.seed,
        "networks": noise.network,
        "setting_by_seed": noise.setting_by_seed,
        "setting_by_network": noise.setting_by_network,
        "paired": paired,
        "effect_to_paired": SETTINGS_SD / paired,
    }


def components(
    rng: np.random.Generator, runs: int, noises: Noises = NOISES, sizes: Sequence[tuple[int, int, int]] = TABLES
) -> list[Row]:
    rows = []
    for noise in noises:
        for S, R, E in sizes:
            covered: dict[str, list[bool]] = {name: [] for name in truths(noise, E)}
            for _ in range(max(runs // 3, 2)):
                found = crossed_components(noise.scores(rng, SETTINGS_SD * noise.law(rng, (S,)), R, E))
                for name, truth in truths(noise, E).items():
                    one = getattr(found, name)
                    covered[name].append(covers(one.low, truth, one.high))
            many = f"{S} settings × {R} seeds × {E} networks"
            rows += [
                row("variance components", name.replace("_", " "), many, noise.name, "coverage", values, SENSITIVITY)
                for name, values in covered.items()
            ]
        for R, E in ((3, 5), (5, 3), (10, 10)):
            sets, networks = [], []
            for _ in range(max(runs // 2, 2)):
                one = set_components(noise.scores(rng, np.zeros(1), R, E)[0])
                for part, values, truth in (
                    (one.sets, sets, np.hypot(noise.seed, noise.setting_by_seed)),
                    (one.networks, networks, np.hypot(noise.network, noise.setting_by_network)),
                ):
                    values.append(part is not None and covers(part.low, float(truth), part.high))
            for name, values in (("sets of a setting", sets), ("networks of a set", networks)):
                many, reports = f"{R} sets × {E} networks", "baselines, fidelity, imbalance"
                rows.append(row("variance components", name, many, noise.name, "coverage", values, reports))
    return rows


def choices(
    rng: np.random.Generator, runs: int, noises: Noises = NOISES, sizes: Sequence[tuple[int, int]] = STUDIES
) -> list[Row]:
    """Of equal settings, the first is the default: any difference is an error."""
    rows = []
    for noise in noises:
        for S, R in sizes:
            wrong: dict[str, list[bool]] = {"the same seeds": [], "the other seeds, each left out": [], "half": []}
            for _ in range(runs):
                y = noise.scores(rng, np.zeros(S), R, 5)
                regret, split = regret_of(0, y), split_choice(y, range(R // 2))
                cells = y.mean(axis=2)[:, list(split.judging)]
                halves = mean_interval(cells[list(split.region)].mean(axis=0) - cells[0])
                for name, one in zip(wrong, (regret.naive, regret.cross_fitted, halves), strict=True):
                    wrong[name].append(bool(one.mean) and not covers(one.low, 0.0, one.high))
            for name, values in wrong.items():
                on = "half of the seeds, judged on the other half" if name == "half" else name
                what = f"gain of a choice on {on}, where all are equal"
                rows.append(row("tuning", what, f"{S} settings × {R} seeds", noise.name, "error", values, SENSITIVITY))
    return rows


def powers_of_choices(rng: np.random.Generator, runs: int) -> list[Row]:
    """The settings differ, and the default is in their middle."""
    rows = []
    for S, R in ((16, 10), (64, 10)):
        found = []
        for _ in range(runs):
            effects = 0.3 * rng.normal(size=S)
            effects[0] = 0.0
            y = NETWORKS.scores(rng, effects, R, 5)
            split = split_choice(y, range(R // 2))
            cells = y.mean(axis=2)[:, list(split.judging)]
            one = mean_interval(cells[list(split.region)].mean(axis=0) - cells[0])
            found.append(one.low is not None and one.low > 0)
        what = "gain of a region chosen on half of the seeds, settings' sd 0.3 points, over a middling default"
        rows.append(row("tuning", what, f"{S} settings × {R} seeds", NETWORKS.name, "power", found, SENSITIVITY))
    return rows


def effects_of_knobs(rng: np.random.Generator, runs: int) -> list[Row]:
    """Whether the settings differ at all: the lower bound of effect_to_paired above 0."""
    rows = []
    for S, R in ((16, 3), (32, 5), (64, 5)):
        for sd in (0.0, 0.1, 0.2):
            above = []
            for _ in range(max(runs // 2, 2)):
                y = NORMAL.scores(rng, sd * rng.normal(size=S), R, 5)
                ratio = crossed_components(y).effect_to_paired
                above.append(ratio is not None and (ratio.low or 0.0) > 0)
            what = f"settings differ (effect to paired above 0), sd {sd:g} points"
            kind = "power" if sd else "error"
            many = f"{S} settings × {R} seeds"
            rows.append(row("variance components", what, many, NORMAL.name, kind, above, SENSITIVITY))
    return rows
