"""Which design of the sensitivity study decides most a second: simulated on the moments of a study with many seeds.

    python tests/calibration/design.py                    # simulate, and write docs/results/design.md
    python tests/calibration/design.py --fit OUT          # from OUT: sensitivity.py --seeds 0-84 --choose-on 80
    python tests/calibration/design.py --blocks OUT OUT   # each OUT: the default study on seeds of its own

A candidate's accuracies are drawn with the means and covariances of the fitted study's arms, of synthetic sets and of
networks, and decided by the code that decides a report.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.answers.results import Cell, Results
from studies.answers.sensitivity.analysis import having
from studies.answers.sensitivity.questions import split_seeds
from studies.engine.folder import StudyFolder
from studies.engine.statistics import best_setting
from studies.engine.statistics.contrasts import FEWEST_PAIRS, Judged, judge, three_tests
from studies.sensitivity import STUDY

RESULTS = Path(__file__).parents[2] / "docs" / "results"
MOMENTS, BLOCKS, PAGE = (RESULTS / f"design{end}" for end in ("-moments.json", "-blocks.jsonl", ".md"))
MAIN = "the main questions"
METRICS = ("test", "validation")
# Seeds, networks, and the seeds that every setting runs on: all of them, or as many as choose.
CANDIDATES = (
    *((seeds, 5, seeds) for seeds in (8, 10, 12, 16)),
    *((seeds, 5, 5) for seeds in (12, 14, 16, 18, 20, 24)),
    *((seeds, 10, 5) for seeds in (12, 14, 16, 18)),
)
# Seconds of another network that evaluates, beside five of width 32, on one core.
NETWORK_SECONDS = 0.09
STATEMENTS = ("the default", "strength", "the best")
Array = NDArray[np.float64]
Record = dict[str, Any]


@dataclass(frozen=True)
class Moments:
    """The joint distribution of the arms' accuracies: on test, then on validation, of each arm.

    arms: the settings of the design, then the default, equal strength and the base. mean: [2 arms]; of_set, of_network:
    covariances of a synthetic set and of a network that evaluates it, [2 arms, 2 arms]. Units: fractions of accuracy.
    seeds: of the sets; networks: of each set; distil_seconds, evaluate_seconds: medians of a trial.
    """

    arms: tuple[str, ...]
    mean: list[float]
    of_set: list[list[float]]
    of_network: list[list[float]]
    seeds: list[int]
    networks: int
    distil_seconds: float
    evaluate_seconds: float

    @staticmethod
    def fitted(folder: StudyFolder) -> Moments:
        """Those of a study, on the seeds that every setting has."""
        results = Results(folder)
        arms = [arm for role in ("design", "default", "variant", "base") for arm in having(results, role)]
        shared = min(len(results.trials(Cell(arm.key))) for arm in arms)
        scores = np.stack(
            [results.networks_of(Cell(arm.key), metric)[:shared] for metric in METRICS for arm in arms], -1
        )
        seeds, networks, _ = scores.shape
        sets = scores.mean(axis=1)
        within = scores - sets[:, None]
        of_network = np.einsum("rei,rej->ij", within, within) / (seeds * (networks - 1))
        of_set = np.cov(sets.T) - of_network / networks
        measured = [row.measured for row in folder.rows.values() if row.config["method"] == "mim"]
        return Moments(
            tuple(arm.name for arm in arms),
            sets.mean(axis=0).round(7).tolist(),
            of_set.round(9).tolist(),
            of_network.round(9).tolist(),
            list(folder.seeds[:shared]),
            networks,
            float(np.median([one["distil_seconds"] for one in measured])),
            float(np.median([one["evaluate_seconds"] for one in measured])),
        )

    def draw(self, rng: np.random.Generator, seeds: int, networks: int) -> tuple[Array, Array]:
        """Accuracies of sets on test and on validation, each [seeds, arms]."""
        size = len(self.mean)
        sets = rng.normal(size=(seeds, size)) @ root(self.of_set).T
        judges = rng.normal(size=(seeds, size)) @ root(self.of_network).T / np.sqrt(networks)
        drawn = np.asarray(self.mean) + sets + judges
        return drawn[:, : size // 2], drawn[:, size // 2 :]

    def seconds(self, networks: int) -> float:
        """Of a trial whose set so many networks evaluate."""
        return self.distil_seconds + self.evaluate_seconds + NETWORK_SECONDS * (networks - self.networks)


def root(covariance: Sequence[Sequence[float]]) -> Array:
    """A matrix whose product with its transpose is the covariance, without its negative eigenvalues."""
    values, vectors = np.linalg.eigh(np.asarray(covariance))
    return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)))


def simulate(moments: Moments, seeds: int, networks: int, shared: int, runs: int) -> tuple[list[list[Judged]], float]:
    """The decisions of the main questions in every run, and the mean number of trials."""
    rng, settings = np.random.default_rng([seeds, networks, shared]), len(moments.arms) - 3
    choosing, judging = map(list, split_seeds(range(seeds), shared))
    decided, trials = [], 0.0
    for _ in range(runs):
        test, validation = moments.draw(rng, seeds, networks)
        default, equal, base = test[:, settings:].T
        best = best_setting(validation[choosing, :-1].T[:, :, None])
        assert best is not None
        asked = [default - base, equal - default, (test[:, best] - base)[judging]]
        decided.append(judge(MAIN, [three_tests(differences) for differences in asked]))
        goes_on = len(judging) if best < settings and shared < seeds else 0
        # Besides: random images, the longer step and full data.
        trials += settings * shared + goes_on + 3 * seeds + FEWEST_PAIRS + max(FEWEST_PAIRS, seeds // 2) + 1
    return decided, trials / runs


def candidates(moments: Moments, runs: int) -> list[str]:
    """The table of the candidates."""
    columns = (
        "seeds",
        "networks",
        "seeds of every setting",
        "trials",
        "CPU seconds",
        "statements decided",
        *STATEMENTS,
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for seeds, networks, shared in CANDIDATES:
        decided, trials = simulate(moments, seeds, networks, shared, runs)
        share = np.array([[one.decided for one in run] for run in decided]).mean(0)
        cells = " | ".join(f"{one:.2f}" for one in share)
        seconds = trials * moments.seconds(networks)
        lines.append(
            f"| {seeds} | {networks} | {shared} | {trials:.0f} | {seconds:.0f} | {share.sum():.2f} | {cells} |"
        )
    return lines


def block_claims(folders: Sequence[StudyFolder], first: int | None = None) -> list[Record]:
    """The claims of the main questions of each study, on its first seeds; by default on all."""
    return [
        {"block": block, **claim.json(), "seeds": list(claim.seeds or folder.seeds[:first])}
        for block, folder in enumerate(folders)
        for claim in STUDY.answer(on_first(folder, first)).claims
        if claim.family == MAIN
    ]


def on_first(folder: StudyFolder, first: int | None) -> StudyFolder:
    """The study as it is with its first seeds alone."""
    settings = tuple(replace(one, trials=one.trials[:first]) for one in folder.settings)
    return replace(folder, study={**folder.study, "seeds": list(folder.seeds[:first])}, settings=settings)


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
    lines = [f"| seeds | {' | '.join(STATEMENTS)} | statements decided |", "|---" * (len(ids) + 2) + "|"]
    totals = []
    for of_block in by_block.values():
        ordered = [of_block[id] for id in ids]
        totals.append(sum(record["decision"] != "undecided" for record in ordered))
        seeds = sorted({seed for record in ordered for seed in record["seeds"]})
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


def page(moments: Moments, runs: int) -> str:
    """The text of docs/results/design.md."""
    text = [
        "# The design of the default sensitivity study",
        "",
        "Three statements, one family: does the default differ from the base, does the same term differ from the "
        "default when it is as strong as the base, and does the best setting, chosen on some seeds, differ from the "
        "base on the others?",
        "",
        "## Candidates, simulated",
        "",
        f"Made by `python tests/calibration/design.py`: accuracies drawn with the means and covariances that "
        f"{len(moments.arms)} arms had on seeds {moments.seeds[0]} to {moments.seeds[-1]} (digits, DM, "
        f"{moments.networks} networks a set; [{MOMENTS.name}]({MOMENTS.name})), {runs} runs each, decided by the rule "
        "of every report. The nine settings are a Latin "
        "hypercube in which any two knobs meet in all nine pairs of thirds. Where every setting runs on all seeds, the "
        "first fifth of them choose; else the seeds that every setting has choose, and the best setting alone runs on "
        f"the others. CPU seconds: {moments.seconds(5):.2f} a trial with five networks, as measured in that study, two "
        f"trials at a time, and {NETWORK_SECONDS} for each further network. The last columns: the share of runs in "
        "which a statement is decided.",
        "",
        *candidates(moments, runs),
        "",
        f"With fewer than {FEWEST_PAIRS} seeds of every setting no contrast of a single knob could be decided.",
    ]
    if BLOCKS.exists():
        records = [json.loads(line) for line in BLOCKS.read_text(encoding="utf-8").splitlines()]
        count = len({record["block"] for record in records})
        text += [
            "",
            f"## The chosen design on {count} blocks of seeds",
            "",
            "`python studies/sensitivity.py --seeds FIRST-LAST` (digits, DM), a study for each block, of which the "
            "first 14 of 18 seeds are read here: the design was chosen on other seeds, and so that it takes less than "
            f"three minutes. Claims: [{BLOCKS.name}]({BLOCKS.name}). Differences in test accuracy, points, with 95% t "
            "intervals.",
            "",
            *blocks(records),
        ]
    return "\n".join(text) + "\n"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", type=Path, help="a study whose settings have many seeds")
    parser.add_argument("--blocks", type=Path, nargs="+", help="studies of the default design, each on its own seeds")
    parser.add_argument("--first", type=int, help="of each block's seeds (default: all)")
    parser.add_argument("--runs", type=int, default=1000, help="of each candidate (default: 1000)")
    given = parser.parse_args()
    if given.fit is not None:
        fitted = Moments.fitted(StudyFolder.read(given.fit))
        MOMENTS.write_text(json.dumps(asdict(fitted)) + "\n", encoding="utf-8")
    if given.blocks is not None:
        claims = block_claims([StudyFolder.read(path) for path in given.blocks], given.first)
        BLOCKS.write_text("".join(f"{json.dumps(claim)}\n" for claim in claims), encoding="utf-8")
    PAGE.write_text(page(Moments(**json.loads(MOMENTS.read_text(encoding="utf-8"))), given.runs), encoding="utf-8")


if __name__ == "__main__":
    main()
