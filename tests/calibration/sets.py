"""How many sets decide a family of contrasts as large as one that was measured: simulated, and judged as a report is.

    F=docs/results/precision-fashion
    python tests/calibration/sets.py $F gain/mim:base=dm,balance=gradnorm,weight=1 --contrasts 4

Paired differences are normal, with the mean and the standard deviation of the claim; the contrasts are independent.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from studies.engine.statistics.contrasts import FEWEST_PAIRS, Decision, judge, three_tests

SIZES = (5, 8, 10, 12, 15, 20)


def measured(folder: Path, claim: str) -> tuple[float, float]:
    """The mean and the standard deviation of a claim's paired differences, by its t interval; fractions of accuracy."""
    path = folder / "claims.jsonl.gz"
    lines = gzip.open(path, "rt") if path.exists() else (folder / "claims.jsonl").open()
    with lines:
        records: dict[str, dict[str, Any]] = {record["id"]: record for record in map(json.loads, lines)}
    record = records.get(claim)
    if record is None or record["kind"] != "contrast" or record["low"] is None or record["unit"] != "points":
        raise SystemExit(f"{folder} has no contrast {claim} in points with an interval")
    half, n = (record["high"] - record["low"]) / 2, record["n"]
    return record["estimate"], float(half * np.sqrt(n) / stats.t.isf(0.025, n - 1))


def share_decided(mean: float, sd: float, contrasts: int, sets: int, runs: int) -> float:
    """How many of the contrasts are decided as what they are, over simulated studies."""
    rng = np.random.default_rng((sets, contrasts))
    true = Decision.GAIN if mean > 0 else Decision.LOSS
    found = [
        one.decision is true
        for _ in range(runs)
        for one in judge("simulated", [three_tests(rng.normal(mean, sd, sets)) for _ in range(contrasts)])
    ]
    return float(np.mean(found))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a study folder with claims")
    parser.add_argument("claim", help="a contrast's id")
    parser.add_argument("--contrasts", type=int, default=1, help="in the family to plan (default: 1)")
    parser.add_argument(
        "--runs", type=int, default=1000, help="simulated studies for each number of sets (default: 1000)"
    )
    arguments = parser.parse_args(argv)
    mean, sd = measured(arguments.folder, arguments.claim)
    print(f"mean {100 * mean:+.2f} points, standard deviation {100 * sd:.2f}, families of {arguments.contrasts}")
    for sets in (size for size in SIZES if size >= FEWEST_PAIRS):
        share = share_decided(mean, sd, arguments.contrasts, sets, arguments.runs)
        print(f"{sets:3d} sets: {share:.0%} of the contrasts decided, {arguments.runs} simulated studies")


if __name__ == "__main__":
    main()
