"""Tuning in the baselines study: equal budgets, a choice on validation alone, judged on seeds that did not choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_rows import lost, made_folder, made_row, replaced

from mim4dd.errors import InputError
from mim4dd.seeding import generator
from studies.answers.baselines.answer import write_answer
from studies.answers.baselines.flags import BaselinesFlags
from studies.answers.baselines.plan import plan_baselines
from studies.baselines import STUDY
from studies.engine.answer import Answer
from studies.engine.folder import StudyFolder
from studies.engine.metadata import configuration_of
from studies.engine.options import parse_options
from studies.engine.plan import Plan
from studies.engine.rows import Row
from studies.engine.statistics.contrasts import Decision
from studies.engine.trial import Trial

TERM = "mim:base=dm,balance=gradnorm,weight=1"
METHODS = ("random", "dm", TERM, f"{TERM},direction=base", "herding", "full")
SEEDS, CHOOSE, TUNE = 8, 2, 5


def planned(*words: str, methods: tuple[str, ...] = METHODS) -> Plan:
    named = [word for method in methods for word in ("--method", method)]
    options = parse_options("", STUDY.script, BaselinesFlags, ["--quick", *named, *words])
    return plan_baselines(options, configuration_of(STUDY, options))


TUNED = ("--seeds", f"0-{SEEDS - 1}", "--tune", str(TUNE))


def settings(plan: Plan, method: str) -> list[Any]:
    """The settings that a method is tuned over besides its defaults."""
    return [one for one in plan.settings if one.arm.role == "design" and one.arm.control == method]


def test_each_method_tries_as_many_settings_of_its_own_knobs() -> None:
    plan = planned(*TUNED)
    for method, own in (("dm", {"method.lr", "method.batch_real"}), (TERM, {"method.temperature"})):
        tried = settings(plan, method)
        assert len(tried) == TUNE - 1
        assert not any("updates" in key for one in tried for key in one.arm.knobs), "a budget, as the iterations are"
        assert all(own <= set(one.arm.knobs) and len(one.trials) == CHOOSE for one in tried)
        assert len({one.arm.key for one in tried}) == TUNE - 1
    strengths = {(one.arm.knobs["method.balance"], one.arm.knobs["method.weight"]) for one in settings(plan, TERM)}
    assert strengths == {("gradnorm", 1.0)}  # what tells the arm from others is not tuned
    assert {one.arm.control for one in plan.settings if one.arm.role == "design"} == {"dm", TERM}
    assert all(len(one.trials) == SEEDS for one in plan.settings if one.arm.role != "design")
    assert plan.growth == 2 * (SEEDS - CHOOSE)


def test_a_knob_that_set_gives_is_not_tuned() -> None:
    tried = settings(planned(*TUNED, "--set", "method.lr=3"), "dm")
    assert tried
    assert all("method.lr" not in one.arm.knobs for one in tried)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--tune", "5"), "--tune chooses on 2 seeds and needs 5 others to decide on, got 3; give --seeds 0-6"),
        (("--tune", "5", "--choose-on", "4", "--seeds", "0-7"), "on 4 seeds and needs 5 others .* give --seeds 0-8"),
        (("--tune", "1"), r"--tune must be in \[2, 200\], got 1"),
        (("--choose-on", "2"), "--choose-on is for --tune N"),
    ],
)
def test_a_tuning_that_cannot_be_is_refused(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        planned(*words)


def test_methods_without_knobs_cannot_be_tuned() -> None:
    with pytest.raises(InputError, match="no method of this study has one"):
        planned(*TUNED, methods=("random", "herding"))


def gain_of(trial: Trial) -> float:
    """What a setting adds to every accuracy: most for the largest rate."""
    return 0.02 * np.log10(float(trial.config.get("method.lr", trial.config.get("method.base.lr", 1.0))))


def rows_of(plan: Plan) -> dict[str, Row]:
    """Rows in which a set's noise is its seed's, and a setting adds its gain."""
    rows = {}
    for trial in plan.trials:
        noise = 0.01 * generator("test", int(trial.config["seed"])).standard_normal()
        own = 0.001 * generator("test", trial.hash).standard_normal()
        rows[trial.hash] = made_row(trial.hash, trial.config, [0.6 + noise + own + gain_of(trial)] * 2)
    return rows


def grown(plan: Plan) -> tuple[Plan, dict[str, Row]]:
    whole = plan.grown(rows_of(plan))
    return whole, rows_of(whole)


def folder(tmp_path: Path, plan: Plan, rows: dict[str, Row]) -> StudyFolder:
    return made_folder(tmp_path, plan.settings, rows, range(SEEDS), study="baselines", tuned_on=CHOOSE)


def claims(answer: Answer) -> dict[str, Any]:
    return {claim.id: claim for claim in answer.claims}


def best_of(plan: Plan, method: str) -> Any:
    trials = {trial.hash: trial for trial in plan.trials}
    default = next(one for one in plan.settings if one.arm.key == method)
    return max([default, *settings(plan, method)], key=lambda one: gain_of(trials[one.trials[0]]))


def test_the_best_runs_on_the_other_seeds_and_is_judged_on_them_alone(tmp_path: Path) -> None:
    plan = planned(*TUNED)
    whole, rows = grown(plan)
    best = {method: best_of(whole, method) for method in ("dm", TERM)}
    more = [one for one in whole.settings if one.arm.role == "design" and len(one.trials) == SEEDS]
    assert {one.arm.key for one in more} == {one.arm.key for one in best.values() if one.arm.role == "design"}
    assert more, "a rate above the default wins, or the test shows nothing"
    found = claims(write_answer(folder(tmp_path, whole, rows)))
    for method, one in best.items():
        if one.arm.role != "design":
            assert f"tuned/{method}" not in found
            continue
        claim = found[f"tuned/{method}"]
        assert claim.seeds == tuple(range(CHOOSE, SEEDS))
        default = next(other for other in whole.settings if other.arm.key == method)
        judged = [(rows[a].test[0], rows[b].test[0]) for a, b in zip(one.trials, default.trials, strict=True)][CHOOSE:]
        assert claim.estimate == pytest.approx(np.mean([a - b for a, b in judged]))
        assert claim.decision == str(Decision.GAIN)
    gain = found[f"tuned/gain/{TERM}"]
    assert {arm for _, arm, _ in gain.terms} == {one.arm.key for one in best.values()}
    assert set(gain.trials) == {trial for one in best.values() for trial in one.trials[CHOOSE:]}


def test_test_accuracy_chooses_nothing() -> None:
    plan = planned(*TUNED)
    rows = rows_of(plan)
    worst = min(settings(plan, "dm"), key=lambda one: rows[one.trials[0]].validation_mean)
    flattered = {t: replaced(rows[t], {"test_accuracy": [0.99, 0.99]}) for t in worst.trials}
    assert plan.grown(rows | flattered).settings == plan.grown(rows).settings


def test_a_setting_that_lost_a_set_is_not_chosen_and_a_missing_row_waits() -> None:
    plan = planned(*TUNED)
    rows, best = rows_of(plan), best_of(plan, "dm")
    assert best.arm.role == "design"
    whole = plan.grown(rows | {best.trials[0]: lost(rows[best.trials[0]], "diverged")})
    assert len(next(one for one in whole.settings if one.arm.key == best.arm.key).trials) == CHOOSE
    assert plan.grown({t: row for t, row in rows.items() if t != best.trials[0]}) is plan


def test_what_one_recipe_says_does_not_depend_on_tuning(tmp_path: Path) -> None:
    whole, rows = grown(planned(*TUNED))
    tuned = write_answer(folder(tmp_path, whole, rows))
    alone = planned("--seeds", f"0-{SEEDS - 1}")
    plain = write_answer(made_folder(tmp_path, alone.settings, rows, range(SEEDS), study="baselines"))
    ids = {claim.id: claim for claim in plain.claims}
    assert ids.items() <= {claim.id: claim for claim in tuned.claims}.items()
    assert {table.name for table in tuned.tables} - {table.name for table in plain.tables} == {"tuned", "tuned_gains"}


def test_an_unfinished_tuning_says_so(tmp_path: Path) -> None:
    """Without the settings' rows, and with these but without the second stage."""
    plan = planned(*TUNED)
    rows = rows_of(plan)
    designs = {trial for one in plan.settings if one.arm.role == "design" for trial in one.trials}
    answer = write_answer(folder(tmp_path, plan, {t: row for t, row in rows.items() if t not in designs}))
    assert "Tuning has no answer yet" in " ".join(map(str, answer.sentences))
    answer = write_answer(folder(tmp_path, plan, rows))
    told = " ".join(map(str, (*answer.sentences, *answer.plain)))
    assert "Tuning has no answer yet" in told
    assert "shown to improve" not in told


