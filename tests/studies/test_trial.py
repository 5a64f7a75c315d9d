"""A trial is a function of its record: same record, same result; resumed, the same bits."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from mim4dd.configuration import configure
from mim4dd.data import load
from mim4dd.information import Reference, train_reference
from mim4dd.networks import ConvNet
from mim4dd.registry import Flat
from studies.answers.fidelity.flags import FidelityFlags
from studies.answers.sensitivity.flags import DesignFlags
from studies.engine.configuring import shared_entries
from studies.engine.measuring import reads_reference
from studies.engine.metadata import configuration_of
from studies.engine.options import parse_options
from studies.engine.rows import Row
from studies.engine.running import TrialRun, begin, run_trial
from studies.engine.runs import Saved
from studies.engine.study import study_named
from studies.engine.trial import Inputs, Outcome, Trial, memory_reason, validation_mean

SMALL = {"iterations": "20", "batch_real": "8", "width": "8", "epochs": "20", "networks": "2"}


@cache
def inputs() -> Inputs:
    splits = load("digits")
    return Inputs(splits, train_reference(splits, ConvNet(width=8), steps=20))


def trial(seed: int = 0, method: str = "mim", **assigned: str) -> Trial:
    asked = {**SMALL, **assigned}
    configuration = configure(
        source="digits",
        method={"method": method},
        network="convnet",
        protocol_name="digits",
        assigned=asked if method == "mim" else {k: v for k, v in asked.items() if k in ("width", "epochs", "networks")},
    )
    shared: Flat = {"dataset": "digits", "ipc": 1, "seed": seed, "interim": True}
    return Trial.of({**shared, **configuration.flat})


def test_the_hash_is_of_content_and_not_of_order() -> None:
    one = trial()
    assert one.hash == Trial.of(dict(reversed(one.items))).hash
    assert one.hash != trial(seed=1).hash
    assert one.hash != trial(temperature="0.2").hash
    assert Trial.of(json.loads(json.dumps(one.config))).hash == one.hash


def test_the_same_trial_gives_the_same_result_and_keeps_test_accuracy_apart() -> None:
    first, second = run_trial(trial(), inputs()), run_trial(trial(), inputs())
    assert json.dumps(first.result) == json.dumps(second.result)
    assert first.report_only == second.report_only
    assert "test" not in json.dumps(first.result)
    assert first.result["status"] == "ok"
    assert [rung["iteration"] for rung in first.result["rungs"]] == [5, 10]
    assert 0.2 < validation_mean(first.result) <= 1
    validation, test = (one["usable_information_nats"] for one in (first.result, first.report_only))
    assert len(validation) == len(test) == 2
    assert 0 < min(validation + test) < max(validation + test) < first.result["entropy_nats"]
    assert validation != test


def test_a_reference_that_is_waited_for_changes_no_result_and_its_wait_is_nobody_s_second() -> None:
    def arriving() -> Reference:
        time.sleep(0.4)
        return inputs().trained_reference()

    waited = run_trial(trial(), replace(inputs(), reference=arriving))
    assert json.dumps(waited.result) == json.dumps(run_trial(trial(), inputs()).result)
    measured = waited.measured
    assert measured["waited_seconds"] == pytest.approx(0.4, abs=0.1)
    parts = [measured[f"{part}_seconds"] for part in ("waited", "distil", "evaluate")]
    assert measured["seconds"] == pytest.approx(sum(parts))


def test_a_state_saved_while_it_waits_for_the_reference_needs_no_training_again() -> None:
    saved: list[dict[str, Any]] = []

    def arriving() -> Reference:
        saved.append(run.state_dict())
        return inputs().trained_reference()

    run = TrialRun(trial(), replace(inputs(), reference=arriving))
    run.advance(run.stops[-1])
    whole = run.finish()
    steps: list[str] = []
    again = begin(trial(), inputs(), "cpu", Saved(saved[0]))
    for stop in again.stops:
        again.advance(stop)
    assert json.dumps(again.finish(lambda one: steps.append(one.progress)).result) == json.dumps(whole.result)
    assert steps == []


def test_a_row_holds_the_load_of_its_machine_and_is_read_without_it() -> None:
    row = json.loads(json.dumps(run_trial(trial(), inputs()).row))
    measured = row["measured"]
    assert 0 < measured["cpu_seconds"] < measured["seconds"] * max(2, torch.get_num_threads())
    load = {name: measured.pop(name) for name in ("cpu_seconds", "others_cores", "stolen_cores")}
    assert min(load.values()) >= 0
    assert "others_cores" not in Row.read(row).measured
    unseen = {**row, "measured": {**measured, **load, "others_cores": None}}
    assert Row.read(unseen).measured["others_cores"] is None


def test_interim_accuracies_are_measured_only_where_something_reads_them() -> None:
    with_them, without = trial(), Trial.of({k: v for k, v in trial().config.items() if k != "interim"})
    first, second = run_trial(with_them, inputs()), run_trial(without, inputs())
    assert second.result["rungs"] == []
    assert first.result["validation_accuracy"] == second.result["validation_accuracy"]
    assert parse_options("", "x.py", DesignFlags, []).interim is False
    assert parse_options("", "x.py", DesignFlags, ["--interim"]).interim is True
    assert parse_options("", "x.py", DesignFlags, ["--design", "tpe", "--asha"]).interim is True
    assert parse_options("", "x.py", FidelityFlags, []).interim is True
    assert shared_entries(parse_options("", "x.py", FidelityFlags, []))["interim"] is True
    assert "interim" not in shared_entries(parse_options("", "x.py", DesignFlags, []))


class Stop(Exception):
    pass


def as_read(run: TrialRun) -> Saved:
    """The run's state as another process reads it."""
    held = io.BytesIO()
    torch.save(run.state_dict(), held)
    return Saved(torch.load(io.BytesIO(held.getvalue()), weights_only=True))


