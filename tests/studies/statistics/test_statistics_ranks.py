"""Ranks, Friedman, Nemenyi and groups against Demsar's tables, scipy, and values worked by hand."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from studies.engine.statistics import Ranks, rank_methods
from studies.engine.statistics.ranks import alike, blocks_for_difference, critical_difference

# The printed table cuts digits off: 2.343 is 2.3437.
CUT = 1e-3
# Demsar 2006, table 6: ranks of four variants of C4.5 on 14 data sets.
C45 = """4 3 2 1, 1 2 3 4, 4 1 2 3, 4 1 3 2, 4 2 3 1, 1 2.5 4 2.5, 3 2 4 1, 2.5 2.5 4 1, 4 3 2 1,
2.5 2.5 2.5 2.5, 4 2.5 1 2.5, 3 2 4 1, 4 1 2 3, 3 1 4 2"""
RANKS = np.array([[float(rank) for rank in row.split()] for row in C45.split(",")])


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_values_are_those_of_demsars_table_5(methods: int, q: float) -> None:
    blocks = methods * (methods + 1)  # then sqrt(K (K + 1) / (6 B)) is sqrt(1 / 6)
    assert critical_difference(methods, blocks) * math.sqrt(6) == pytest.approx(q, abs=CUT)


def test_at_level_90_too() -> None:
    assert critical_difference(5, 30, 0.90) * math.sqrt(6) == pytest.approx(2.459, abs=CUT)


def test_demsars_example_of_four_methods_on_14_data_sets() -> None:
    found = rank_methods(-RANKS)
    assert found.average == pytest.approx((3.143, 2.000, 2.893, 1.964), abs=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=5e-3)
    # Demsar does not correct for ties, scipy does: 1 - sum(t^3 - t) / (B K (K^2 - 1)), three ties of 2 and one of 4.
    assert found.friedman is not None
    assert found.friedman * (1 - 78 / 840) == pytest.approx(9.28, abs=0.01)
    # The best and the worst differ by 1.18 < 1.25: Nemenyi finds nothing, as the paper says.
    assert found.groups == ((3, 1, 2, 0),)
    assert (found.methods, found.blocks, found.lost_blocks, found.reason) == (4, 14, 0, "")


def test_friedman_is_scipys_and_iman_davenport_is_its_formula() -> None:
    scores = np.random.default_rng(0).normal(size=(9, 5)) + np.arange(5) / 3
    found = rank_methods(scores)
    chi2, p = stats.friedmanchisquare(*scores.T)
    assert (found.friedman, found.friedman_p) == pytest.approx((chi2, p))
    f = 8 * chi2 / (9 * 4 - chi2)
    assert (found.iman_davenport, found.iman_davenport_p) == pytest.approx((f, stats.f.sf(f, 4, 32)))


def test_higher_is_better_and_ties_share_their_ranks() -> None:
    found = rank_methods([[0.9, 0.5, 0.5], [0.8, 0.7, 0.6]])
    assert found.average == (1.0, 2.25, 2.75)


def test_sums_in_another_order_are_ties() -> None:
    a, b = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    assert a != b
    assert rank_methods([[a, b, 0.0]] * 2).average == (1.5, 1.5, 3.0)


def test_ranks_know_neither_scale_nor_order_of_the_blocks_and_follow_the_methods() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(7, 4))
    found = rank_methods(scores)
    assert rank_methods(np.exp(scores) * rng.uniform(1, 9, size=(7, 1))) == found
    assert rank_methods(scores[::-1]) == found
    order = [2, 0, 3, 1]
    moved = rank_methods(scores[:, order])
    assert found.average is not None
    assert moved.average == tuple(found.average[i] for i in order)
    assert (moved.friedman, moved.critical_difference) == pytest.approx((found.friedman, found.critical_difference))
    assert {frozenset(order[i] for i in group) for group in moved.groups} == {frozenset(g) for g in found.groups}
    assert sum(found.average) == pytest.approx(4 * 5 / 2)


def test_a_block_without_a_method_is_left_out_and_counted() -> None:
    scores = np.random.default_rng(2).normal(size=(5, 3))
    holed = np.vstack([scores, [0.1, np.nan, 0.3]])
    found = rank_methods(holed)
    assert (found.blocks, found.lost_blocks) == (5, 1)
    assert found.average == rank_methods(scores).average


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (np.ones((1, 3)), "at least 2 blocks"),
        ([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]], "at least 2 blocks with every method, got 1"),
        (np.ones((4, 1)), "at least 2 methods, got 1"),
        (np.empty((0, 3)), "at least 2 blocks"),
    ],
)
def test_too_little_gives_none_and_the_reason(scores: object, reason: str) -> None:
    found = rank_methods(scores)  # type: ignore[arg-type]
    assert reason in found.reason
    nothing = (found.average, found.friedman, found.iman_davenport, found.critical_difference, found.groups)
    assert nothing == (None, None, None, None, ())
    # q^2 K (K + 1) / 6 = 2.343^2 * 2 = 10.98 blocks bring three methods' critical difference to one rank.
    assert found.blocks_for_one_rank == (None if found.methods == 1 else 11)


def test_blocks_that_would_do_are_the_fewest() -> None:
    for methods in (2, 3, 7):
        for difference in (0.5, 1.0, 2.0):
            blocks = blocks_for_difference(methods, difference)
            assert critical_difference(methods, blocks) < difference
            assert blocks == 1 or critical_difference(methods, blocks - 1) >= difference


def test_groups_are_the_maximal_cliques() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        ranks, difference = rng.integers(1, 12, size=6) / 2, 1.25
        near = [
            set(some)
            for size in range(2, 7)
            for some in combinations(range(6), size)
            if np.ptp(ranks[list(some)]) < difference
        ]
        maximal = {frozenset(one) for one in near if not any(one < other for other in near)}
        found = alike(ranks, difference)
        assert {frozenset(group) for group in found} == maximal
        assert len(found) == len(maximal)
        assert all(list(ranks[list(group)]) == sorted(ranks[list(group)]) for group in found)


def test_methods_a_critical_difference_apart_differ() -> None:
    assert alike([1.0, 2.0, 3.5], 1.0) == ()
    assert alike([1.0, 2.0, 3.5], 1.6) == ((0, 1), (1, 2))


def test_full_agreement_and_full_ties_have_no_f() -> None:
    agreed = rank_methods([[3.0, 2.0, 1.0]] * 4)
    assert agreed.friedman == pytest.approx(8)
    assert (agreed.iman_davenport, agreed.iman_davenport_p) == (None, None)
    tied = rank_methods(np.ones((4, 3)))
    assert tied.average == (2.0, 2.0, 2.0)
    assert (tied.friedman, tied.friedman_p) == (None, None)
    assert tied.groups == ((0, 1, 2),)


def test_two_methods_have_a_critical_difference_and_no_friedman() -> None:
    found = rank_methods([[2.0, 1.0]] * 6)
    assert found.friedman is None
    assert found.critical_difference == pytest.approx(1.96 / math.sqrt(6), abs=1e-3)
    assert found.groups == ()


def test_bad_shapes_and_values_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks, methods"):
        rank_methods([1.0, 2.0])
    with pytest.raises(ValueError, match="infinite"):
        rank_methods([[1.0, np.inf]])
    with pytest.raises(ValueError, match="level"):
        rank_methods([[1.0, 2.0]], level=1.0)
    with pytest.raises(ValueError, match="two methods"):
        critical_difference(1, 3)


def test_findings_are_json() -> None:
    found = rank_methods(np.random.default_rng(4).normal(size=(4, 3)))
    assert isinstance(found, Ranks)
    assert json.loads(json.dumps(asdict(found), allow_nan=False))["blocks"] == 4
