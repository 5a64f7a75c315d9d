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
from studies.engine.running import TrialRun, run_trial
from studies.engine.trial import Inputs, Trial, validation_mean

SMALL = {"iterations": "20", "batch_real": "8", "width": "8", "epochs": "20", "networks": "2"}


@cache
def inputs() -> Inputs:
    splits = load("digits")
    return Inputs(splits, train_reference(splits, ConvNet(width=8), steps=20))


def trial(seed: int = 0, **assigned: str) -> Trial:
    configuration = configure(
        source="digits",
        method={"method": "mim"},
        network="convnet",
        protocol_name="digits",
        assigned={**SMALL, **assigned},
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


def test_a_trial_stopped_at_any_pause_and_resumed_ends_with_the_same_bits() -> None:
    whole, saved = run_trial(trial(head="learned"), inputs()), []

    class Stop(Exception):
        pass

    def pause(run: TrialRun) -> None:
        if run.distillation.iteration == 13:
            held = io.BytesIO()
            torch.save(run.state_dict(), held)
            saved.append(held)
            raise Stop

    with pytest.raises(Stop):
        run_trial(trial(head="learned"), inputs(), pause=pause)
    saved[0].seek(0)
    resumed = run_trial(trial(head="learned"), inputs(), state=torch.load(saved[0], weights_only=True))
    assert json.dumps(resumed.result) == json.dumps(whole.result)
    assert resumed.synthetic is not None
    assert whole.synthetic is not None
    assert (resumed.synthetic.images == whole.synthetic.images).all()


def test_a_trial_that_diverges_is_a_result_that_says_where() -> None:
    outcome = run_trial(trial(**{"base.lr": "1e6", "norm": "none"}), inputs())
    assert outcome.result["status"] == "diverged"
    assert outcome.result["diverged_at"] >= 0
    assert outcome.result["validation_accuracy"] is None
    assert outcome.report_only == {}
    json.dumps(outcome.row, allow_nan=False)