def interrupted(one: Trial, place: str, kept: list[Saved] | None = None) -> Outcome:
    """The trial, saved and stopped at a place, then gone on with from what is on disk."""
    saved: list[Saved] = kept if kept is not None else []

    def on_step(run: TrialRun) -> None:
        if run.progress == place:
            saved.append(as_read(run))
            raise Stop

    with pytest.raises(Stop):
        run_trial(one, inputs(), on_step=on_step)
    return run_trial(one, inputs(), saved=saved[0])


@pytest.mark.parametrize(
    "place",
    [
        "distilling, iteration 3 of 20",
        "distilling, iteration 13 of 20",
        "evaluating, epoch 7 of 20",
        "evaluating, epoch 20 of 20",
    ],
)
def test_a_trial_stopped_after_any_step_and_resumed_ends_with_the_same_bits(place: str) -> None:
    whole = run_trial(trial(head="learned"), inputs())
    resumed = interrupted(trial(head="learned"), place)
    assert json.dumps(resumed.result) == json.dumps(whole.result)
    assert resumed.report_only == whole.report_only
    assert resumed.history == whole.history
    assert resumed.synthetic is not None
    assert whole.synthetic is not None
    assert (resumed.synthetic.images == whole.synthetic.images).all()


def stopped_every(one: Trial, steps: int) -> tuple[Outcome, list[str]]:
    """The trial in as many attempts as it takes, each ended after so many steps; and where they ended."""
    saved, places = Saved(), []
    while True:
        seen: list[TrialRun] = []

        def on_step(run: TrialRun, seen: list[TrialRun] = seen) -> None:
            seen.append(run)
            if len(seen) == steps:
                raise Stop

        try:
            return run_trial(one, inputs(), saved=saved, on_step=on_step), places
        except Stop:
            saved = as_read(seen[-1])
            places.append(f"{len(seen[-1].rungs)} rungs, {seen[-1].progress}")


BATCHED = {"batch": "4", "evaluation.augment": "color_crop_cutout_flip_scale_rotate", "restart_momentum": "true"}


