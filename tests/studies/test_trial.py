"""A trial is a function of its record: same record, same result; resumed, the same bits."""

from __future__ import annotations

import io
import json
from functools import cache

import pytest
import torch

from mim4dd.configuration import configure
from mim4dd.data import load
from mim4dd.information import train_reference
from mim4dd.networks import ConvNet
from mim4dd.registry import Flat
from studies.engine.running import Saved, TrialRun, memory_reason, run_trial
from studies.engine.trial import Inputs, Outcome, Trial, validation_mean

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
    shared: Flat = {"dataset": "digits", "ipc": 1, "seed": seed}
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


class Stop(Exception):
    pass


def interrupted(one: Trial, place: str, kept: list[Saved] | None = None) -> Outcome:
    """The trial, saved and stopped at a place, then gone on with from what is on disk."""
    saved: list[Saved] = kept if kept is not None else []

    def pause(run: TrialRun) -> None:
        if run.place == place:
            held = io.BytesIO()
            torch.save(run.state_dict(), held)
            saved.append(Saved(torch.load(io.BytesIO(held.getvalue()), weights_only=True)))
            raise Stop

    with pytest.raises(Stop):
        run_trial(one, inputs(), pause=pause)
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
def test_a_trial_stopped_at_any_pause_and_resumed_ends_with_the_same_bits(place: str) -> None:
    whole = run_trial(trial(head="learned"), inputs())
    resumed = interrupted(trial(head="learned"), place)
    assert json.dumps(resumed.result) == json.dumps(whole.result)
    assert resumed.report_only == whole.report_only
    assert resumed.history == whole.history
    assert resumed.synthetic is not None
    assert whole.synthetic is not None
    assert (resumed.synthetic.images == whole.synthetic.images).all()


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
        ("something else", "out of GPU memory: something else"),
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
