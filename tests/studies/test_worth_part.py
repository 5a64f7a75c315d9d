"""Accuracy against cost on made folders: equal cost, equal accuracy, the Pareto front and its figure."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from made_rows import costed, factors_of, lost, made_folder, made_row
from matplotlib.figure import Figure as Drawing

from studies.answers.ledger import Ledger
from studies.answers.parts.worth import cost_to_equal_accuracy, equal_cost, pareto, worth_figure
from studies.answers.results import Cell, Results
from studies.engine.arms import Arm, Factor, Level, Planned, cross, with_controls
from studies.engine.folder import StudyFolder
from studies.engine.statistics.contrasts import Decision

SEEDS = range(8)
BUDGETS = (50, 100, 200, 400)
ITERATIONS = Factor("iterations", tuple(Level(str(n), {"iterations": n}) for n in BUDGETS))
BASE, TERM = Arm("dm", "dm"), Arm("mim:base=dm", "mim", {"method.base": "dm"}, "dm")
RANDOM, FULL = Arm("random", "random"), Arm("full", "full")
CELLS = {arm.key: [Cell(arm.key, (str(n),)) for n in BUDGETS] for arm in (BASE, TERM)}
ANCHORS = [Cell(arm.key, (str(BUDGETS[0]),)) for arm in (RANDOM, FULL)]
# An iteration of the term takes twice the time of its base's, and gains a point at equal iterations.
SECONDS = {BASE.key: 0.1, TERM.key: 0.2}


def accuracy(arm: str, iterations: float) -> float:
    """5 points for each doubling of the iterations, from 60% at 50."""
    fixed = {RANDOM.key: 0.55, FULL.key: 0.95}
    return fixed.get(arm, 0.6 + 0.05 * math.log2(iterations / 50) + 0.01 * (arm == TERM.key))


def folder_of(path: Path, noise: float = 0.001) -> StudyFolder:
    rng = np.random.default_rng(0)
    planned = [Planned(arm, {"method": arm.key}) for arm in (BASE, TERM, RANDOM, FULL)]
    settings, trials = cross(planned, (ITERATIONS,), SEEDS)
    configs, rows = {trial.hash: trial.config for trial in trials}, {}
    for setting in settings:
        iterations, arm = int(setting.levels["iterations"]), setting.arm.key
        for trial in setting.trials:
            row = made_row(trial, configs[trial], [accuracy(arm, iterations) + rng.normal(0, noise)])
            seconds = SECONDS.get(arm, 0.001) * iterations
            rows[trial] = costed(row, distil_seconds=seconds, prepared_seconds=0.0)
    return made_folder(path, with_controls(settings), rows, SEEDS, **factors_of(ITERATIONS))


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return folder_of(tmp_path)


def test_at_equal_cost_the_control_has_run_longer(folder: StudyFolder) -> None:
    results = Results(folder)
    contrasts = [equal_cost(results, cell, CELLS["dm"]) for cell in CELLS[TERM.key]]
    rulings = Ledger(results).family("at equal cost", contrasts)
    # For the term's seconds the base runs twice as long, which is worth 5 points; at equal iterations it gains 1.
    assert [one.interval.n for one in rulings] == [8, 8, 8, 0]
    assert [one.lost for one in rulings] == [0, 0, 0, 8]
    for ruling in rulings[:3]:
        assert ruling.interval.mean == pytest.approx(-0.04, abs=2e-3)
        assert ruling.word == "a loss of more than half a point"
    assert rulings[3].statement == "undecided, because 0 pairs are too few to decide"
    claim = rulings[0].claim
    assert claim.id == "equal-cost/spent/mim:base=dm/50/dm"
    assert claim.what == "DM + MIM4DD (default), 50 less DM at equal seconds"
    assert (claim.unit, claim.terms) == ("points", ())
    cells = [CELLS[TERM.key][0], *CELLS["dm"]]
    assert set(claim.trials) == {trial for cell in cells for trial in results.trials(cell)}
    gain = Ledger(results).family("gains", [results.gain(TERM.key)])[0]
    assert gain.decision is Decision.GAIN


def test_between_budgets_the_control_is_linear_in_log_seconds(folder: StudyFolder) -> None:
    results = Results(folder)
    cell = CELLS[TERM.key][1]
    differences = equal_cost(results, cell, CELLS["dm"][::3]).differences
    x = np.log(0.1 * np.array([50, 400]))
    for seed, difference in enumerate(differences):
        y = [results.sets(CELLS["dm"][k])[seed] for k in (0, 3)]
        slope = (y[1] - y[0]) / (x[1] - x[0])
        expected = y[0] + slope * (math.log(0.2 * 100) - x[0])
        assert difference == pytest.approx(results.sets(cell)[seed] - expected)
    assert equal_cost(results, cell, CELLS["dm"][::-1]).differences == pytest.approx(
        equal_cost(results, cell, CELLS["dm"]).differences
    )


def test_budgets_that_are_lost_are_passed_over_and_missing_rows_decide_nothing(folder: StudyFolder) -> None:
    results, middle = Results(folder), CELLS["dm"][1]
    trial = results.trials(middle)[0]
    folder.rows[trial] = lost(folder.rows[trial], "diverged")
    contrast = equal_cost(Results(folder), CELLS[TERM.key][0], CELLS["dm"])
    assert all(map(math.isfinite, contrast.differences))
    assert contrast.differences[0] == pytest.approx(-0.04, abs=5e-3)
    del folder.rows[trial]
    contrast = equal_cost(Results(folder), CELLS[TERM.key][0], CELLS["dm"])
    assert contrast.absent == 1
    cheapest = results.trials(CELLS["dm"][0])
    for one in cheapest:
        folder.rows[one] = lost(folder.rows[one], "error")
    assert np.isfinite(equal_cost(Results(folder), CELLS[TERM.key][0], CELLS["dm"]).differences).sum() == 7


def test_cost_to_equal_accuracy_is_a_ratio_of_first_crossings(folder: StudyFolder) -> None:
    results = Results(folder)
    found = cost_to_equal_accuracy(results, CELLS[TERM.key], CELLS["dm"], 0.68)
    (ruling,) = Ledger(results).family("to 68%", [found.contrast])
    # A point is worth 1/5 of a doubling, so of twice the cost 2 / 2^(1/5) are left.
    assert math.exp(ruling.interval.mean or 0) == pytest.approx(2 / 2**0.2, rel=0.02)
    assert (found.never, found.at_once, ruling.lost) == ((0, 0), (0, 0), 0)
    assert ruling.word == "larger by more than 5%"
    assert ruling.claim.unit == "times"
    assert ruling.claim.what == "seconds to 68.0% of DM + MIM4DD (default) over DM"
    assert len(ruling.claim.trials) == 8 * len(SEEDS)


def test_what_is_never_or_at_once_reached_is_lost_and_counted(folder: StudyFolder) -> None:
    results = Results(folder)
    best = cost_to_equal_accuracy(results, CELLS[TERM.key], CELLS["dm"])
    assert best.accuracy == max(results.mean(cell).mean or 0 for cell in CELLS["dm"])
    below = int((results.sets(CELLS["dm"][-1]) < best.accuracy).sum())
    assert best.never == (0, below)
    assert np.isnan(best.contrast.differences).sum() == below > 0
    early = cost_to_equal_accuracy(results, CELLS[TERM.key], CELLS["dm"], 0.605)
    assert (early.never, early.at_once) == ((0, 0), (8, 0))
    assert np.isnan(early.contrast.differences).all()
    high = cost_to_equal_accuracy(results, CELLS[TERM.key], CELLS["dm"], 0.9)
    assert high.never == (8, 8)
    for trial in (trial for cell in CELLS["dm"] for trial in results.trials(cell)):
        folder.rows[trial] = lost(folder.rows[trial], "diverged")
    with pytest.raises(ValueError, match="no budget of the control has an accuracy"):
        cost_to_equal_accuracy(Results(folder), CELLS[TERM.key], CELLS["dm"])


def test_several_contrasts_of_equal_cost_are_told_apart(folder: StudyFolder) -> None:
    results = Results(folder)
    ledger = Ledger(results)
    contrasts = [equal_cost(results, cell, CELLS["dm"]) for cell in CELLS[TERM.key]]
    rulings = ledger.family("at equal cost", contrasts)
    assert [ledger[one] for one in contrasts] == rulings
    ratio = cost_to_equal_accuracy(results, CELLS[TERM.key], CELLS["dm"], 0.68).contrast
    assert ledger.family("to 68%", [ratio]) == [ledger[ratio]]
    with pytest.raises(ValueError, match="is judged already"):
        ledger.family("again", contrasts[:1])


def test_the_front_holds_what_no_cheaper_point_beats() -> None:
    cost = np.array([1.0, 2.0, 2.0, 3.0, 4.0, 5.0])
    accuracy = np.array([0.5, 0.7, 0.6, 0.65, 0.7, 0.8])
    assert pareto(cost, accuracy).tolist() == [0, 1, 5]
    assert pareto(cost[::-1], accuracy[::-1]).tolist() == [5, 4, 0]
    assert pareto(np.array([1.0]), np.array([0.1])).tolist() == [0]


def test_the_figure_joins_budgets_and_draws_front_and_anchors(folder: StudyFolder) -> None:
    ledger = Ledger(Results(folder))
    figure = worth_figure(ledger, CELLS, ANCHORS, along="50, 100, 200 and 400 iterations")
    assert figure is not None
    assert isinstance(figure.drawing, Drawing)
    (axes,) = figure.drawing.axes
    assert axes.get_xscale() == "log"
    lines = {container.get_label(): container.lines[0] for container in axes.containers}  # type: ignore[attr-defined]
    assert set(lines) == {"DM", "DM + MIM4DD (default)"}
    assert lines["DM"].get_xdata() == pytest.approx([5, 10, 20, 40])
    assert lines["DM"].get_ydata() == pytest.approx([0.6, 0.65, 0.7, 0.75], abs=2e-3)
    (front,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert np.asarray(front.get_xdata()) == pytest.approx([5, 10, 20, 40, 80, 80])
    assert {text.get_text() for text in axes.texts} == {"random real images", "full data"}
    assert "nothing is decided by it" in figure.caption
    assert "joined along its 50, 100, 200 and 400 iterations" in figure.caption
    ids = {claim.id for claim in ledger.compose().claims}
    assert {"mean/spent/dm/50", "mean/test/dm/50"} <= ids
    assert worth_figure(ledger, {"dm": CELLS["dm"]}, ANCHORS, cost="peak") is None
