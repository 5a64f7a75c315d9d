"""Costs of a trial: how its row holds them, the metrics that read them, and contrasts of them, which are ratios."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_rows import costed, made_folder, made_row

from studies.answers.ledger import Ledger, Part
from studies.answers.metrics import METRICS
from studies.answers.results import Results
from studies.engine.arms import Arm, Planned, cross, with_controls
from studies.engine.rows import Row
from studies.engine.statistics.contrasts import Decision
from studies.engine.units import UNITS

SEEDS = range(6)
BASE, TERM = Arm("dm", "dm"), Arm("mim:base=dm", "mim", {"method.base": "dm"}, "dm")
ORDINARY = made_row("a", {}, [0.5])


def scores(metric: str, row: Row) -> list[float]:
    return list(METRICS[metric].scores(row))


def test_a_row_holds_its_finite_costs_and_an_ordinary_one_none() -> None:
    none = {"nothing": math.inf, "huge": 10**400}
    row = costed(ORDINARY, {"counted_flops": 8e9}, iteration_seconds=0.25, peak_bytes=2**20, **none)
    assert row.costs == {"counted_flops": 8e9, "iteration_seconds": 0.25, "peak_bytes": 2**20}
    assert ORDINARY.costs == {}
    record = ORDINARY.record
    without = {**record, "measured": {**record["measured"], "cost": None}}
    assert Row.read(without).costs == {}
    with pytest.raises(ValueError, match=r"measured\.cost"):
        Row.read({**record, "measured": {**record["measured"], "cost": {"iteration_seconds": "fast"}}})
    with pytest.raises(ValueError, match=r"result\.operations"):
        Row.read({**record, "result": {**record["result"], "operations": [1.0]}})


@pytest.mark.parametrize(
    ("metric", "costs"),
    [
        ("iteration", {"iteration_seconds": 0.25}),
        ("iteration_cpu", {"iteration_cpu_seconds": 0.5}),
        ("preparation", {"preparation_seconds": 60.0}),
        ("training", {"training_seconds": 2.0}),
        ("overhead", {"overhead": 1.2}),
        ("selection", {"selection_seconds": 100.0}),
        ("peak", {"peak_bytes": 2.0**30}),
        ("stored", {"stored_bytes": 3136.0}),
        ("spent", {"distil_seconds": 30.0, "prepared_seconds": 12.0}),
    ],
)
def test_a_cost_is_a_logarithm_and_none_where_it_is_missing_or_not_above_0(metric: str, costs: dict[str, Any]) -> None:
    assert scores(metric, costed(ORDINARY, **costs)) == pytest.approx([math.log(sum(costs.values()))])
    assert scores(metric, ORDINARY) == []
    none = costed(ORDINARY, **dict.fromkeys(costs, 0.0))
    assert scores(metric, none) == []
    assert UNITS[METRICS[metric].unit].log
    assert UNITS[METRICS[metric].difference].ratio


def folder_results(path: Path, overhead: float) -> Results:
    """An arm whose iterations take `overhead` times those of its control, with 1% noise."""
    rng = np.random.default_rng(0)
    settings, trials = cross([Planned(arm, {"method": arm.key}) for arm in (BASE, TERM)], (), SEEDS)
    rows = {}
    for setting in settings:
        for trial in setting.trials:
            seconds = 0.02 * (overhead if setting.arm.key == TERM.key else 1.0) * math.exp(rng.normal(0, 0.01))
            config = next(one.config for one in trials if one.hash == trial)
            rows[trial] = costed(
                made_row(trial, config, [0.5, 0.6]), iteration_seconds=seconds, peak_bytes=1e6 * seconds
            )
    return Results(made_folder(path, with_controls(settings), rows, SEEDS))


@pytest.mark.parametrize(
    ("overhead", "decision", "words"),
    [
        (1.3, Decision.GAIN, "larger by more than 5%"),
        (0.8, Decision.LOSS, "smaller by more than 5%"),
        (1.0, Decision.NEGLIGIBLE, "no difference beyond 5%"),
    ],
)
def test_a_contrast_of_costs_is_a_ratio_with_a_margin_of_5_percent(
    tmp_path: Path, overhead: float, decision: Decision, words: str
) -> None:
    results = folder_results(tmp_path, overhead)
    ledger = Ledger(results)
    (ruling,) = ledger.family("overheads", [results.gain(TERM.key, metric="iteration")])
    assert (ruling.decision, ruling.word) == (decision, words)
    assert math.exp(ruling.interval.mean or 0) == pytest.approx(overhead, rel=0.02)
    assert ruling.points.startswith(f"{math.exp(ruling.interval.mean or 0):.3g}"[:3])
    assert " times [" in ruling.points
    assert (ruling.claim.unit, ruling.claim.margin, ruling.claim.split) == ("times", math.log(1.05), "")
    assert ruling.claim.what.endswith(" over DM")
    mean, claim = ledger.claimed_mean(results.cell(BASE.key), "iteration", "seconds")
    assert claim.unit == "log seconds"
    assert math.exp(mean.mean or 0) == pytest.approx(0.02, rel=0.02)
    (note,) = ledger.compose(Part()).notes
    assert "Ratios are decided by their logarithms" in note
    assert "a margin of 5%: 1 / 1.05 to 1.05" in note


def test_one_family_holds_several_metrics_of_one_pair(tmp_path: Path) -> None:
    results = folder_results(tmp_path, 1.3)
    ledger = Ledger(results)
    contrasts = [results.gain(TERM.key, metric=metric) for metric in ("iteration", "peak")]
    rulings = ledger.family("overheads", contrasts)
    assert [one.claim.id for one in rulings] == [f"gain/{TERM.key}", f"gain/{TERM.key}/peak"]
    assert [ledger[one] for one in contrasts] == rulings


def test_contrasts_of_values_are_found_by_their_metric_too(tmp_path: Path) -> None:
    results = folder_results(tmp_path, 1.3)
    terms = (1.0, results.cell(TERM.key)), (-1.0, results.cell(BASE.key))
    values = np.linspace(0.1, 0.2, len(SEEDS))
    contrasts = [
        results.contrast("worth", "", *terms, metric=metric, values=sign * values)
        for metric, sign in (("test", 1.0), ("iteration", -1.0))
    ]
    ledger = Ledger(results)
    rulings = [ruling for one in contrasts for ruling in ledger.family(one.metric, [one])]
    assert [ledger[one] for one in contrasts] == rulings
    assert [one.decision for one in rulings] == [Decision.GAIN, Decision.LOSS]
    assert rulings[1].claim.id == "worth/iteration"
