"""The term against a longer step of its base: which contrasts are judged, in which families, and how they are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_rows import factors_of, made_folder, made_row

from studies.answers.ledger import Ledger
from studies.answers.parts.response import Response
from studies.answers.parts.step_control import STEP, TERM, controlled, step_control
from studies.answers.results import Results
from studies.engine.arms import EQUAL_STRENGTH, LONGER_STEP, Arm, Factor, Level, Planned, changed, cross, with_controls
from studies.engine.folder import StudyFolder

SEEDS = range(8)
LIGHT = Factor("light", (Level("day"), Level("dusk", {"dark": 1}), Level("night", {"dark": 2})))
LEVELS = [(level.label,) for level in LIGHT.levels]
BASE, DEFAULT = Arm("dm", "dm"), Arm("mim:base=dm", "mim", {"method.base": "dm"}, "dm", "default")
STRONG = changed(DEFAULT, "variant", EQUAL_STRENGTH)
TWIN = changed(STRONG, "placebo", LONGER_STEP)
LOST = Arm("mim:base=dc", "mim", {"method.base": "dc"})  # its base is not compared
LOST_TWIN = changed(LOST, "placebo", LONGER_STEP)
# By day the term gains a point over the longer step, which gains two over the base; by night neither does anything.
MEANS = {STRONG.key: (0.63, 0.58), TWIN.key: (0.62, 0.58)}
OTHERS = (0.60, 0.58)


def folder_of(path: Path, *arms: Arm, factor: Factor = LIGHT) -> StudyFolder:
    rng = np.random.default_rng(0)
    settings, trials = cross([Planned(arm, {"method": arm.key}) for arm in arms], (factor,), SEEDS)
    configs, rows = {trial.hash: trial.config for trial in trials}, {}
    for setting in settings:
        day, night = MEANS.get(setting.arm.key, OTHERS)
        for trial in setting.trials:
            mean = day if setting.levels["light"] == "day" else night
            measures = {"gradient_ratio": 1.0, "effective_weight": float(rng.normal(40, 2))}
            networks = mean + rng.normal(0, 2e-3, 2)
            rows[trial] = made_row(trial, configs[trial], networks, measures=measures if setting.arm.has_term else {})
    return made_folder(path, with_controls(settings), rows, SEEDS, **factors_of(factor))


def test_each_term_with_a_twin_has_two_contrasts_at_each_level_in_two_families(tmp_path: Path) -> None:
    ledger = Ledger(Results(folder_of(tmp_path, BASE, DEFAULT, STRONG, TWIN)))
    cases = controlled(ledger, ledger.results.arms, LEVELS)
    assert [(case.arm, case.twin, case.control, case.levels) for case in cases] == [
        (STRONG.key, TWIN.key, BASE.key, levels) for levels in LEVELS
    ]
    sizes = {ruling.judged.family: ruling.judged.family_size for ruling in ledger.rulings}
    assert sizes == {TERM: 3, STEP: 3}
    results = ledger.results
    for case in cases:
        sets = {arm: results.sets(results.cell(arm, *case.levels)) for arm in (case.arm, case.twin, case.control)}
        assert case.of_step is not None
        assert case.of_term.contrast.differences == pytest.approx(sets[case.arm] - sets[case.twin])
        assert case.of_step.contrast.differences == pytest.approx(sets[case.twin] - sets[case.control])


def test_the_part_tells_decisions_and_the_table_the_strength_of_the_term(tmp_path: Path) -> None:
    ledger = Ledger(Results(folder_of(tmp_path, BASE, DEFAULT, STRONG, TWIN)))
    part = step_control(ledger, controlled(ledger, ledger.results.arms, LEVELS))
    (sentence,), (table,) = part.sentences, part.tables
    assert sentence is not None
    assert table is not None
    assert "The gain of DM + MIM4DD (equal strength) over DM, longer step (equal strength) is +1." in sentence.text
    assert "The gain of DM, longer step (equal strength) over DM is +2." in sentence.text
    decided = "a gain at day; no difference beyond half a point at dusk and at night."
    assert sentence.text.count(f"The decisions at the 3 levels are: {decided}") == 2
    assert len(sentence.claims) == 6
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [row["light"] for row in rows] == ["day", "dusk", "night"]
    assert rows[0]["decision"] == rows[0]["decision on the step"] == "a gain of more than half a point"
    assert rows[0]["ρ"].mean == 1
    assert rows[0]["effective λ"].mean == pytest.approx(40, abs=3)
    assert "over the 3 comparisons with a longer step" in table.note
    claims = {claim.id: claim for claim in ledger.compose(part).claims}
    assert claims[f"mean/rho/{STRONG.key}/day"].unit == ""


def test_one_level_is_one_comparison_and_no_list_of_levels(tmp_path: Path) -> None:
    ledger = Ledger(Results(folder_of(tmp_path, BASE, STRONG, TWIN)))
    cases = controlled(ledger, [STRONG.key], LEVELS[:1])
    assert cases[0].of_term.judged.family_size == 1
    (sentence,) = step_control(ledger, cases).sentences
    assert sentence is not None
    assert "levels" not in sentence.text


def test_without_a_twin_there_is_no_part_and_without_the_base_no_second_contrast(tmp_path: Path) -> None:
    ledger = Ledger(Results(folder_of(tmp_path, BASE, DEFAULT, STRONG)))
    assert controlled(ledger, ledger.results.arms, LEVELS) == []
    part = step_control(ledger, [])
    assert (part.sentences, part.tables, part.notes) == ((), (), ())
    assert ledger.rulings == ()
    ledger = Ledger(Results(folder_of(tmp_path, LOST, LOST_TWIN)))
    (case,) = controlled(ledger, ledger.results.arms, LEVELS[:1])
    assert (case.twin, case.control, case.of_step) == (LOST_TWIN.key, "", None)
    assert len(step_control(ledger, [case]).sentences) == 1


def test_a_placebo_is_in_no_family_of_methods(tmp_path: Path) -> None:
    def sizes(*arms: Arm) -> dict[str, int]:
        curve = replace(LIGHT, levels=LIGHT.levels)
        ledger = Ledger(Results(folder_of(tmp_path, *arms, factor=curve)))
        response = Response(ledger, "test", [arm.key for arm in arms])
        assert TWIN.key not in response.terms
        return {ruling.judged.family: ruling.judged.family_size for ruling in ledger.rulings}

    assert sizes(BASE, DEFAULT, STRONG, TWIN) == sizes(BASE, DEFAULT, STRONG)
