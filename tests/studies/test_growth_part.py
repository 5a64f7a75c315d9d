"""Growth of made costs: exponents, predictions, decisions and what the figure shows of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from made_rows import costed, factors_of, made_folder, made_row
from matplotlib.figure import Figure as Drawing

from studies.answers.ledger import Ledger
from studies.answers.parts.drawing import FAINT, sized_axis, sized_ticks
from studies.answers.parts.growth import Along, Grown, grown, growth_figure, growth_table
from studies.answers.results import Cell, Results
from studies.engine.answer import Figure, Quantity
from studies.engine.arms import Arm, Curve, Factor, Level, Planned, cross, with_controls
from studies.engine.statistics.contrasts import Decision
from studies.engine.units import BYTES, SECONDS, UNITS

SEEDS = range(6)
IPC, N = Curve("images per class", "images per class"), Curve("training images", "training images, N")
SIZE = Factor(
    "size",
    (
        Level("ipc 1", at=1.0, curve=IPC.name),
        *(Level(f"ipc {x}", {"ipc": x}, float(x), IPC.name) for x in (2, 5, 10, 20, 50)),
        *(Level(f"N {x}", {"size": x}, float(x), N.name) for x in (100, 300, 1000, 3000)),
    ),
    (IPC, N),
)
ALONG: list[Along] = [
    (curve, [(level.at or 0.0, (level.label,)) for level in SIZE.levels if level.curve == curve.name])
    for curve in (IPC, N)
]
BASE, TERM = Arm("dm", "dm"), Arm("mim:base=dm", "mim", {"method.base": "dm"}, "dm")


def seconds(arm: str, level: Level) -> float:
    """A constant and a part that is linear in ipc, with the term quadratic; neither grows with N."""
    x = (level.at or 0.0) if level.curve == IPC.name else 5.0
    return 0.010 + 0.001 * x + (0.0002 * x**2 if arm == TERM.key else 0.0)


def ledger_of(path: Path, noise: float = 0.005) -> Ledger:
    rng = np.random.default_rng(0)
    settings, trials = cross([Planned(arm, {"method": arm.key}) for arm in (BASE, TERM)], (SIZE,), SEEDS)
    configs, rows = {trial.hash: trial.config for trial in trials}, {}
    for setting in settings:
        level = SIZE.level(setting.levels["size"])
        for trial in setting.trials:
            cost = seconds(setting.arm.key, level) * math.exp(rng.normal(0, noise))
            rows[trial] = costed(made_row(trial, configs[trial], [0.5]), iteration_seconds=cost)
    return Ledger(Results(made_folder(path, with_controls(settings), rows, SEEDS, **factors_of(SIZE))))


def cases_of(ledger: Ledger, predict: bool = True) -> list[Grown]:
    predicted = {
        Cell(arm, (level.label,)): 3e9 * seconds(arm, level) for arm in (BASE.key, TERM.key) for level in SIZE.levels
    }
    return grown(ledger, "iteration", [BASE.key, TERM.key], ALONG, "growth of time", predicted if predict else None)


def drawn(figure: Figure | None) -> Drawing:
    assert figure is not None
    assert figure.drawing is not None
    return figure.drawing


def test_exponents_are_those_of_the_part_that_grows(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    cases = cases_of(ledger)
    assert [(case.curve, case.arm) for case in cases] == [(c, a.key) for c in (IPC, N) for a in (BASE, TERM)]
    base, term, *flat = cases
    assert base.estimate.exponent.mean == pytest.approx(1, abs=0.1)
    assert base.predicted_fit is not None
    assert base.predicted_fit.exponent == pytest.approx(1, abs=1e-3)
    assert term.estimate.exponent.mean == pytest.approx(1.7, abs=0.15)
    assert all(case.exponent is None for case in flat)
    assert base.exponent is not None
    assert str(base.exponent).startswith("1.0")
    assert base.scaled[-1] == pytest.approx(math.exp(base.means[-1].mean or 0))
    assert base.scaled == pytest.approx([seconds("dm", level) for level in SIZE.levels[:6]], rel=0.1)


def test_what_grows_is_decided_over_pairs_in_a_family_a_curve_and_claimed(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    cases = cases_of(ledger)
    assert [case.ruling.decision for case in cases] == [Decision.GAIN] * 2 + [Decision.NEGLIGIBLE] * 2
    assert {case.ruling.judged.family_size for case in cases} == {2}, "a family for each curve"
    results, (first, last) = ledger.results, (("ipc 1",), ("ipc 50",))
    logs = results.sets(Cell("dm", last), "iteration") - results.sets(Cell("dm", first), "iteration")
    assert cases[0].ruling.contrast.differences == pytest.approx(logs)
    assert cases[0].ruling.contrast.differences == pytest.approx(cases[0].estimate.change)
    assert cases[0].ruling.contrast.margin == math.log(1.05)
    ids = [claim.id for claim in cases[0].claims]
    assert ids == [
        "growth/iteration/dm/images-per-class",
        "exponent/iteration/dm/images-per-class",
        "predicted-exponent/iteration/dm/images-per-class",
        "mean/iteration/dm/ipc-1",
        "mean/iteration/dm/ipc-50",
    ]
    assert cases[0].claims[0].what == "iteration of DM, ipc 50 over that, ipc 1"


def test_the_table_gives_both_ends_exponents_and_decisions(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    table = growth_table(ledger, cases_of(ledger), "growth", "How time grows", "time of an iteration")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [row["along"] for row in rows] == [IPC.name] * 2 + [N.name] * 2
    assert [(row["from x"], row["to x"]) for row in rows] == [(1, 50)] * 2 + [(100, 3000)] * 2
    assert [row["decision"] for row in rows] == ["larger by more than 5%"] * 2 + ["no difference beyond 5%"] * 2
    assert [str(row["predicted exponent"]) for row in rows[2:]] == ["0.00", "0.00"], "operations do not grow"
    assert [row["exponent"] is None for row in rows] == [False, False, True, True]
    assert str(rows[0]["predicted ratio"]) == "5.45 times"
    assert str(rows[2]["predicted ratio"]) == "1.00 times"
    assert " times [" in str(rows[0]["ratio"])
    assert " ms [" in str(rows[0]["at the first"])
    assert rows[0]["repeats with one"] == "6 of 6"
    assert isinstance(rows[0]["misfit"], Quantity)
    assert 0 < (rows[0]["misfit"].mean or 0) < 0.05
    assert "over 2 comparisons" in table.note
    assert "margin of 5%" in table.note


def test_the_figure_has_a_log_panel_for_each_curve_with_fits_and_predictions(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    cases = cases_of(ledger)
    figure = growth_figure(ledger, cases, "growth", "How time grows", "time of an iteration")
    drawing = drawn(figure)
    drawing.savefig(tmp_path / "growth.png")
    assert [axes.get_xlabel() for axes in drawing.axes] == [IPC.axis, N.axis]
    assert {(axes.get_xscale(), axes.get_yscale()) for axes in drawing.axes} == {("log", "log")}
    first = drawing.axes[0]
    dashed = [line for line in first.lines if line.get_color() == FAINT]
    assert len(dashed) == 2
    fits = [line for line in first.lines if len(np.asarray(line.get_xdata())) == 100]
    assert np.asarray(fits[0].get_ydata())[-1] == pytest.approx(seconds("dm", SIZE.levels[5]), rel=0.05)
    assert all(np.ptp(line.get_ydata()) == 0 for line in drawing.axes[1].lines if len(line.get_xdata()) == 100)
    (key,) = drawing.legends
    names = [text.get_text() for text in key.get_texts()]
    assert names == ["DM", "DM + MIM4DD (default)", "predicted, scaled at the largest x"]
    assert figure is not None
    assert "Dashed: the predicted cost" in figure.caption


def test_without_predictions_or_costs_nothing_is_said_of_them(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    cases = cases_of(ledger, predict=False)
    figure = growth_figure(ledger, cases, "growth", "How time grows", "time of an iteration")
    assert figure is not None
    assert "predicted" not in figure.caption
    assert len(drawn(figure).legends[0].get_texts()) == 2
    table = growth_table(ledger, cases, "growth", "How time grows", "time of an iteration")
    assert "predicted ratio" not in table.filled.columns
    unmeasured = grown(ledger, "peak", [BASE.key], ALONG[:1], "growth of memory")
    assert unmeasured[0].exponent is None
    assert growth_figure(ledger, unmeasured, "memory", "", "memory") is None


def test_an_origin_that_is_no_size_is_refused(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    curve, points = next(iter(ledger.results.curves()))
    assert points[0][0] == 0
    with pytest.raises(ValueError, match="must be above 0, got 0"):
        grown(ledger, "iteration", [BASE.key], [(curve, points)], "growth")


@pytest.mark.parametrize(
    ("low", "high", "sizes", "names"),
    [
        (0.004, 0.03, SECONDS, ["5 ms", "7 ms", "10 ms", "15 ms", "20 ms", "30 ms"]),
        (0.9e-3, 0.2, SECONDS, ["1 ms", "10 ms", "100 ms"]),
        (2.0, 400.0, SECONDS, ["2 s", "5 s", "10 s", "20 s", "50 s", "1 min", "2 min", "5 min"]),
        (3e8, 6e8, BYTES, ["320 MiB", "384 MiB", "448 MiB", "512 MiB"]),
        (2**20, 2**25, BYTES, ["1 MiB", "2 MiB", "4 MiB", "8 MiB", "16 MiB", "32 MiB"]),
        (2**9, 2**31, BYTES, ["1 KiB", "32 KiB", "1 MiB", "32 MiB", "1 GiB"]),
    ],
)
def test_ticks_of_a_cost_are_round_in_its_sizes(low: float, high: float, sizes: tuple, names: list[str]) -> None:
    ticks = sized_ticks(low, high, sizes, max(6, len(names)))
    assert [name for _, name in ticks] == names
    assert all(low <= at <= high for at, _ in ticks)


def test_an_axis_of_a_flat_cost_does_not_zoom_into_its_noise() -> None:
    axes = Drawing().subplots()
    axes.plot([1, 2], [1.00, 1.01])
    sized_axis(axes, UNITS["log seconds"])
    low, high = axes.get_ylim()
    assert high / low >= 2.4
    assert len(axes.get_yticks()) >= 2
