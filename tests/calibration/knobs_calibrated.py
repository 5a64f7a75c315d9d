"""What a sensitivity report says of knobs: rank agreement, importances, interaction shares, response bands."""

from __future__ import annotations

import numpy as np
from measured import Row, covers, row
from noise import NETWORKS, NORMAL, Array
from scipy import stats

from studies.engine.statistics import (
    fit_surface,
    interaction_shares,
    knob_importance,
    response_curves,
)
from studies.engine.statistics.agreement import rank_agreement
from studies.engine.statistics.design import even_points
from studies.engine.statistics.importance import ABOVE

SENSITIVITY, STRESSED = "sensitivity", "sensitivity under stress"
KNOBS = ("a", "b", "c", "d")
GRID = np.linspace(0.0, 1.0, 25)
FINE = (np.arange(4000) + 0.5) / 4000
SHAPES = ("smooth", "step", "narrow peak")


def along(shape: str, t: Array) -> Array:
    """The response to the first knob, with mean 0 and variance 1 over its range."""

    def raw(t: Array) -> Array:
        if shape == "smooth":
            return np.sin(3 * t + 0.5)
        if shape == "step":
            return np.asarray(1 / (1 + np.exp(-(t - 0.6) / 0.03)))
        return np.exp(-0.5 * ((t - 0.35) / 0.06) ** 2)

    fine = raw(FINE)
    return np.asarray((raw(t) - fine.mean()) / fine.std())


def straight(t: Array) -> Array:
    """A straight line of mean 0 and variance 1."""
    return np.asarray(np.sqrt(12) * (t - 0.5))


def design(rng: np.random.Generator, settings: int) -> Array:
    return even_points(settings, len(KNOBS), int(rng.integers(2**31)))


