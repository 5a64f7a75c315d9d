"""What remedies need beforehand: the cleaning's seconds, or what a method prepares, as a median over the seeds."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_rows import costed, factors_of, made_folder, made_row

from studies.answers.mitigation.answer import write_answer
from studies.answers.mitigation.flags import MitigationFlags
from studies.engine.answer import Answer, Claim
from studies.engine.metadata import configuration_of
from studies.engine.options import parse_options
from studies.mitigation import STUDY

NOISE = ("--quick", "--noise", "symmetric:rate=0.4")
REMEDY = "dropping the 40% of images with the largest loss"


def answer(*words: str, timed: bool = True) -> Answer:
    """Cleaning takes 3 seconds more than the noise's tenth, a classifier prepared takes 4; the first seed imports."""
    options = parse_options("", STUDY.script, MitigationFlags, [*NOISE, *words])
    configuration = configuration_of(STUDY, options)
    plan = STUDY.plan(options, configuration)
    rows = {}
    for trial in plan.trials:
        cleaned, seed = "dropped" in trial.config.get("perturb", ""), int(trial.config["seed"])
        dropped = {"share": 0.4, "counts": [9] * 10, "wrong_dropped": 40, "right_dropped": 0, "wrong_left": 0}
        perturbed = {"dropped": dropped} if cleaned else {}
        row = made_row(trial.hash, trial.config, [0.8 + 0.01 * seed] * 2, perturbed=perturbed)
        importing = 60.0 * (seed == 0)
        times = {"prepared_seconds": (4.0 + importing) * ("posterior" in str(trial.config))}
        if timed:
            noise = 0.1 * ("symmetric" in trial.config.get("perturb", ""))
            times["perturbed_seconds"] = noise + (3.0 + importing) * cleaned
        rows[trial.hash] = costed(row, distil_seconds=2.0, **times)
    held = {"configuration": configuration.flat, "conditions": [one.json() for one in plan.conditions]}
    study = {**held, **factors_of(*plan.factors), "study": "mitigation"}
    return write_answer(made_folder(Path("out"), plan.settings, rows, range(5), **study))


def beforehand(found: Answer) -> dict[str, Claim]:
    return {one.id: one for one in found.claims if one.id.startswith("beforehand/")}


def test_a_cleaning_needs_its_own_seconds_once_for_each_kind_of_data() -> None:
    found = answer()
    claims, slug = beforehand(found), REMEDY.replace(" ", "-")
    assert set(claims) == {f"beforehand/{slug}/symmetric-0.4", f"beforehand/{slug}/clean"}
    assert [one.estimate for one in claims.values()] == pytest.approx([3.0, 3.0]), "not the mean, which imports raise"
    assert {(one.kind, one.unit, one.n) for one in claims.values()} == {("estimate", "s", 5)}
    told = " ".join(map(str, found.sentences))
    assert f"these take a median time: {REMEDY} at symmetric 0.4 3.00 s and {REMEDY} on clean data 3.00 s." in told


def test_what_a_knob_has_prepared_is_said_of_rows_of_before_too() -> None:
    claims = beforehand(answer("--remedy", "batch_weights=posterior", timed=False))
    assert {id: one.estimate for id, one in claims.items()} == {
        "beforehand/batch_weights=posterior/clean": 4.0,
        "beforehand/batch_weights=posterior/symmetric-0.4": 4.0,
    }


def test_nothing_is_said_of_what_needs_nothing_or_was_not_timed() -> None:
    assert not beforehand(answer("--remedy", "positives=similar"))
    assert not beforehand(answer(timed=False))
