"""Conditions: what a chain is called, where it stands on its curve, and what a suite plans from them."""

from __future__ import annotations

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
    assert CLEAN.entry == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symmetric:rate=0.2+exponential:factor=10", "order imbalance, then label noise"),
        ("symetric:rate=0.2", "did you mean 'symmetric'"),
        ("symmetric:rate=2", r"must be in \[0, 0.9\]"),
        ("", "must name a perturbation"),
    ],
)
def test_bad_conditions_are_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        condition(text)
