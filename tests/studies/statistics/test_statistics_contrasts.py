"""The one rule: three tests against scipy, Holm over a family, decisions by cases, forecasts against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from studies.engine.statistics.contrasts import (
    LEVEL,
    Decision,
    judge,
    pairs_for,
    pairs_needed,
    three_tests,
)

HALF = 0.005


def spread(mean: float, sd: float, n: int = 8) -> np.ndarray:
    """n values of exactly this mean and standard deviation."""
    raw = np.linspace(-1, 1, n)
    return mean + sd * raw / raw.std(ddof=1)


@pytest.mark.parametrize("mean", [-0.02, -0.004, 0.0, 0.003, 0.012])
def test_three_tests_are_scipys(mean: float) -> None:
    values = spread(mean, 0.006)
    found = three_tests(values, margin=HALF)
    assert found.difference == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    ends = ((-HALF, "greater"), (HALF, "less"))
    sides = [stats.ttest_1samp(values, end, alternative=side) for end, side in ends]
    assert found.negligible == pytest.approx(max(one.pvalue for one in sides))
    sized = np.sign(mean or 1) * values
    assert found.beyond == pytest.approx(stats.ttest_1samp(sized, HALF, alternative="greater").pvalue)
    low, high = stats.t.interval(0.95, 7, loc=mean, scale=stats.sem(values))
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("mean", "sd", "decision", "size"),
    [
        (0.02, 0.005, Decision.GAIN, "beyond"),
        (-0.02, 0.005, Decision.LOSS, "beyond"),
        (0.002, 0.001, Decision.GAIN, "below"),
        (-0.002, 0.001, Decision.LOSS, "below"),
        (0.005, 0.002, Decision.GAIN, ""),
        (0.0, 0.002, Decision.NEGLIGIBLE, ""),
        (0.004, 0.01, Decision.UNDECIDED, ""),
    ],
)
def test_decisions_follow_the_tests(mean: float, sd: float, decision: Decision, size: str) -> None:
    (found,) = judge("alone", [three_tests(spread(mean, sd), margin=HALF)])
    assert (found.decision, found.size) == (decision, size)
    assert found.decided == (decision is not Decision.UNDECIDED)


def test_each_kind_of_test_is_holm_adjusted_over_the_whole_family() -> None:
    family = [three_tests(spread(mean, 0.006), margin=HALF) for mean in (0.02, 0.008, 0.006, 0.0)]
    found = judge("four", family)
    for kind in ("difference", "negligible", "beyond"):
        raw = np.array([getattr(one, kind) for one in family])
        order, running = np.argsort(raw), 0.0
        for rank, place in enumerate(order):
            running = max(running, min(1.0, (len(raw) - rank) * raw[place]))
            assert getattr(found[place], kind) == pytest.approx(running)
    alone = [judge("one", [one])[0] for one in family]
    assert [one.decision for one in alone][2] is Decision.GAIN
    assert found[2].decision is Decision.UNDECIDED  # the same evidence among four contrasts
    assert {one.family_size for one in found} == {4}


def test_a_contrast_that_cannot_be_tested_counts_in_the_size_of_its_family() -> None:
    clear, lost = three_tests(spread(0.006, 0.006), margin=HALF), three_tests([np.nan, 0.1], margin=HALF)
    assert judge("one", [clear])[0].difference == clear.difference
    both = judge("two", [clear, lost])
    assert both[0].difference == pytest.approx(2 * (clear.difference or 0))
    assert (both[1].difference, both[1].decision) == (None, Decision.UNDECIDED)


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_below_five_pairs_nothing_is_decided(n: int) -> None:
    values = spread(0.5, 0.001, n) if n > 1 else np.full(n, 0.5)
    found = judge("few", [three_tests(values, margin=HALF)])[0]
    assert (found.decision, found.difference) == (Decision.UNDECIDED, None)
    assert found.tested.why_not == f"{n} pair{' is' if n == 1 else 's are'} too few to decide"
    assert judge("five", [three_tests(spread(0.5, 0.001, 5), margin=HALF)])[0].decision is Decision.GAIN


def test_nothing_is_decided_before_the_planned_pairs_have_run() -> None:
    found = judge("early", [three_tests([*spread(0.5, 0.001, 7), np.nan, np.nan, np.nan], margin=HALF, absent=2)])[0]
    assert found.decision is Decision.UNDECIDED
    assert found.tested.why_not == "2 of 10 pairs have not run yet"
    assert found.interval.n == 7


def test_pairs_without_spread_are_alike_or_cannot_be_tested() -> None:
    same = judge("same", [three_tests(np.zeros(6), margin=HALF)])[0]
    assert same.decision is Decision.NEGLIGIBLE
    shifted = judge("shifted", [three_tests(np.full(6, 0.03), margin=HALF)])[0]
    assert (shifted.decision, shifted.tested.why_not) == (Decision.UNDECIDED, "every pair differs by the same amount")


def test_the_interval_is_pointwise_and_the_words_are_not() -> None:
    values = spread(0.006, 0.0065)
    alone, among = (judge("f", [three_tests(values, margin=HALF)] * size)[0] for size in (1, 20))
    assert alone.interval == among.interval
    assert (alone.decision, among.decision) == (Decision.GAIN, Decision.UNDECIDED)
    assert among.interval.low is not None
    assert among.interval.low > 0


@pytest.mark.parametrize(("effect", "level"), [(0.5, 0.05), (1.2, 0.05), (1.2, 0.005)])
def test_forecast_has_the_power_that_it_promises(effect: float, level: float) -> None:
    n = pairs_for(effect, level)
    assert n is not None
    rng = np.random.default_rng(0)

    def power(count: int) -> float:
        draws = rng.normal(effect, 1, size=(4000, count))
        return float((stats.ttest_1samp(draws, 0, axis=1).pvalue < level).mean())

    assert power(n) == pytest.approx(0.8, abs=0.06)
    assert (pairs_for(effect, level / 10) or 0) > n


def test_forecast_is_a_range_from_the_ends_of_the_interval() -> None:
    one = three_tests(spread(0.004, 0.006), margin=HALF)
    found = pairs_needed(one, LEVEL)
    low, high, sd = one.interval.low, one.interval.high, one.sd
    assert low is not None
    assert high is not None
    assert sd is not None
    assert low < 0  # the nearer end says that no number need be enough
    assert found == (max(9, pairs_for(high / sd, LEVEL) or 0), None)
    clear = three_tests(spread(0.004, 0.003), margin=HALF)
    ends = [clear.interval.low, clear.interval.high]
    forecast = [pairs_for((end or 0) / 0.003, 0.001) for end in reversed(ends)]
    assert pairs_needed(clear, 0.001) == tuple(forecast)
    assert min(one or 0 for one in forecast) > 8
    assert pairs_needed(three_tests(spread(0.001, 0.006), margin=HALF), LEVEL) is None  # |t| < 1


def test_the_family_errs_in_at_most_five_percent_of_studies() -> None:
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(150):
        draws = rng.normal(0, 0.01, size=(12, 5)) + rng.normal(0, 0.003, size=(1, 5))
        found = judge("null", [three_tests(row, margin=HALF) for row in draws])
        wrong += any(one.decision in (Decision.GAIN, Decision.LOSS) for one in found)
    assert wrong / 150 < 0.1
