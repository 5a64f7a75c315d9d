"""Conditions: what a chain is called, where it stands on its curve, and what a suite plans from them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mim4dd.errors import InputError
from studies.engine.conditions import CLEAN, Condition, condition


def test_a_condition_has_a_label_a_family_and_a_place() -> None:
    one = condition("symmetric:rate=0.4")
    assert (one.label, one.family, one.severity, one.stages) == ("symmetric 0.4", "symmetric", 0.4, ("label noise",))
    assert one.text == "symmetric:rate=0.4,include_own=False"
    other = condition("symmetric:rate=0.4,include_own=true")
    assert (other.label, other.family) == ("symmetric include own 0.4", "symmetric include own")
    assert other != one


def test_a_chain_may_be_one_text_or_several() -> None:
    joined = condition("exponential:factor=1e+2 + symmetric:rate=0.4")
    assert joined == condition("exponential:factor=100", "symmetric:rate=0.4") == condition(joined.text)
    assert (joined.label, joined.family, joined.severity) == ("exponential 100 + symmetric 0.4", "combined", None)
    assert joined.stages == ("imbalance", "label noise")
    assert Condition.read(joined.json()) == joined


def test_controls_are_the_clean_data() -> None:
    assert condition("symmetric:rate=0") is CLEAN
    assert condition("exponential:factor=1+pairflip:rate=0") is CLEAN
    assert condition("exponential:factor=1+symmetric:rate=0.2") == condition("symmetric:rate=0.2")
    assert CLEAN.entry == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symmetric:rate=0.2+exponential:factor=10", "order imbalance, then planted cue"),
        ("symetric:rate=0.2", "did you mean 'symmetric'"),
        ("symmetric:rate=2", r"must be in \[0, 0.9\]"),
        ("", "must name at least one perturbation"),
    ],
)
def test_bad_conditions_are_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        condition(text)


def planned(script: str, *words: str) -> list[str]:
    """The conditions that a suite plans, by their labels."""
    from importlib import import_module

    from mim4dd.configuration import configure
    from studies.engine.configuring import shared_entries
    from studies.engine.options import parse_options

    study = import_module(f"studies.{script}").STUDY
    options = parse_options("", study.script, study.flags, words)
    method = {"method": "mim", "method.base": options.base}
    configuration = configure(source="digits", method=method, network="convnet", protocol_name="quick", assigned={})
    configuration = replace(configuration, flat={**shared_entries(options), **configuration.flat})
    return [one.label for one in study.plan(options, configuration).conditions]


def test_a_suite_sweeps_its_own_kinds_and_always_the_clean_data() -> None:
    assert planned("noisy_labels", "--quick") == [
        *("clean", "symmetric 0.2", "symmetric 0.4", "symmetric 0.8", "pairflip 0.4")
    ]
    assert "asymmetric 0.4" in planned("noisy_labels")
    assert "asymmetric 0.4" not in planned("noisy_labels", "--dataset", "svhn")
    assert "asymmetric 0.4" in planned("noisy_labels", "--dataset", "svhn", "--kinds", "asymmetric")
    assert planned("imbalance", "--quick") == ["clean", "exponential 10", "exponential 100", "step 100"]


def test_kinds_of_any_stage_are_swept_and_conditions_replace_the_sweep() -> None:
    assert planned("noisy_labels", "--kinds", "jpeg") == ["clean", "jpeg 1", "jpeg 3", "jpeg 5"]
    assert planned("imbalance", "--kinds", "symmetric") == ["clean", "symmetric 0.2", "symmetric 0.4"]
    assert planned("noisy_labels", "--condition", "jpeg:severity=3") == ["clean", "jpeg 3"]
    both = planned("noisy_labels", "--condition", "jpeg:severity=3", "--severities", "0.1", "--kinds", "symmetric")
    assert both == ["clean", "symmetric 0.1", "jpeg 3"]


@pytest.mark.parametrize("script", ["noisy_labels", "imbalance"])
def test_a_grid_crosses_noise_and_imbalance_and_holds_each_alone(script: str) -> None:
    found = planned(script, "--grid", "--quick")
    for factor in (10, 50):
        for rate in (0.2, 0.4):
            parts = (f"exponential {factor}", f"symmetric {rate}")
            assert {*parts, " + ".join(parts)} <= set(found)
    assert len(found) == len(set(found))
