"""How often each statistic of the reports is right, on simulated studies of known truth: `make calibrate`.

python tests/calibration/calibrate.py            # a few minutes on two cores; writes docs/results/calibration.md
python tests/calibration/calibrate.py --quick    # few studies, for the tests

Each measurement has its own generator, so its numbers do not depend on the others, nor on the number of processes.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import choice_calibrated as choice
import knobs_calibrated as knobs
import numpy as np
import pairs_calibrated as pairs
from measured import HEADER, HOLDS, LITTLE, NOT, TOLERANCE, Row

from mim4dd.seeding import generator
from studies.engine.statistics.processes import process_pool

HOUSE = Path(__file__).resolve().parents[2]
OUT = HOUSE / "docs" / "results" / "calibration.md"
RUNS, QUICK = 1000, 20
Measurement = Callable[[np.random.Generator, int], list[Row]]
# The slowest first, so that two processes end together.
MEASUREMENTS: dict[str, Measurement] = {
    **{f"bands {shape}": partial(knobs.bands, shape=shape) for shape in knobs.SHAPES},
    "importances": knobs.importances,
    "families": pairs.families,
    "shares": knobs.shares,
    "components": choice.components,
    "choices": choice.choices,
    "powers of choices": choice.powers_of_choices,
    "forecasts": pairs.forecasts,
    "powers": pairs.powers,
    "intervals": pairs.intervals,
    "agreements": knobs.agreements,
    "ranks": pairs.ranks,
    "effects of knobs": choice.effects_of_knobs,
    "improvements": pairs.improvements,
    "slopes": pairs.slopes,
}
ORDER = (
    *("t intervals", "decisions", "pairs that would decide", "P(A > B)", "slopes along a factor", "ranks"),
    *("variance components", "choices", "rank agreement", "importances", "interaction shares"),
    "response bands",
)
INTRODUCTION = f"""# Calibration

Written by `make calibrate`: how often each statistic that a report prints is right, on simulated studies of known
truth, at the sizes that studies have. Coverage: the share of 95 % intervals that contain the truth. Error: the share of
studies with a false decision, at most 5 % in a whole family. At least: the power that a forecast promises. Power: a
rate without promise. Each rate has its own 95 % interval (Clopper-Pearson; of a curve, a t interval of the share of 25
points that are covered).

A mark follows one rule: a rate that is off by more than {100 * TOLERANCE:g} points, and whose interval excludes the
nominal one, `does NOT hold` on the wrong side, and `says too little` (wider or more silent than it need be) on the
other. `holds` is no proof where the interval is wide.

Noise, from the studies on digits, in points: y = setting + seed + network of the seed + setting × seed + setting ×
network. `networks`: standard deviations 0.9, 1.9, 0.1, 0.65 of the last four, nearly all of it from networks; `normal`:
0.9, 0.5, 0.3, 0.3; `skewed`: the same, but each effect an exponential's negative, so that some runs fail badly, and
pairs whose base has no noise of its own. With 5 networks a set's paired noise is 0.31 to 0.33 points."""

NOTES = {
    "pairs that would decide": "Of undecided contrasts with a forecast. The fewest pairs, for an effect at the far end "
    "of its interval, are a floor and no advice: an experiment of that size seldom decides.",
    "choices": "All settings are equal, so that every gain is an error. Only a choice and a judgement on different "
    "seeds err as rarely as said; that is what a report prints.",
    "importances": "A knob is decided where its half samples lie above the permuted and the dummy's importance. "
    "Few studies a row: `holds` says that nothing speaks against it, no more.",
    "response bands": "Gains over the base. Without the level a band is for the shape of a curve, with it for "
    "comparing a curve with 0. A narrow peak has a standard deviation of 0.06 of the knob's range. Few studies a row: "
    "`holds` says that nothing speaks against it, no more.",
}


def measure(name: str, runs: int) -> list[Row]:
    """The rows of one measurement. Warnings of the optimizer of length scales are part of what is measured."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MEASUREMENTS[name](generator("calibration", name), runs)


def summary(rows: list[Row]) -> list[str]:
    """What holds and what does not, by statistic."""
    lines = ["## In short", ""]
    for statistic in ORDER:
        # What no report prints stands in the tables for comparison.
        own = [row for row in rows if row.statistic == statistic and row.mark and row.printed != "none"]
        wrong = [row for row in own if row.mark == NOT]
        little = sum(row.mark == LITTLE for row in own)
        text = f"- **{statistic}**: "
        if not wrong:
            text += f"holds in all {len(own)} measurements"
        else:
            text += f"does NOT hold in {len(wrong)} of {len(own)} measurements: {'; '.join(worst(wrong))}"
        lines.append(text + (f"; {little} say too little." if little else "."))
    return [*lines, ""]


def worst(wrong: list[Row]) -> list[str]:
    """Of each kind of measurement that does not hold, the rate that is furthest off."""
    kinds: dict[tuple[str, str], list[Row]] = {}
    for row in wrong:
        kinds.setdefault((row.what, row.noise), []).append(row)
    furthest = [max(own, key=lambda row: abs(row.measured - (row.nominal or 0.0))) for own in kinds.values()]
    return [
        f"{row.what} ({row.n}, {row.noise}): {100 * row.measured:.0f} instead of {100 * (row.nominal or 0.0):.0f} %"
        for row in furthest
    ]


def page(rows: list[Row]) -> str:
    lines = [INTRODUCTION, "", *summary(rows)]
    for statistic in ORDER:
        note = [NOTES[statistic], ""] if statistic in NOTES else []
        lines += [f"## {statistic[0].upper()}{statistic[1:]}", "", *note]
        lines += [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
        lines += [*(row.line() for row in rows if row.statistic == statistic), ""]
    return "\n".join(lines)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few studies of each kind; printed unless --out is given")
    parser.add_argument("--out", type=Path, help=f"the page to write (default: {OUT.relative_to(HOUSE)})")
    arguments = parser.parse_args(words)
    runs = QUICK if arguments.quick else RUNS
    os.environ["OMP_NUM_THREADS"] = "1"  # of each process below, which imports numpy anew
    with process_pool(os.cpu_count() or 1) as pool:
        rows = [row for found in pool.map(measure, MEASUREMENTS, [runs] * len(MEASUREMENTS)) for row in found]
    text = page(rows)
    out = arguments.out or (None if arguments.quick else OUT)
    if out is None:
        print(text)
    else:
        out.write_text(text, "utf-8")
    held = sum(row.mark == HOLDS for row in rows)
    print(f"{len(rows)} measurements: {held} hold, {sum(row.mark == NOT for row in rows)} do not", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