def test_a_method_whose_settings_all_lost_a_set_is_named(tmp_path: Path) -> None:
    whole, rows = grown(planned(*TUNED))
    first = {one.trials[0] for one in whole.settings if one.arm.key == "dm" or one.arm.control == "dm"}
    answer = write_answer(
        folder(tmp_path, whole, {t: lost(r, "diverged") if t in first else r for t, r in rows.items()})
    )
    told = " ".join(map(str, answer.sentences))
    assert "Tuning says nothing of DM:" in told
    assert "Each of 1 method tuned" in told
    assert "tuned/dm" not in claims(answer)
    assert f"tuned/gain/{TERM}" not in claims(answer)


def test_a_retried_error_chooses_again() -> None:
    plan = planned(*TUNED)
    rows, best = rows_of(plan), best_of(plan, "dm")
    failed = plan.grown(rows | {best.trials[0]: lost(rows[best.trials[0]], "error")})
    retried = plan.grown(rows)
    sizes = [{one.arm.key: len(one.trials) for one in each.settings}[best.arm.key] for each in (failed, retried)]
    assert sizes == [CHOOSE, SEEDS]


def test_the_trials_that_tuning_adds_are_forecast() -> None:
    from studies.engine.estimate import added_seconds, forecast
    from studies.engine.speeds import SHIPPED, Speeds

    plan = planned(*TUNED)
    whole = forecast(plan, {trial.hash for trial in plan.trials}, Speeds.read(SHIPPED))
    tried = [whole.trials[one.trials[0]] for one in plan.settings if one.arm.role == "design"]
    assert added_seconds(plan, whole) == pytest.approx(np.mean(tried))
    assert min(tried) > 0


def test_a_rate_whose_default_lies_outside_its_range_is_tuned_around_it() -> None:
    options = parse_options("", STUDY.script, BaselinesFlags, ["--method", "mtt", *TUNED])  # protocol digits: lr 3
    tried = settings(plan_baselines(options, configuration_of(STUDY, options)), "mtt")
    rates = sorted(one.arm.knobs["method.lr"] for one in tried)
    assert rates[0] < 3 < rates[-1]
    assert 0.3 <= rates[0]
    assert rates[-1] <= 30
