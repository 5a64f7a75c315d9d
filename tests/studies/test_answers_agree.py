"""No two parts of any answer in docs/results disagree on one contrast, and every claim says where it comes from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from answered import FOLDERS, LONG, RESULTS, answer_of, copied, folder_of, numbers

from mim4dd.durable import finite
from studies.engine.answer import Claim
from studies.engine.folder import StudyFolder
from studies.engine.reading import contents
from studies.engine.report import claims, write_report
from studies.engine.statistics.contrasts import FEWEST_PAIRS

NAMES = [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in FOLDERS]
DECIDED = {"gain", "loss"}


def contrasts_of(name: str) -> list[Claim]:
    return [claim for claim in answer_of(name).claims if claim.kind == "contrast"]


def cells_of(claim: Claim) -> frozenset[tuple[float, str, tuple[str, ...]]]:
    return frozenset(claim.terms)


@pytest.mark.parametrize("name", NAMES)
def test_each_contrast_has_one_family_and_one_decision(name: str) -> None:
    claims = contrasts_of(name)
    assert len({claim.id for claim in answer_of(name).claims}) == len(answer_of(name).claims)
    keys = [
        (
            claim.metric,
            tuple(claim.seeds or ()),
            min(cells_of(claim), frozenset((-w, a, at) for w, a, at in claim.terms), key=sorted),
        )
        for claim in claims
        if claim.terms
    ]
    assert len(set(keys)) == len(keys)
    sizes: dict[str, int] = {}
    for claim in claims:
        sizes[claim.family] = sizes.get(claim.family, 0) + 1
    assert {claim.family: claim.family_size for claim in claims} == sizes


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_decided_below_five_pairs(name: str) -> None:
    few = [claim for claim in contrasts_of(name) if claim.n < FEWEST_PAIRS]
    assert {claim.decision for claim in few} <= {"undecided"}
    assert {claim.p for claim in few} <= {None}


@pytest.mark.parametrize("name", NAMES)
def test_stars_words_and_detectors_say_what_the_claims_say(name: str) -> None:
    answer, folder = answer_of(name), folder_of(name)
    claims = {claim.id: claim for claim in contrasts_of(name)}
    by_trial: dict[str, Claim] = {}
    gains = [claim for claim in claims.values() if claim.id.startswith("gain/")]
    for claim in gains:
        _, arm, levels = claim.terms[0]
        levels = levels or tuple(
            factor.reference.label for factor in folder.factors
        )  # an arm alone is at the references
        (setting,) = [s for s in folder.settings if s.arm.key == arm and tuple(s.levels.values()) == levels]
        by_trial |= dict.fromkeys(setting.trials, claim)
    for trial, modes in answer.failed.items():
        if "no_gain" in modes:
            assert by_trial[trial].decision in ("negligible", "loss")
    worthless = {trial for trial, claim in by_trial.items() if claim.decision in ("negligible", "loss")}
    if folder.name in ("noisy_labels", "imbalance", "sensitivity"):
        assert {trial for trial, modes in answer.failed.items() if "no_gain" in modes} == worthless
    for table in answer.tables:
        if table.name == "degradation":
            decided = [row[table.columns.index("decision")] for row in table.rows]
            assert sum(bool(word) and word.startswith("a ") for word in decided) == sum(
                claim.decision in DECIDED for claim in gains
            )
        if table.name == "bases":
            stars = sum(str(cell).endswith("*") for row in table.rows for cell in row)
            assert stars == sum(claim.decision in DECIDED for claim in gains)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_with_an_interval_in_a_sentence_is_one_of_its_claims(name: str) -> None:
    for sentence in answer_of(name).sentences:
        printed = {
            tuple(round(scale * value, 1) for value in ends)
            for claim in sentence.claims
            if claim.estimate is not None and claim.low is not None and claim.high is not None
            for scale in (100, -100)
            for low, high in (sorted((claim.low, claim.high), reverse=scale < 0), clipped(claim))
            for ends in [(claim.estimate, low, high)]
        }
        number = r"([+-]?\d+\.\d)"
        for match in re.finditer(rf"{number}(?:%| points(?: of H\(Y\))?) \[{number}, {number}\]", sentence.text):
            found = tuple(map(float, match.groups()))
            near = any(all(abs(a - b) < 0.051 for a, b in zip(found, one, strict=True)) for one in printed)
            assert near, (found, sentence.text)


def clipped(claim: Claim) -> tuple[float, float]:
    """An accuracy's interval as it is printed: a t interval of few sets knows no bounds."""
    return max(0.0, claim.low or 0.0), min(1.0, claim.high or 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_claims_name_the_trials_that_they_rest_on(name: str) -> None:
    folder = folder_of(name)
    for claim in answer_of(name).claims:
        if claim.kind in ("mean", "contrast"):
            assert claim.trials
            assert set(claim.trials) <= set(folder.planned)
            assert claim.n <= claim.planned
    assert numbers("12.5 [1.0e-3]") == ["12.5", "1.0e-3"]


@pytest.mark.parametrize("name", NAMES)
def test_the_claims_that_are_committed_are_what_the_rows_give(name: str) -> None:
    committed = [json.loads(line) for line in contents(RESULTS / name / "claims.jsonl").splitlines()]
    now = json.loads(json.dumps(finite(claims(answer_of(name), folder_of(name)))))
    assert [one["id"] for one in now] == [one["id"] for one in committed]
    for one, other in zip(now, committed, strict=True):
        assert set(one) == set(other)
        # A Gaussian process and a forest end a little elsewhere on another processor.
        loose = one["kind"] == "estimate"
        for key, value in other.items():
            if isinstance(value, float):
                assert one[key] == pytest.approx(value, rel=5e-2 if loose else 1e-6, abs=1e-3 if loose else 1e-12)
            else:
                assert one[key] == value or (loose and key == "sentence")


@pytest.mark.slow
def test_rewriting_an_answer_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    copied("noise-fashion", out)
    folder = StudyFolder.read(out)
    write_report(answer_of("noise-fashion"), folder)
    for file in (
        "answer.md",
        "claims.jsonl",
        "summary.json",
        *(f"tables/{p.name}" for p in (RESULTS / "noise-fashion" / "tables").iterdir()),
    ):
        assert (out / file).read_bytes() == contents(RESULTS / "noise-fashion" / file), file
