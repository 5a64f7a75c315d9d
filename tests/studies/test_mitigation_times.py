"""What remedies cost in time: a ratio within pairs, with what was prepared and the cleaning, and its sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_rows import costed, factors_of, made_folder, made_row

from studies.answers.mitigation.answer import write_answer
from studies.answers.mitigation.plan import MitigationFlags
from studies.engine.answer import Answer
from studies.engine.metadata import configuration_of
from studies.engine.options import parse_options
from studies.mitigation import STUDY

NOISE = ("--quick", "--noise", "symmetric:rate=0.4")


def answer(*words: str, cleaning: float | None = 3.0) -> Answer:
    """Distilling takes 2 seconds and a little; a classifier prepared takes 4, a cleaning as many as are given."""
    options = parse_options("", STUDY.script, MitigationFlags, [*NOISE, *words])
    configuration = configuration_of(STUDY, options)
    plan = STUDY.plan(options, configuration)
    rows = {}
    for trial in plan.trials:
        cleaned, seed = "dropped" in trial.config.get("perturb", ""), int(trial.config["seed"])
        dropped = {"share": 0.4, "counts": [9] * 10, "wrong_dropped": 40, "right_dropped": 0, "wrong_left": 0}
        row = made_row(
            trial.hash, trial.config, [0.8 + 0.01 * seed] * 2, perturbed={"dropped": dropped} if cleaned else {}
        )
        times = {"distil_seconds": 2 + 0.01 * seed, "prepared_seconds": 4.0 * ("posterior" in str(trial.config))}
        if cleaning is not None:
            times["perturbed_seconds"] = cleaning if cleaned else 0.0
        rows[trial.hash] = costed(row, **times)
    held = {"configuration": configuration.flat, "conditions": [one.json() for one in plan.conditions]}
    study = {**held, **factors_of(*plan.factors), "study": "mitigation"}
    return write_answer(made_folder(Path("out"), plan.settings, rows, range(5), **study))


def test_a_cleaning_costs_its_own_time_beside_distilling() -> None:
    found = answer()
    claims = {one.id: one for one in found.claims if one.id.startswith("time/")}
    label = "symmetric-0.4-+-dropped-share-0.4"
    assert set(claims) == {
        f"time/{arm}/{at}"
        for arm in ("dm", "mim:base=dm", "mim:base=dm,balance=gradnorm,weight=1")
        for at in (label, "dropped-share-0.4")
    }, "neither anchors, which distil nothing, nor shams and oracles, which nobody uses"
    one = claims[f"time/mim:base=dm/{label}"]
    assert one.unit == "times"
    assert one.estimate == pytest.approx(0.91, abs=0.01), "the logarithm of 5 / 2"
    assert one.decision == "gain"
    told = " ".join(map(str, found.sentences))
    remedy = "dropping the 40% of images with the largest loss"
    assert f"With {remedy}, a set takes longer for DM at symmetric 0.4 (2.49 times [2.47, 2.50] the time), DM +" in told
    assert "DM on clean data (2.49 times" in told
    assert "longer" not in " ".join(map(str, found.plain))


def test_what_a_knob_needs_beforehand_is_part_of_its_time() -> None:
    found = answer("--remedy", "batch_weights=posterior", cleaning=None)
    claims = {one.id: one for one in found.claims if one.id.startswith("time/")}
    assert len(claims) == 6, "three methods under the noise and on clean data"
    one = claims["time/remedy:mim:base=dm,base.batch_weights=posterior/symmetric-0.4"]
    assert one.estimate == pytest.approx(1.09, abs=0.01), "the logarithm of 6 / 2"
    (table,) = (table for table in found.tables if table.name == "remedy_time")
    first = dict(zip(table.columns, table.rows[0], strict=True))
    assert str(first["with over without"]) == "2.98 times [2.96, 3.00]*"
    assert str(first["without"]) == "2.02 s [2.00, 2.04]", "without the time of the data, which rows of before lack"
    table = next(one for one in answer("--remedy", "batch_weights=posterior").tables if one.name == "remedy_time")
    assert {str(one["decision"]) for one in (dict(zip(table.columns, row, strict=True)) for row in table.rows)} == {
        "larger by more than 5%"
    }


def test_a_remedy_that_takes_as_long_is_told_by_counts() -> None:
    found = answer("--remedy", "positives=similar")
    told = [str(one) for one in found.sentences if str(one).startswith("With positives=similar")]
    assert told == ["With positives=similar, the time to a set differs by no more than 5% in 4 of 4 cases."]


def test_rows_without_times_of_their_data_say_nothing_of_a_cleanings() -> None:
    assert not [one for one in answer(cleaning=None).claims if one.id.startswith("time/")]
