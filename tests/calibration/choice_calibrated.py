"""Crossed variance components, and settings chosen and judged: on the same seeds, leaving one out, on other seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from measured import Row, covers, row
from noise import NETWORKS, NOISES, NORMAL, Array, Noise

from studies.answers.sensitivity.flags import DesignFlags
from studies.answers.sensitivity.questions import split_seeds
from studies.engine.statistics import best_setting, crossed_components, mean_interval, set_components
from studies.engine.statistics.intervals import Interval

SENSITIVITY = "sensitivity"
SETTINGS_SD = 0.2
TABLES = ((8, 3, 3), (16, 3, 5), (32, 5, 5), (64, 5, 5), (64, 10, 10))  # settings, seeds, networks
STUDIES = ((11, 6), (11, 8), (11, 14), (18, 8), (66, 14))  # settings, the default among them; seeds
JUDGED = "best on the first seeds, judged on the others"
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
            sets: list[bool] = []
            networks: list[bool] = []
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
            wrong: dict[str, list[bool]] = {"best on the same seeds": [], "best on the seeds but one, for each": []}
            wrong[JUDGED] = []
            for _ in range(runs):
                cells = noise.scores(rng, np.zeros(S), R, 5).mean(axis=2)
                naive = mean_interval(cells[cells.mean(1).argmax()] - cells[0])
                for name, one in zip(wrong, (naive, _left_out(cells), _judged(cells)), strict=True):
                    wrong[name].append(bool(one.mean) and not covers(one.low, 0.0, one.high))
            for name, values in wrong.items():
                what, many = f"gain of the {name}, where all are equal", f"{S} settings × {R} seeds"
                reports = SENSITIVITY if name == JUDGED else "none"
                rows.append(row("choices", what, many, noise.name, "error", values, reports))
    return rows


def _left_out(cells: Array) -> Interval:
    """On each seed, the gain over the first of the setting that is best on all other seeds."""
    seeds = range(cells.shape[1])
    return mean_interval([cells[np.delete(cells, r, axis=1).mean(1).argmax(), r] - cells[0, r] for r in seeds])


def _judged(cells: Array) -> Interval:
    """The gain of the best setting over the first, on the seeds that the choice did not read."""
    seeds = cells.shape[1]
    choosing, judging = map(list, split_seeds(range(seeds), DesignFlags().choosing(seeds) or seeds))
    best = best_setting(cells[:, choosing, None])
    assert best is not None
    return mean_interval(cells[best, judging] - cells[0, judging])


def powers_of_choices(rng: np.random.Generator, runs: int) -> list[Row]:
    """The settings differ, and the default is in their middle."""
    rows = []
    for S, R in ((11, 8), (11, 14)):
        for sd in (0.3, 0.6):
            found = []
            for _ in range(runs):
                effects = sd * rng.normal(size=S)
                effects[0] = 0.0
                one = _judged(NETWORKS.scores(rng, effects, R, 5).mean(axis=2))
                found.append(one.low is not None and one.low > 0)
            what = f"gain of the best setting over a middling default, settings' sd {sd:g} points"
            many = f"{S} settings × {R} seeds"
            rows.append(row("choices", what, many, NETWORKS.name, "power", found, SENSITIVITY))
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
