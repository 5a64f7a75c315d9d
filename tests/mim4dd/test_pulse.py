"""Long computations give signs of life from within: an epoch, an iteration, the classification of many images."""

from __future__ import annotations

import pytest
import torch

from mim4dd.data import load
from mim4dd.errors import KnobError
from mim4dd.methods import DC, DM, MTT, Mim
from mim4dd.methods.catalogue import Method
from mim4dd.methods.loop import Distillation
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import ConvNet
from mim4dd.networks.chunks import predict
from mim4dd.pulse import beat, heard_by
from mim4dd.train import Recipe, Streams, Training, fresh_networks

SMALL, CPU = ConvNet(width=8), torch.device("cpu")
TRAIN = load("digits").train


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def training() -> Training:
    streams = Streams.first("test", 0, 2)
    params = fresh_networks(SMALL, TRAIN.shape, 10, streams, CPU)
    recipe = Recipe(networks=2, epochs=1, batch=64, augment="none")
    return Training(SMALL, params, torch.tensor(TRAIN.images), torch.tensor(TRAIN.labels), recipe, streams, "digits")


def test_every_batch_of_an_epoch_gives_a_sign() -> None:
    with heard_by(heard := Counter()):
        training().advance(1)
    assert heard.count >= -(-len(TRAIN) // 64)


def test_every_piece_of_a_classification_gives_a_sign() -> None:
    network = ConvNet(width=128)
    params = network.initial((1, 32, 32), 10, [torch.Generator().manual_seed(k) for k in range(2)], CPU)
    with heard_by(heard := Counter()):
        predict(network, params, torch.zeros(200, 1, 32, 32))
    assert heard.count > 4, "two networks, in several pieces each"


@pytest.mark.parametrize(
    ("method", "least"),
    [
        (DM(iterations=1, batch_real=8, updates=3), 3),
        (DC(iterations=1, batch_real=8, outer=3, inner=2), 3 + 2 * 2),
        (MTT(iterations=1, experts=1, expert_epochs=2, steps=6), 6),
        (Mim(base=DM(iterations=1, batch_real=8, updates=3)), 3),
    ],
)
def test_an_iteration_gives_signs_from_within(method: Method, least: int) -> None:
    run = Distillation(DistillationTask(TRAIN, SMALL, 1, 0, CPU), method)
    if method.preparation is not None:
        run.task.prepared(method.preparation)
    with heard_by(heard := Counter()):
        run.advance(1)
    assert heard.count >= least


def beat_and_fail() -> None:
    beat()
    raise KnobError("lr must be above 0")


def test_signs_go_to_the_innermost_listener_and_to_none_outside() -> None:
    outer, inner = Counter(), Counter()
    with heard_by(outer):
        with pytest.raises(KnobError), heard_by(inner):
            beat_and_fail()
        beat()
    beat()
    assert (outer.count, inner.count) == (1, 1)
