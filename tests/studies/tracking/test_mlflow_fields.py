"""What a row is called in MLflow."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from small_study import ENTROPY, row  # type: ignore[import-not-found]

from studies.engine.arms import Arm, Setting
from studies.engine.folder import StudyFolder
from studies.engine.rows import Row
from studies.engine.space import Axis
from studies.engine.tracking import mlflow_fields

KNOBS = {"method.temperature": {"symbol": "τ", "log": True}, "method.weight": {"symbol": "λ", "log": True}}


def read(trial: str, seed: int = 0, **changes: Any) -> Row:
    return Row.read(row(trial, seed, **changes))


def test_names_and_tags_of_runs() -> None:
    finished = read("a", seed=3)
    arm = Arm("dm", "mim", {"method.base": "dm", "method.weight": 0.0}, role="base")
    setting = Setting(2, arm, {"training data": "symmetric 0.4"}, ("a",))
    assert mlflow_fields.run_name(finished, setting) == "DM · symmetric 0.4 · seed 3"
    told = mlflow_fields.tags(finished, setting, {})
    assert (told["role"], told["arm"], told["setting"]) == ("base", "DM", "2")


def test_a_trial_of_a_search_is_named_before_its_setting_is_known() -> None:
    default = Setting(0, Arm("mim:base=dm", "mim", {"method.base": "dm"}, "dm", "default"))
    axes = [asdict(Axis("method.temperature", "τ", 0.03, 1)), asdict(Axis("method.weight", "λ", 0.001, 100))]
    folder = StudyFolder(Path("out"), {"knobs": KNOBS, "axes": axes}, (default,))
    setting = mlflow_fields.suggested(read("a", seed=3), folder)
    assert mlflow_fields.run_name(read("a", seed=3), setting) == "DM + MIM4DD (τ=0.1, λ=0.8) · seed 3"
    told = mlflow_fields.tags(read("a"), setting, {})
    assert told["role"] == "search"
    assert "setting" not in told


def test_parameters_have_short_names_and_log_axes() -> None:
    found = mlflow_fields.parameters(read("a"), KNOBS)
    assert (found["temperature"], found["Log10 temperature"]) == ("0.1", "-1")
    assert (found["base"], found["base.iterations"], found["network.width"]) == ("dm", "100", "16")
    assert "seed" not in found
    without = read("a")
    without.config["method.weight"] = 0.0
    assert "Log10 weight" not in mlflow_fields.parameters(without, KNOBS)


def test_the_strength_is_the_weight_of_a_balanced_term_and_measured_of_another() -> None:
    about = {"symbol": "ρ", "log": True, "name": "strength", "given": {"method.balance": "gradnorm"}}
    strength = {"method.weight": about}
    plain, balanced = read("a", measures={"gradient_ratio": 0.02}), read("b", measures={"gradient_ratio": 1.0})
    plain.config["method.balance"], balanced.config["method.balance"] = "none", "gradnorm"
    balanced.config["method.weight"] = 10.0
    of_plain, of_balanced = (mlflow_fields.parameters(one, strength) for one in (plain, balanced))
    assert (of_plain["strength"], of_plain["Log10 strength"]) == ("0.02", "-1.69897")
    assert (of_balanced["strength"], of_balanced["Log10 strength"]) == ("10", "1")
    assert mlflow_fields.axis("method.weight", strength) == "Log10 strength"
    assert "strength" not in mlflow_fields.parameters(read("c"), strength)


def test_final_numbers() -> None:
    found = mlflow_fields.final(read("a"))
    assert math.isclose(found["validation_accuracy"], 0.85)
    assert math.isclose(found["validation_worst_class_recall"], 0.7)
    assert math.isclose(found["test_accuracy"], 0.75)
    assert math.isclose(found["test_balanced_accuracy"], (0.8 + 2.6 / 3) / 2)
    assert math.isclose(found["label_agreement_fraction"], 0.5)
    assert math.isclose(found["label_agreement_nats"], ENTROPY / 2)
    assert math.isclose(found["validation_usable_information_nats"], 0.3)
    assert math.isclose(found["validation_usable_information_fraction"], 0.3 / math.log(2))  # a class has no images
    assert math.isclose(found["test_usable_information_nats"], 3 * ENTROPY / 8)
    assert math.isclose(found["test_usable_information_fraction"], 3 / 8)
    assert found["peak_memory_bytes"] == 7_000_000
    assert "critic_information_nats" not in found


def test_the_load_of_a_trials_machine_is_among_its_numbers_where_it_is_known() -> None:
    load = {"cpu_seconds": 1.9, "others_cores": 0.25, "stolen_cores": 0.0}
    held = row("a")
    held["measured"] |= load
    assert load.items() <= mlflow_fields.final(Row.read(held)).items()
    held["measured"]["others_cores"] = None
    assert "others_cores" not in mlflow_fields.final(Row.read(held))


def test_rows_without_numbers_have_none() -> None:
    empty = {"validation_accuracy": None, "validation_recall": None, "label_agreement_nats": math.nan}
    empty |= {"usable_information_nats": None}
    held = row("a", status="diverged", diverged_at=52, reason="not finite", **empty) | {"report_only": {}}
    finished = Row.read(held)
    names = {point.name for point in mlflow_fields.points(finished, [{"iteration": 4.0, "loss/dm": math.inf}])}
    assert names == {"seconds", "distil_seconds", "evaluate_seconds", "retries", "peak_memory_bytes"} | {
        "by_iteration/validation_accuracy"
    }
    setting = Setting(0, Arm("dm", "dm"))
    assert mlflow_fields.tags(finished, setting, {})["reason"] == "not finite"
    untimed = Row.read(held | {"measured": {}})
    assert mlflow_fields.times(untimed) == (0, 0)
    assert mlflow_fields.points(untimed, [])


def test_points_are_the_same_when_made_again() -> None:
    history = [{"iteration": float(k), "loss/dm": 1.0} for k in range(3)]
    assert mlflow_fields.points(read("a"), history) == mlflow_fields.points(read("a"), history)
    curve = [(p.step, p.value) for p in mlflow_fields.points(read("a"), history) if p.name.startswith("by_iteration")]
    assert curve == [(50, 0.7), (100, 0.8500000000000001)]
