"""The calibration that everyone can run: its rates on cases of known answer, its marks, its page."""

from __future__ import annotations

import json
from pathlib import Path

import calibrate  # type: ignore[import-not-found]
import numpy as np
import pairs_calibrated  # type: ignore[import-not-found]
import pytest
from choice_calibrated import choices, components  # type: ignore[import-not-found]
from measured import HOLDS, LITTLE, NOT, Row, covers, row  # type: ignore[import-not-found]
from noise import NETWORKS, NOISES, NORMAL, SKEWED  # type: ignore[import-not-found]
from scipy import stats
from sets import measured as of_claim  # type: ignore[import-not-found]
from sets import share_decided

from studies.engine.statistics.contrasts import LEVEL, pairs_for


def rates(rows: list[Row], what: str, noise: str = "") -> list[float]:
    found = [one.measured for one in rows if what in one.what and noise in one.noise]
    assert found
    return found


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_noise_has_the_standard_deviations_that_it_says() -> None:
    for noise in NOISES:
        y = noise.scores(generator(), np.zeros(2), 20_000, 5)
        difference = y.mean(axis=2)[0] - y.mean(axis=2)[1]
        assert difference.std() == pytest.approx(np.sqrt(2) * noise.paired(5), rel=0.03)
        whole = noise.seed**2 + noise.network**2 + noise.setting_by_seed**2 + noise.setting_by_network**2
        assert y[0, :, 0].std() == pytest.approx(np.sqrt(whole), rel=0.03)
        (gain,) = pairs_calibrated.differences(generator(), noise, [0.5], 20_000)
        assert (gain.mean(), gain.std()) == pytest.approx((0.5, np.sqrt(2) * noise.paired(5)), abs=0.02)


def test_a_mark_follows_the_rate() -> None:
    def mark(kind: str, hits: int) -> str:
        return row("s", "w", "n", "normal", kind, [1] * hits + [0] * (1000 - hits), "r").mark

    assert [mark("coverage", hits) for hits in (900, 936, 950, 999)] == [NOT, HOLDS, HOLDS, LITTLE]
    assert [mark("error", hits) for hits in (5, 50, 65, 90)] == [LITTLE, HOLDS, HOLDS, NOT]
    assert [mark("at least", hits) for hits in (700, 990)] == [NOT, HOLDS]
    assert mark("power", 500) == ""
    few = row("s", "w", "n", "normal", "coverage", [1, 1, 1, 0], "r")
    assert few.mark == HOLDS
    assert few.interval == pytest.approx((0.1941, 0.9937), abs=1e-4)
    assert covers(None, 3.0, None)
    assert not covers(0.0, 3.0, 2.9)


def test_t_intervals_of_pairs_hold_under_network_noise() -> None:
    measured = rates(pairs_calibrated.intervals(generator(), 400, (NETWORKS,), (3, 5)), "paired")
    assert measured == pytest.approx([0.95, 0.95], abs=0.025)


def test_a_planned_number_of_sets_has_the_power_of_a_t_test() -> None:
    sets = pairs_for(0.9, LEVEL, 0.8)
    assert sets is not None
    assert share_decided(0.009, 0.01, 1, sets, 200) == pytest.approx(0.8, abs=0.09)
    assert share_decided(-0.009, 0.01, 1, sets, 200) == pytest.approx(0.8, abs=0.09)
    assert share_decided(0.009, 0.01, 4, sets, 100) < share_decided(0.009, 0.01, 1, sets, 200)


def test_a_claims_spread_is_that_of_its_pairs(tmp_path: Path) -> None:
    pairs = generator().normal(0.01, 0.02, 12)
    half = stats.t.isf(0.025, 11) * pairs.std(ddof=1) / np.sqrt(12)
    claim = {"id": "gain/a", "kind": "contrast", "unit": "points", "estimate": pairs.mean(), "n": 12}
    claim |= {"low": pairs.mean() - half, "high": pairs.mean() + half}
    (tmp_path / "claims.jsonl").write_text(json.dumps(claim) + "\n")
    assert of_claim(tmp_path, "gain/a") == pytest.approx((pairs.mean(), pairs.std(ddof=1)))
    with pytest.raises(SystemExit, match="has no contrast gain/b in points with an interval"):
        of_claim(tmp_path, "gain/b")


@pytest.mark.slow
@pytest.mark.long
def test_a_family_errs_in_five_percent_of_studies() -> None:
    one = pairs_calibrated.families(generator(), 300, (NORMAL,), ((5, 1),))
    assert [each.measured for each in one] == pytest.approx([0.05, 0.05], abs=0.035)
    ten = pairs_calibrated.families(generator(), 500, (NORMAL,), ((5, 10),))
    assert [each.measured for each in ten] == pytest.approx([0.03, 0.03], abs=0.06)


def test_a_choice_leaving_one_out_errs_and_one_on_other_seeds_does_not() -> None:
    rows = choices(generator(), 400, (NETWORKS,), ((16, 10),))
    assert rates(rows, "but one")[0] > 0.11
    assert rates(rows, "the same seeds")[0] > 0.09
    assert rates(rows, "judged on the others")[0] < 0.08


def test_components_cover_under_normal_noise_and_not_under_skewed() -> None:
    rows = components(generator(), 300, (NETWORKS, SKEWED), ((16, 3, 5),))
    assert min(rates(rows, "", "networks")) > 0.88
    assert np.mean(rates(rows, "", "networks")) == pytest.approx(0.95, abs=0.02)
    assert rates(rows, "setting by network", "skewed")[0] < 0.88


def test_rows_become_a_page_with_its_failures_first() -> None:
    good = row("t intervals", "a mean", "5 sets", "normal", "coverage", [1] * 95 + [0] * 5, "every report")
    bad = row("choices", "a choice", "8 settings", "normal", "error", [1] * 30 + [0] * 70, "sensitivity")
    text = calibrate.page([good, bad])
    assert "- **t intervals**: holds in all 1 measurements." in text
    assert (
        "- **choices**: does NOT hold in 1 of 1 measurements: a choice (8 settings, normal): 30 instead of 5 %." in text
    )
    assert (
        "| a choice | 8 settings | normal | 5 % | 30.0 [21.2, 40.0] % | 100 | **does NOT hold** | sensitivity |" in text
    )
    assert text.index("In short") < text.index("| a choice |")


def test_the_page_holds_every_measurement_under_a_heading() -> None:
    page = Path(calibrate.OUT).read_text("utf-8")
    for statistic in calibrate.ORDER:
        heading = f"## {statistic[0].upper()}{statistic[1:]}\n"
        assert page.count(heading) == 1
        body = page.split(heading)[1].split("\n## ")[0]
        assert body.count("\n|") >= 6


@pytest.mark.slow
@pytest.mark.long
def test_every_measurement_runs_and_is_the_same_again(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    assert calibrate.main(["--quick", "--out", str(out)]) == 0
    assert out.read_text("utf-8").startswith("# Calibration")
    for name in ("intervals", "ranks"):
        assert calibrate.measure(name, 4) == calibrate.measure(name, 4)
