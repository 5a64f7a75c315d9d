"""The page on the default design: which decisions contradict each other, and blocks that are studies of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import design  # type: ignore[import-not-found]
import pytest

from studies.engine.folder import StudyFolder

FOLDER = Path(__file__).parents[3] / "docs" / "results" / "sensitivity-digits"


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        (("gain", ""), ("loss", ""), True),
        (("gain", "beyond"), ("negligible", ""), True),
        (("gain", "beyond"), ("gain", "below"), True),
        (("gain", ""), ("negligible", ""), False),
        (("gain", "below"), ("negligible", ""), False),
        (("gain", "beyond"), ("undecided", ""), False),
        (("negligible", ""), ("negligible", ""), False),
    ],
)
def test_decisions_contradict_where_both_cannot_be_true(
    one: tuple[str, str], other: tuple[str, str], contradict: bool
) -> None:
    first, second = ({"decision": decision, "size": size} for decision, size in (one, other))
    assert design.contradict(first, second) == design.contradict(second, first) == contradict


def test_a_block_is_decided_as_the_study_of_its_seeds_would_be() -> None:
    whole = StudyFolder.read(FOLDER)
    (claims, twice) = (design.block_claims(whole, size) for size in (len(whole.seeds), len(whole.seeds) // 2))
    assert {claim["id"] for claim in claims} == {claim["id"] for claim in twice}
    assert [claim["block"] for claim in twice] == [0, 0, 0, 1, 1, 1]
    own = {claim.id: claim for claim in design.STUDY.answer(whole).claims}
    for claim in claims:
        assert (claim["decision"], claim["estimate"]) == (own[claim["id"]].decision, own[claim["id"]].estimate)
    half = replace(
        whole,
        study={**whole.study, "seeds": whole.study["seeds"][4:]},
        settings=[replace(one, trials=one.trials[4:] or one.trials) for one in whole.settings],
    )
    second = {claim.id: claim for claim in design.STUDY.answer(half).claims}
    gain = next(claim for claim in twice if claim["block"] == 1 and claim["id"].startswith("gain/"))
    assert gain["estimate"] == pytest.approx(second[gain["id"]].estimate)
    assert gain["seeds"] == whole.study["seeds"][4:]
