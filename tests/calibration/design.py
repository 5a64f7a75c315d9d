"""Which design of the sensitivity study decides most a second: simulated on noise fitted to a study's rows.

    python tests/calibration/design.py                 # simulate, and write docs/results/design.md
    python tests/calibration/design.py --blocks OUT    # OUT: the default study with many seeds, cut into blocks

A candidate's true gains are those of the response surface of the fitted study; its noise is drawn from that study's
crossed components. Every candidate is decided by the code that decides a report.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.answers.results import Cell, Results
from studies.answers.sensitivity.analysis import having
from studies.answers.sensitivity.questions import split_seeds
from studies.engine.design import fixed_design
from studies.engine.folder import StudyFolder
from studies.engine.space import Space
from studies.engine.statistics import (
    CrossedComponents,
    Surface,
    best_third,
    crossed_components,
    fit_surface,
    set_components,
)
from studies.engine.statistics.contrasts import Judged, judge, three_tests
from studies.sensitivity import STUDY

RESULTS = Path(__file__).parents[2] / "docs" / "results"
FITTED, BLOCKS, PAGE = RESULTS / "sensitivity-digits-64x5", RESULTS / "design-blocks.jsonl", RESULTS / "design.md"
CANDIDATES = (
    *(("latin", 9, R, E) for R, E in ((5, 5), (6, 5), (7, 5), (8, 5), (10, 5), (5, 10), (6, 10), (8, 10), (12, 5))),
    *(("qmc", 16, R, E) for R, E in ((3, 5), (5, 5), (8, 5), (10, 5))),
)
BLOCK = 8  # seeds, those of the default study
# Besides the settings: default, base, equal strength; on half of the seeds random and the longer step.
FULL_ARMS, HALF_ARMS = 3, 2
STATEMENTS = ("the default", "strength", "the best third")
Array = NDArray[np.float64]
Record = dict[str, Any]


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a set and of a network, less what all settings share. Units: fractions of accuracy."""

    of_set: float
    of_network: float

    def draw(self, rng: np.random.Generator, *shape: int, networks: int) -> Array:
        """Noise of sets that are means over networks."""
        return rng.normal(0, np.sqrt(self.of_set**2 + self.of_network**2 / networks), shape)


@dataclass(frozen=True)
class World:
    """What a candidate is simulated in: surfaces of gains on test and on validation, noise, and seconds.

    default_gain, equal_gain: over the base; noise_default: of the default less the base; noise_equal: of the term at
    equal strength less the default.
    """

    space: Space
    test: Surface
    validation: Surface
    noise_test: Noise
    noise_validation: Noise
    default_gain: float
    equal_gain: float
    noise_default: Noise
    noise_equal: Noise
    distil_seconds: float
    network_seconds: float


def fitted(folder: StudyFolder) -> World:
    """The world of a study with a large design."""
    results = Results(folder)
    (default,), (base,), (equal,) = (having(results, role) for role in ("default", "base", "variant"))
    cells = [Cell(arm.key) for arm in having(results, "design")]
    units = np.array([[axis.unit(results.arms[cell.arm].knobs[axis.key]) for axis in folder.space] for cell in cells])
    names = [axis.symbol for axis in folder.space]
    surfaces: dict[str, Surface] = {}
    noises: dict[str, Noise] = {}
    for metric in ("test", "validation"):
        accuracy = np.array([results.networks_of(cell, metric) for cell in cells])
        surface = fit_surface(units, accuracy - results.networks_of(Cell(base.key), metric), names)
        assert surface is not None
        surfaces[metric], noises[metric] = surface, noise_of(crossed_components(accuracy))
    of_base, of_default, of_equal = (results.networks_of(Cell(arm.key)) for arm in (base, default, equal))
    measured = [row.measured for row in folder.rows.values() if row.config["method"] == "mim"]
    networks = results.networks
    return World(
        folder.space,
        surfaces["test"],
        surfaces["validation"],
        noises["test"],
        noises["validation"],
        float(np.nanmean(of_default - of_base)),
        float(np.nanmean(of_equal - of_base)),
        noise_between(of_default - of_base),
        noise_between(of_equal - of_default),
        float(np.median([one["distil_seconds"] for one in measured])),
        float(np.median([one["evaluate_seconds"] for one in measured])) / networks,
    )


def noise_of(found: CrossedComponents) -> Noise:
    """The components that do not cancel between settings."""
    assert found.setting_by_seed is not None
    assert found.setting_by_network is not None
    return Noise(found.setting_by_seed.value, found.setting_by_network.value)