@pytest.mark.parametrize("knobs", [{}, BATCHED], ids=["one batch", "batches, augmented, momentum restarted"])
def test_attempts_that_end_in_every_training_add_up_to_the_same_bits(knobs: dict[str, str]) -> None:
    one = trial(epochs="8", networks="3", **knobs)
    whole = run_trial(one, inputs())
    resumed, places = stopped_every(one, 5)
    for rungs in (0, 1, 2):
        assert any(place.startswith(f"{rungs} rungs, evaluating") for place in places)
    assert json.dumps(resumed.result) == json.dumps(whole.result)
    assert resumed.report_only == whole.report_only
    assert resumed.history == whole.history
    assert resumed.synthetic is not None
    assert whole.synthetic is not None
    assert (resumed.synthetic.images == whole.synthetic.images).all()


def test_the_step_callback_is_called_after_every_iteration_and_every_epoch_with_the_progress() -> None:
    places: list[str] = []
    run_trial(trial(epochs="8", networks="3"), inputs(), on_step=lambda run: places.append(run.progress))
    evaluating = [f"evaluating, epoch {epoch} of 8" for epoch in range(1, 9)]
    distilling = [f"distilling, iteration {iteration} of 20" for iteration in range(1, 21)]
    assert places == distilling[:5] + evaluating + distilling[5:10] + evaluating + distilling[10:] + evaluating


def test_seconds_add_up_over_attempts_and_a_stop_in_the_evaluation_keeps_those_of_distilling() -> None:
    kept: list[Saved] = []
    measured = interrupted(trial(method="random"), "evaluating, epoch 7 of 20", kept).measured
    assert kept[0].state is not None
    assert 0 < kept[0].state["distil_seconds"] == measured["distil_seconds"]
    assert measured["seconds"] > kept[0].state["seconds"]
    assert measured["seconds"] == pytest.approx(measured["distil_seconds"] + measured["evaluate_seconds"])


def test_a_state_saved_again_before_its_training_goes_on_still_holds_it() -> None:
    kept: list[Saved] = []
    interrupted(trial(), "evaluating, epoch 7 of 20", kept)
    again = as_read(begin(trial(), inputs(), "cpu", kept[0]))
    assert again.state is not None
    assert again.state["training"]["epoch"] == 7


def test_full_data_resumes_in_the_middle_of_its_training_without_its_images_in_the_state() -> None:
    full = trial(method="full", epochs="4")
    state: list[Saved] = []
    resumed = interrupted(full, "evaluating, epoch 2 of 4", state)
    assert json.dumps(resumed.result) == json.dumps(run_trial(full, inputs()).result)
    assert state[0].state is not None
    assert state[0].state["distillation"] is None


def test_a_state_that_does_not_fit_costs_no_trial_and_is_told() -> None:
    resumed = run_trial(trial(), inputs(), saved=Saved({"distillation": {}, "training": None, "rungs": []}))
    assert json.dumps(resumed.result) == json.dumps(run_trial(trial(), inputs()).result)
    assert "could not be used" in resumed.measured["restarted"]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has", "out of GPU memory: tried to allocate 2.50 GiB"),
        ("something else\nand how to find out", "out of GPU memory: something else"),
    ],
)
def test_out_of_memory_says_what_was_asked_for(message: str, told: str) -> None:
    assert memory_reason(torch.OutOfMemoryError(message)) == told


def test_a_trial_that_diverges_is_a_result_that_says_where() -> None:
    outcome = run_trial(trial(**{"base.lr": "1e6", "norm": "none"}), inputs())
    assert outcome.result["status"] == "diverged"
    assert outcome.result["diverged_at"] >= 0
    assert outcome.result["validation_accuracy"] is None
    assert outcome.report_only == {}
    json.dumps(outcome.row, allow_nan=False)


@pytest.mark.parametrize(
    ("name", "words", "read"),
    [
        ("cost", ["--part", "own"], False),
        ("cost", ["--part", "own", "--part", "worth"], True),
        ("dataset_bias", [], False),
        ("dataset_bias", ["--cue", "none"], True),
        ("noisy_labels", [], True),
    ],
)
def test_which_studies_read_the_reference_network(name: str, words: list[str], read: bool) -> None:
    study = study_named(name)
    options = parse_options("", study.script, study.flags, ["--quick", *words])
    plan = study.plan(options, configuration_of(study, options))
    assert any(reads_reference(trial.config) for trial in plan.trials) is read
    assert study.informed
    assert not study_named("score").informed
