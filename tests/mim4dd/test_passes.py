"""What a method says of its passes, beside the passes that it makes."""

from __future__ import annotations

import pytest
import torch
from counting import Counting

from mim4dd.data import load
from mim4dd.methods import METHODS
from mim4dd.methods.task import DistillationTask

SMALL = {
    "dm": {"batch_real": 7},
    "dc": {"batch_real": 7},
    "dsa": {"batch_real": 7, "outer": 2, "inner": 3},
    "mtt": {"batch_real": 7, "experts": 1, "expert_epochs": 2, "steps": 4},
}


@pytest.mark.parametrize("base", SMALL)
@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("ipc", [1, 2])
def test_passes_are_those_of_an_iteration_and_their_gradients(base: str, features: bool, ipc: int) -> None:
    network = Counting(width=4)
    task = DistillationTask(load("digits").train, network, ipc, 0, torch.device("cpu"))
    method = METHODS.build(base, SMALL[base])
    pixels, labels = method.initial(task)
    learnable = {"pixels": pixels.requires_grad_(), **method.learnable(task)}
    if method.preparation is not None:
        task.prepared(method.preparation)
    network.met.clear()
    for match in method.update_steps(task, learnable, labels, 0, features):
        sum(term.loss for term in match.terms.values()).backward()  # type: ignore[union-attr]
    forward = sum(network.met)
    told = method.image_passes(10, ipc, features)
    # Real images of DM pass forward alone; gradients cost two passes more, and six if they are differentiated again.
    least = {"dm": 10 * (7 + 3 * ipc), "dc": 3 * forward, "dsa": 3 * forward, "mtt": forward}[base]
    assert least <= told <= 9 * forward


def test_what_is_prepared_tells_its_passes_and_a_wrapped_base_prepares_the_same() -> None:
    mtt = METHODS.build("mtt", {"experts": 3, "expert_epochs": 5})
    assert mtt.preparation is not None
    assert mtt.preparation.image_passes(100) == 3 * 3 * 5 * 100
    wrapped = METHODS.build("mim", {"base": "mtt", "base.experts": 3, "base.expert_epochs": 5})
    assert wrapped.preparation == mtt.preparation
    herding = METHODS.build("herding", {"epochs": 50, "max_steps": 500})
    assert herding.preparation is not None
    assert herding.preparation.image_passes(1000) == 3 * 50 * 1000
    assert herding.preparation.image_passes(256 * 100) == 3 * 5 * 256 * 100
    assert METHODS.build("random").preparation is None