def agreements(rng: np.random.Generator, runs: int) -> list[Row]:
    rows = []
    for settings in (32, 64):
        for rho in (0.0, 0.7):
            truth, hit = 6 / np.pi * np.arcsin(rho / 2), []
            for _ in range(max(runs // 20, 2)):
                a, b = rng.normal(size=(2, settings))
                one = rank_agreement(a, rho * a + np.sqrt(1 - rho**2) * b, resamples=300, seed=int(rng.integers(2**31)))
                hit.append(one is not None and covers(one.low, truth, one.high))
            if rho:
                what, kind, values = "interval of a correlation of 0.7 (of the values)", "coverage", hit
            else:
                what, kind, values = "a relation shown where there is none", "error", [not one for one in hit]
            rows.append(row("rank agreement", what, f"{settings} settings", "normal", kind, values, STRESSED))
    return rows


def importances(rng: np.random.Generator, runs: int) -> list[Row]:
    """The first knob explains the settings' sd of 0.2 points; the second to fourth have no effect."""
    rows = []
    for settings, seeds in ((32, 5), (64, 5)):
        found: dict[tuple[str, str], list[bool]] = {}
        for _ in range(max(runs // 100, 2)):
            x = np.column_stack([design(rng, settings), rng.permutation((np.arange(settings) + 0.5) / settings)])
            y = NETWORKS.scores(rng, 0.2 * along("smooth", x[:, 0]), seeds, 5)
            said = knob_importance(
                *(x, y, (*KNOBS, "dummy")),
                dummy="dummy",
                resamples=40,
                permutations=40,
                trees=32,
                resample_trees=8,
                seed=int(rng.integers(2**31)),
            )
            for one in said.findings:
                if one.knob != "dummy":
                    kind = "power" if one.knob == "a" else "error"
                    found.setdefault((one.evaluator, kind), []).append(one.verdict == ABOVE)
        for (evaluator, kind), values in found.items():
            what = f"{evaluator}: decided, {'sd 0.2 points' if kind == 'power' else 'a knob without effect'}"
            many = f"{settings} settings × {seeds} seeds"
            rows.append(row("importances", what, many, NETWORKS.name, kind, values, SENSITIVITY))
    return rows


def shares(rng: np.random.Generator, runs: int) -> list[Row]:
    """f = sin(4a) + 0.3 b + bc, whose shares are known."""
    variances = {"a": np.sin(4 * FINE).var(), "b": 0.8**2 / 12, "c": 0.5**2 / 12, "bc": 1 / 144}
    total, rows = sum(variances.values()), []
    for settings in (32, 64):
        covered: dict[str, list[bool]] = {name: [] for name in variances}
        for _ in range(max(runs // 50, 2)):
            x = design(rng, settings)
            f = np.sin(4 * x[:, 0]) + 0.3 * x[:, 1] + x[:, 1] * x[:, 2]
            y = NETWORKS.scores(rng, 0.2 * f / np.sqrt(total), 5, 5)
            surface = fit_surface(x, y, KNOBS, seed=int(rng.integers(2**31)))
            assert surface is not None
            said = interaction_shares(surface, seed=int(rng.integers(2**31)))
            by = {"".join(share.knobs): share for share in (*said.first, *said.pairs)}
            for name, values in covered.items():
                values.append(covers(by[name].low, variances[name] / total, by[name].high))
        for name, values in covered.items():
            what = f"share of {'×'.join(name)}, {variances[name] / total:.2f} of the variance"
            many = f"{settings} settings × 5 seeds"
            rows.append(row("interaction shares", what, many, NETWORKS.name, "coverage", values, SENSITIVITY))
    return rows


PARTS = 0.2 * np.sqrt([0.72, 0.24, 0.04])


def bands(rng: np.random.Generator, runs: int, shape: str) -> list[Row]:
    """Gains of settings of sd 0.2 points: along the first knob this shape, along the second a straight line."""
    first, second, _ = PARTS
    truths = {shape: first * along(shape, GRID), "straight": second * straight(GRID), "no effect": 0 * GRID}
    rows = []
    for settings, seeds in ((32, 3), (32, 5), (32, 10), (64, 3), (64, 5), (64, 10)):
        covered = [
            covered_by_bands(rng, shape, list(truths.values()), settings, seeds) for _ in range(max(runs // 80, 2))
        ]
        many = f"{settings} settings × {seeds} seeds"
        for position, knob in enumerate(truths):
            beside = "" if knob == shape else f" beside a {shape} one"
            for whole, band in enumerate(("band of the shape", "band with the level")):
                values = [one[position][whole] for one in covered]
                what = f"{band}: {knob}{beside}"
                rows.append(row("response bands", what, many, NORMAL.name, "coverage", values, SENSITIVITY))
    return rows


def covered_by_bands(
    rng: np.random.Generator, shape: str, truths: list[Array], settings: int, seeds: int
) -> list[tuple[float, float]]:
    """Of one study's curves of the first, second and last knob: the shares covered without and with the level."""
    x = design(rng, settings)
    product = straight(x[:, 0]) * straight(x[:, 2])
    effects = PARTS @ [along(shape, x[:, 0]), straight(x[:, 1]), product]
    y = NORMAL.scores(rng, np.array([0.0, *effects]), seeds, 5)
    gains = y[1:] - y[0].mean(axis=1)[None, :, None]
    surface = fit_surface(x, gains, KNOBS, seed=int(rng.integers(2**31)))
    assert surface is not None
    level = (gains - effects[:, None, None]).mean()
    seed_half = float(stats.t.ppf(0.975, seeds - 1)) * (surface.fit.level_error or 0.0)
    a, b, _, d = response_curves(surface)
    shares = []
    for curve, truth in zip((a, b, d), truths, strict=True):
        half = (np.array(curve.high) - np.array(curve.low)) / 2
        off = np.array(curve.mean) - truth
        whole = np.hypot(half, seed_half)  # what response_curves(level=True) draws
        shares.append((float((np.abs(off - level) <= half).mean()), float((np.abs(off) <= whole).mean())))
    return shares