def noise_between(differences: Array) -> Noise:
    """The components of the differences of two arms, [R, E]."""
    own = set_components(differences)
    return Noise(own.sets.value if own.sets else 0.0, own.networks.value if own.networks else 0.0)


def gains_at(surface: Surface, units: Array) -> Array:
    """The surface's gains at these points, [n]."""
    return np.asarray(surface.centre + surface.scale * (surface.prior(units, surface.x) @ surface.weights))


def simulate(world: World, name: str, settings: int, seeds: int, networks: int, runs: int) -> list[list[Judged]]:
    """The decisions of the main questions in every run."""
    points = [knobs for knobs, _ in fixed_design(name, world.space, settings)]
    units = np.array([[axis.unit(knobs[axis.key]) for axis in world.space] for knobs in points])
    known = [world.default_gain, world.equal_gain]
    of_test, of_validation = (np.append(gains_at(surface, units), known) for surface in (world.test, world.validation))
    tried = len(of_test)
    choosing, _ = split_seeds(range(seeds))
    rng = np.random.default_rng([settings, seeds, networks])
    decided = []
    for _ in range(runs):
        test = of_test[:, None] + world.noise_test.draw(rng, tried, seeds, networks=networks)
        validation = of_validation[:, None] + world.noise_validation.draw(rng, tried, seeds, networks=networks)
        base = world.noise_test.draw(rng, seeds, networks=networks)
        default = world.default_gain + world.noise_default.draw(rng, seeds, networks=networks)
        equal = world.equal_gain - world.default_gain + world.noise_equal.draw(rng, seeds, networks=networks)
        region = list(best_third(validation[:, list(choosing), None]))
        asked = [default, equal, (test[region].mean(0) - base)[len(choosing) :]]
        decided.append(judge("the main questions", [three_tests(differences) for differences in asked]))
    return decided


