"""What a row is called in MLflow."""

from __future__ import annotations

import math

from small_study import ENTROPY, row  # type: ignore[import-not-found]

from studies.engine.tracking import words

KNOBS = {"method.temperature": {"symbol": "τ", "log": True}, "method.weight": {"symbol": "λ", "log": True}}


def test_names_of_runs() -> None:
    finished = row("a", seed=3)
    assert words.run_name(finished, {"role": "design"}, KNOBS) == "τ=0.1 λ=0.8 · seed 3"
    assert words.run_name(finished, {"role": "default"}, KNOBS) == "default: τ=0.1 λ=0.8 · seed 3"
    assert words.run_name(finished, {"role": "base"}, KNOBS) == "base alone (dm) · seed 3"
    assert words.run_name(finished, {"role": "random"}, KNOBS) == "random real · seed 3"
    assert words.run_name(finished, {"role": "full"}, KNOBS) == "full data · seed 3"
    assert words.run_name(finished, {}, {}) == "mim · seed 3"


def test_parameters_have_short_names_and_log_axes() -> None:
    found = words.parameters(row("a"), KNOBS)
    assert (found["temperature"], found["Log10 temperature"]) == ("0.1", "-1")
    assert (found["base"], found["base.iterations"], found["network.width"]) == ("dm", "100", "16")
    assert "seed" not in found
    without = row("a")
    without["config"]["method.weight"] = 0.0
    assert "Log10 weight" not in words.parameters(without, KNOBS)


def test_final_numbers() -> None:
    found = words.final(row("a"))
    assert math.isclose(found["validation_accuracy"], 0.85)
    assert math.isclose(found["validation_worst_class_recall"], 0.7)
    assert math.isclose(found["test_accuracy"], 0.75)
    assert math.isclose(found["decodable_information_fraction"], 0.5)
    assert math.isclose(found["decodable_information_nats"], ENTROPY / 2)
    assert found["peak_memory_bytes"] == 7_000_000
    assert "critic_information_nats" not in found


def test_rows_without_numbers_have_none() -> None:
    empty = {"validation_accuracy": None, "validation_recall": None, "decodable_information_nats": math.nan}
    finished = row("a", status="diverged", diverged_at=52, reason="not finite", **empty)
    finished["report_only"] = {}
    names = {point.name for point in words.points(finished, [{"iteration": 4.0, "loss/dm": math.inf}])}
    assert names == {"seconds", "distil_seconds", "evaluate_seconds", "retries", "peak_memory_bytes"} | {
        "by_iteration/validation_accuracy"
    }
    assert words.tags(finished, {}, {})["mlflow.note.content"] == "This trial diverged: not finite."
    finished["measured"] = {}
    assert words.times(finished) == (0, 0)
    assert words.points(finished, [])


def test_points_are_the_same_when_made_again() -> None:
    history = [{"iteration": float(k), "loss/dm": 1.0} for k in range(3)]
    assert words.points(row("a"), history) == words.points(row("a"), history)
    curve = [(p.step, p.value) for p in words.points(row("a"), history) if p.name.startswith("by_iteration")]
    assert curve == [(50, 0.7), (100, 0.8500000000000001)]
