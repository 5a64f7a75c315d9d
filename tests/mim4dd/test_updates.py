"""Several image updates for each network and real batch of DM, against the steps written out."""

from __future__ import annotations

import torch
from counting import Counting

from mim4dd.data import load
from mim4dd.matching import mean_distance
from mim4dd.methods import DM, Mim
from mim4dd.methods.loop import Distillation
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import ConvNet

MODEST = {"batch_real": 8, "augment": "none", "lr": 0.5}


def task_of(network: ConvNet) -> DistillationTask:
    return DistillationTask(load("digits").train, network, 1, 0, torch.device("cpu"))


def test_updates_are_steps_towards_one_real_side() -> None:
    task = task_of(ConvNet(width=8))
    run = Distillation(task, DM(iterations=2, updates=3, **MODEST))
    run.advance(2)
    pixels, labels = task.take(task.random_rows()).clone().requires_grad_(), task.labels()
    optimizer = torch.optim.SGD([pixels], lr=0.5, momentum=0.5)
    for iteration in range(2):
        params, (real, y_real) = task.fresh_network(iteration), task.real_batch(8, iteration)
        for _ in range(3):
            sides = [task.network.features(params, x)[-1][0].flatten(1) for x in (real, pixels)]
            optimizer.zero_grad()
            mean_distance(sides[0].detach(), y_real, sides[1], labels, 10).backward()
            optimizer.step()
    assert torch.allclose(run.learnable["pixels"], pixels, atol=1e-6)


def test_the_real_side_is_computed_once_with_the_term_too() -> None:
    for method in (DM(iterations=1, updates=4, **MODEST), Mim(base=DM(iterations=1, updates=4, **MODEST))):
        network = Counting(width=8)
        run = Distillation(task_of(network), method)
        network.met.clear()
        run.advance(1)
        assert sorted(network.met) == [10, 10, 10, 10, 80]