def candidates(world: World, runs: int) -> list[str]:
    """The table of the candidates."""
    columns = ("design", "settings × seeds × networks", "CPU seconds", "statements decided", *STATEMENTS)
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, settings, seeds, networks in CANDIDATES:
        decided = simulate(world, name, settings, seeds, networks, runs)
        share = np.array([[one.decided for one in run] for run in decided]).mean(0)
        trials = (settings + FULL_ARMS) * seeds + HALF_ARMS * max(5, seeds // 2)
        seconds = trials * (world.distil_seconds + networks * world.network_seconds)
        cells = " | ".join(f"{one:.2f}" for one in share)
        size = f"{settings} × {seeds} × {networks}"
        lines.append(f"| {name} | {size} | {seconds:.0f} | {share.sum():.2f} | {cells} |")
    return lines


def block_claims(folder: StudyFolder, size: int = BLOCK) -> list[Record]:
    """The claims of the main questions in each block of seeds, decided as a report of that block alone would be."""
    claims: list[Record] = []
    for first in range(0, len(folder.seeds), size):
        seeds = folder.seeds[first : first + size]
        settings = tuple(
            replace(one, trials=one.trials[first : first + size] if len(one.trials) > 1 else one.trials)
            for one in folder.settings
        )
        block = StudyFolder(folder.path, {**folder.study, "seeds": list(seeds)}, settings, folder.rows)
        answer = STUDY.answer(block)
        kept = [claim for claim in answer.claims if claim.family == "the main questions"]
        claims += [{"block": first // size, **claim.json(), "seeds": list(claim.seeds or seeds)} for claim in kept]
    return claims


def contradict(one: Record, other: Record) -> bool:
    """Whether two decisions cannot both be true: gain and loss, or none beyond the margin and one beyond it."""
    opposite = {one["decision"], other["decision"]} == {"gain", "loss"}
    within = any(record["decision"] == "negligible" or record["size"] == "below" for record in (one, other))
    return opposite or (within and any(record["size"] == "beyond" for record in (one, other)))


def blocks(records: Sequence[Record]) -> list[str]:
    """The table of the blocks, and how often they contradict each other."""
    ids = list(dict.fromkeys(record["id"] for record in records))
    by_block: dict[int, dict[str, Record]] = {}
    for record in records:
        by_block.setdefault(record["block"], {})[record["id"]] = record
    lines = ["| seeds | " + " | ".join(ids) + " | statements decided |", "|---" * (len(ids) + 2) + "|"]
    totals = []
    for of_block in by_block.values():
        ordered = [of_block[id] for id in ids]
        totals.append(sum(record["decision"] != "undecided" for record in ordered))
        seeds = of_block[ids[0]]["seeds"]
        cells = [entry(record) for record in ordered]
        lines.append(f"| {seeds[0]} to {seeds[-1]} | {' | '.join(cells)} | {totals[-1]} |")
    pairs = [pair for id in ids for pair in combinations([of_block[id] for of_block in by_block.values()], 2)]
    against = sum(contradict(*pair) for pair in pairs)
    lines += [
        "",
        f"On average {np.mean(totals):.1f} of the three statements are decided in a block. Of {len(pairs)} pairs of "
        f"decisions on one contrast in two blocks, {against} contradict each other: a gain and a loss, or a difference "
        "beyond half a point and one that is not.",
    ]
    return lines


def entry(record: Record) -> str:
    """`+0.6 [+0.4, +0.8], a gain`."""
    estimate, low, high = (100 * record[key] for key in ("estimate", "low", "high"))
    size = {"beyond": " of more than half a point", "below": " below half a point"}.get(record["size"], "")
    word = {"gain": "a gain", "loss": "a loss", "negligible": "none beyond half a point"}.get(
        record["decision"], "undecided"
    )
    return f"{estimate:+.1f} [{low:+.1f}, {high:+.1f}], {word}{size}"


def page(world: World, folder: StudyFolder, runs: int) -> str:
    """The text of docs/results/design.md."""
    records = [json.loads(line) for line in BLOCKS.read_text(encoding="utf-8").splitlines()] if BLOCKS.exists() else []
    noise, own = world.noise_test, world.noise_default
    text = [
        "# The design of the default sensitivity study",
        "",
        "Made by `python tests/calibration/design.py`, from the rows of "
        f"[{folder.path.name}]({folder.path.name}/answer.md).",
        "",
        "Three statements, one family: does the default differ from the base, does the same term differ from the "
        "default when it is as strong as the base, and does the best third of the settings, chosen on the first fifth "
        "of the seeds, differ from the base on the others?",
        "",
        "## Candidates, simulated",
        "",
        f"True gains: the Gaussian process of the {folder.path.name} study (R² {world.test.fit.r_squared:.2f}). Noise "
        f"that does not cancel between settings: {100 * noise.of_set:.2f} points a set, {100 * noise.of_network:.2f} a "
        f"network; of the default less the base: {100 * own.of_set:.2f} and {100 * own.of_network:.2f}. "
        f"{runs} runs each, decided by the rule of every report. CPU seconds: {world.distil_seconds:.2f} to distil and "
        f"{world.network_seconds:.2f} for each network that evaluates, as measured in that study (two trials at "
        "a time, each slower for it: compare designs only). Columns after the total: the share of runs in which a "
        "statement is decided.",
        "",
        *candidates(world, runs),
        "",
        "A Sobol design of 8 settings is no candidate for contrasts of single knobs: for four knobs, the halves of the "
        "third and the fourth are the same. In a Latin hypercube on an orthogonal array of 9 settings any two knobs "
        "meet in all nine pairs of thirds.",
    ]
    if records:
        counts = Counter(record["block"] for record in records)
        text += [
            "",
            f"## The chosen design on {len(counts)} blocks of seeds",
            "",
            f"`python studies/sensitivity.py --seeds 100-179` (digits, DM), cut into blocks of {BLOCK} seeds, each "
            "decided as a study of its own. None of these seeds was used to choose the design. Claims: "
            f"[{BLOCKS.name}]({BLOCKS.name}). Differences in test accuracy, points, with 95% t intervals.",
            "",
            *blocks(records),
        ]
    return "\n".join(text) + "\n"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=FITTED, help="the study whose rows are fitted")
    parser.add_argument("--blocks", type=Path, help="a study folder whose seeds are cut into blocks")
    parser.add_argument("--runs", type=int, default=300, help="of each candidate (default: 300)")
    given = parser.parse_args()
    if given.blocks is not None:
        claims = block_claims(StudyFolder.read(given.blocks))
        BLOCKS.write_text("".join(f"{json.dumps(claim)}\n" for claim in claims), encoding="utf-8")
    folder = StudyFolder.read(given.study)
    PAGE.write_text(page(fitted(folder), folder, given.runs), encoding="utf-8")


if __name__ == "__main__":
    main()
