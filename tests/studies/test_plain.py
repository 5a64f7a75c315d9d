"""Answers in short: one to four sentences that say no more than what the rule decided."""

from __future__ import annotations

import numpy as np
import pytest
from answered import FOLDERS, LONG, answer_of

from studies.answers.ledger import Ruling
from studies.answers.parts.plain import compared, shares, standing, too_few
from studies.answers.results import Cell, Contrast
from studies.engine.statistics.contrasts import Decision, judge, three_tests

NAMES = [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in FOLDERS]
SPREAD = np.array([-1, -0.5, 0, 0.5, 1]) * 1e-3


def ruling(mean: float, spread: float = 1.0, pairs: int = 5) -> Ruling:
    """A contrast of two arms around a mean, in a family of its own."""
    differences = tuple(float(value) for value in (mean + spread * SPREAD)[:pairs])
    terms = ((1.0, Cell("a")), (-1.0, Cell("b")))
    (judged,) = judge("test", [three_tests(differences)])
    return Ruling(Contrast("gain/a", "a less b", "test", terms, differences, 0, ()), judged)


GAIN, LOSS, LITTLE, OPEN = ruling(0.02), ruling(-0.02), ruling(0.0), ruling(0.004, 20)


def test_a_comparison_says_what_was_decided() -> None:
    assert compared(GAIN, "DM") == "improves on DM by 2.0 points [1.9, 2.1]"
    assert compared(LOSS, "DM") == "falls below DM by 2.0 points [1.9, 2.1]"
    assert compared(LITTLE, "DM") == "differs from DM by no more than half a point (0.0 points [-0.1, +0.1])"
    assert compared(OPEN, "DM") == "is not shown to differ from DM (+0.4 points [-1.6, +2.4])"


def test_many_comparisons_are_counted_by_decision() -> None:
    counted = standing([GAIN, OPEN, GAIN, LOSS], "DM")
    assert counted == "compared with DM, it is better in 2, worse in 1 and undecided in 1 of 4 cases"
    assert standing([OPEN, OPEN], "DM") == "whether it differs from DM is undecided in all 2 cases"
    assert standing([OPEN], "DM") == "whether it differs from DM is undecided"
    phrases = {Decision.GAIN: ("rises", "rise"), Decision.LOSS: ("falls", "fall")}
    assert shares([GAIN, LOSS, GAIN], phrases) == ["2 rise", "1 falls"]


def test_too_few_pairs_are_said_by_their_number() -> None:
    few = ruling(0.02, pairs=3)
    assert too_few([few, few]) == "With 3 pairs per comparison nothing can be decided; a decision takes at least 5."
    assert too_few([few, GAIN]) == ""
    assert too_few([]) == ""


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_opens_in_plain_words_that_its_claims_hold(name: str) -> None:
    answer = answer_of(name)
    assert 1 <= len(answer.plain) <= 4
    claims = {claim.id: claim for claim in answer.claims}
    for sentence in answer.plain:
        assert sentence.text.endswith(".")
        assert not any(jargon in sentence.text for jargon in ("nan", "None", "`", "(s)", "pairs lost"))
        assert all(claims[claim.id].estimate == claim.estimate for claim in sentence.claims)
        decisions = {claim.decision for claim in sentence.claims if claim.decision}
        assert ("improve" in sentence.text) <= ("gain" in decisions)
        assert (" falls below" in sentence.text or "lowers it" in sentence.text) <= ("loss" in decisions)
