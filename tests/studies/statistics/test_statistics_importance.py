"""Importance: ranks of known functions, silence on noise, equal numbers for equal input and any number of processes."""

import dataclasses
import json

import numpy as np
import pytest

from studies.engine.statistics import Importance, knob_importance, verdict
from studies.engine.statistics.design import even_points
from studies.engine.statistics.evaluators import fanova, ped_anova, ped_quantile

NAMES = ("a", "b", "dummy")
QUICK = {"resamples": 30, "permutations": 30, "trees": 16, "resample_trees": 8}


def design(S: int = 32, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = even_points(S, 3, "test")
    f = np.sin(4 * x[:, 0]) + 0.5 * x[:, 1]
    return x, f[:, None, None] + noise * rng.normal(size=(S, 3, 2))


def by_knob(findings: tuple[Importance, ...], evaluator: str) -> dict[str, Importance]:
    return {one.knob: one for one in findings if one.evaluator == evaluator}


@pytest.mark.slow
def test_a_known_function_ranks_right_and_its_strong_knob_is_decided() -> None:
    x, y = design()
    found = knob_importance(x, y, NAMES, dummy="dummy", **QUICK)
    fan = by_knob(found.findings, "fANOVA")
    values = [fan[name].value for name in NAMES]
    assert values == sorted(values, key=lambda value: -(value or 0))
    assert fan["a"].verdict == "decided above the noise"
    ped = by_knob(found.findings, "PED-ANOVA")
    assert (ped["a"].value or 0) > (ped["dummy"].value or 0)
    assert ped["a"].dummy == ped["dummy"].value
    json.dumps(dataclasses.asdict(found), allow_nan=False)


@pytest.mark.slow
def test_pure_noise_is_never_decided() -> None:
    for seed in range(2):
        y = np.random.default_rng(seed).normal(size=(16, 3, 2))
        found = knob_importance(even_points(16, 3, seed), y, NAMES, dummy="dummy", seed=seed, **QUICK)
        assert {one.verdict for one in found.findings} <= {"not decided", "below the noise"}


@pytest.mark.slow
def test_equal_input_gives_equal_numbers_in_one_process_or_two() -> None:
    x, y = design(16)
    few = {"resamples": 3, "permutations": 3, "trees": 4, "resample_trees": 4}
    alone = knob_importance(x, y, NAMES, dummy="dummy", **few)
    assert knob_importance(x, y, NAMES, dummy="dummy", **few) == alone
    assert knob_importance(x, y, NAMES, dummy="dummy", processes=2, **few) == alone
    assert knob_importance(x, y, NAMES, dummy="dummy", seed=1, **few) != alone


def test_fanova_is_a_fraction_of_variance_in_the_coordinates_given() -> None:
    x = even_points(256, 2, "fanova")
    found = fanova(x, 3 * x[:, 0] + 2 * x[:, 1], trees=8, seed=0)
    assert found == pytest.approx([9 / 13, 4 / 13], abs=0.05)
    assert found.sum() <= 1
    assert fanova(x, 4 * (3 * x[:, 0] + 2 * x[:, 1]), trees=8, seed=0) == pytest.approx(found)  # a power of 2: exact


def test_evaluators_on_constant_and_nearly_constant_scores() -> None:
    x = even_points(8, 2, "constant")
    assert fanova(x, np.ones(8), trees=4, seed=0).tolist() == [0.0, 0.0]
    assert ped_anova(x, np.ones(8), quantile=0.5).tolist() == [0.0, 0.0]
    nearly = np.r_[np.ones(7), 0.0]
    assert fanova(x, nearly, trees=1, seed=3).shape == (2,)
    assert np.isfinite(ped_anova(x, nearly, quantile=0.1)).all()


def test_the_top_share_holds_five_settings_where_a_tenth_would_not() -> None:
    assert [ped_quantile(n) for n in (5, 16, 64)] == [0.5, 5 / 16, 0.1]


def test_lost_settings_are_counted_and_few_or_no_settings_are_not_decided() -> None:
    x, y = design(8)
    y[3] = np.nan
    y[4, 0] = np.nan
    found = knob_importance(x, y, NAMES, dummy="dummy", resamples=2, permutations=2, trees=2, resample_trees=2)
    assert (found.n_settings, found.lost_settings, found.lost_sets) == (7, 1, 4)
    for kept in (0, 1, 4):
        few = y.copy()
        few[:] = np.nan
        few[:kept] = design(8)[1][:kept]
        answers = knob_importance(x, few, NAMES, dummy=None, trees=2).findings
        assert all(one.verdict == "not decided" and one.low is None for one in answers)
        assert all((one.value is None) == (kept == 0) for one in answers)
    flat = knob_importance(x, np.ones((8, 2, 2)), NAMES, dummy="dummy").findings
    assert all(one.value == 0 and one.verdict == "not decided" for one in flat)


def test_the_design_is_checked() -> None:
    x, y = design(8)
    with pytest.raises(ValueError, match=r"unit-scaled into \[0, 1\]"):
        knob_importance(10 * x, y, NAMES, dummy=None)
    with pytest.raises(ValueError, match="dummy must be one of"):
        knob_importance(x, y, NAMES, dummy="dumy")
    with pytest.raises(ValueError, match=r"\[settings, knobs\]"):
        knob_importance(x, y, NAMES[:2], dummy=None)


@pytest.mark.slow
@pytest.mark.long
def test_half_samples_cover_the_expected_importance() -> None:
    values, bounds = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x = even_points(16, 3, seed)
        y = (np.sin(4 * x[:, 0]) + 0.3 * x[:, 1])[:, None, None] + 0.3 * rng.normal(size=(16, 4, 1))
        first = knob_importance(x, y, NAMES, dummy="dummy", seed=seed, **QUICK).findings[0]
        values.append(first.value or 0)
        bounds.append((first.low or 0, first.high or 0))
    expected = np.mean(values)
    assert np.mean([low <= expected <= high for low, high in bounds]) >= 0.9


def test_the_verdict_follows_its_rule() -> None:
    assert verdict(0.5, 0.9, 0.4, 0.1) == "decided above the noise"
    assert verdict(0.5, 0.9, 0.4, 0.6) == "not decided"
    assert verdict(0.0, 0.3, 0.4, 0.1) == "below the noise"
    assert verdict(None, None, None, 0.1) == "not decided"
