"""What a method says of its passes, beside the passes that it makes."""

from __future__ import annotations

import pytest
import torch
from counting import Counting

from mim4dd.data import load
from mim4dd.methods import METHODS
from mim4dd.methods.catalogue import least_prepared
from mim4dd.methods.task import DistillationTask
from mim4dd.methods.work import work_of

SMALL = {
    "dm": {"batch_real": 7},
    "dc": {"batch_real": 7, "outer": 1},
    "dsa": {"batch_real": 7, "outer": 2, "inner": 3},
    "mtt": {"batch_real": 7, "experts": 1, "expert_epochs": 2, "steps": 4},
}
FORWARD = ("blocks", "scores")


def told(base: str, ipc: int, features: bool) -> int:
    """Image passes of an iteration: a gradient costs 1 of the pixels, 2 of the weights, 5 or 6 of a gradient's."""
    return {
        "dm": 10 * (7 + 2 * ipc),
        "dc": 10 * (3 * 7 + 8 * ipc),
        "dsa": 10 * (2 * (3 * 7 + 8 * ipc) + 3 * 3 * ipc),
        "mtt": 10 * ((4 * 9 - 1) * ipc + (7 + 2 * ipc if features else 0)),
    }[base]


@pytest.mark.parametrize("base", SMALL)
@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("ipc", [1, 2])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_forward_passes_are_those_of_an_iteration(base: str, features: bool, ipc: int, norm: str) -> None:
    """`work` says how many images pass forward, in how many passes; its gradients are held by test_complexity."""
    network = Counting(width=4, norm=norm)
    task = DistillationTask(load("digits").train, network, ipc, 0, torch.device("cpu"))
    method = METHODS.build(base, SMALL[base])
    pixels, labels = method.initial(task)
    learnable = {"pixels": pixels.requires_grad_(), **method.learnable(task)}
    if method.preparation is not None:
        task.prepared(method.preparation)
    network.met.clear()
    for match in method.update_steps(task, learnable, labels, 0, features):
        sum(term.loss for term in match.terms.values()).backward()  # type: ignore[union-attr]
    layers = network.counted_layers(task.train.shape, 10)
    passes = [one for one in work_of(method, 10, ipc, features, layers=layers).passes if one.kind in FORWARD]
    assert sum(one.images for one in passes) == sum(network.met)
    assert sum(one.launches for one in passes) == len(network.met)
    assert method.image_passes(10, ipc, features) == told(base, ipc, features)


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


def test_the_least_preparation_shows_the_cost_of_the_whole() -> None:
    """One expert of as many epochs as a segment spans; a coreset's network of one epoch; nothing of others changes."""
    mtt, herding = METHODS.build("mtt", {"experts": 3, "expert_epochs": 5}), METHODS.build("herding")
    for method, epochs in ((mtt, 2), (herding, 1)):
        least = least_prepared(method)
        assert least.preparation is not None
        assert least.preparation.image_passes(1000) == 3 * epochs * 1000
        assert least_prepared(least) == least
    wrapped = METHODS.build("mim", {"base": "mtt", "base.experts": 3, "base.expert_epochs": 5})
    assert least_prepared(wrapped).preparation == least_prepared(mtt).preparation
    assert least_prepared(METHODS.build("dm")) == METHODS.build("dm")
