"""What only a GPU can show: a trial runs there, and one that runs out of its memory becomes a row that says so."""

from __future__ import annotations

import time

import pytest
import torch

from mim4dd.configuration import configure
from mim4dd.data import load
from mim4dd.information import train_reference
from mim4dd.networks import ConvNet
from studies.engine.running import run_trial
from studies.engine.trial import Inputs, Trial
from studies.engine.tuning.units import failed

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def trial() -> Trial:
    assigned = {"iterations": "10", "batch_real": "8", "width": "8", "epochs": "10", "networks": "2"}
    configuration = configure(
        source="digits", method={"method": "mim"}, network="convnet", protocol_name="digits", assigned=assigned
    )
    return Trial.of({"dataset": "digits", "ipc": 1, "seed": 0, **configuration.flat})


def test_a_trial_runs_on_the_device_it_was_given() -> None:
    splits = load("digits")
    inputs = Inputs(splits, train_reference(splits, ConvNet(width=8), steps=20))
    outcome = run_trial(trial(), inputs, "cuda")
    assert outcome.result["status"] == "ok"
    assert outcome.measured["device"] == "cuda"


def test_out_of_memory_is_a_row_with_the_size_that_was_tried() -> None:
    with pytest.raises(torch.OutOfMemoryError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
    outcome = failed(trial(), caught.value, time.time())
    assert outcome.result["status"] == "error"
    assert outcome.result["reason"].startswith("out of GPU memory: tried to allocate ")
    assert "network.width 8" in outcome.result["reason"]
    assert torch.ones(4, device="cuda").sum().item() == 4  # the device is still of use
