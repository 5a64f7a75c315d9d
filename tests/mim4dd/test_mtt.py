"""Trajectory matching against plain torch: experts, segments, the student's steps, and what an added term sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from plain_convnet import PlainConvNet

from mim4dd.data.augment import augment_images, draw_single
from mim4dd.errors import KnobError
from mim4dd.methods import MTT, Mim
from mim4dd.methods.loop import Distillation
from mim4dd.methods.mtt import SCHEDULES
from mim4dd.methods.task import DistillationTask, Preparation, Prepared, prepare_here
from mim4dd.networks import ConvNet
from mim4dd.records import Splits
from mim4dd.seeding import generator

NETWORK = ConvNet(width=4)
SMALL = MTT(iterations=3, experts=2, expert_epochs=3, steps=4, batch_real=4)


def task_of(digits: Splits, ipc: int = 2, **more: object) -> DistillationTask:
    return DistillationTask(digits.train, NETWORK, ipc, 0, torch.device("cpu"), **more)  # type: ignore[arg-type]


def test_experts_are_networks_trained_by_plain_sgd_with_a_snapshot_an_epoch(digits: Splits) -> None:
    method = MTT(experts=2, expert_epochs=2, augment="none", batch_expert=2000)
    task = task_of(digits)
    arrays = task.prepared(method.preparation).arrays
    images, labels = task.images, torch.tensor(digits.train.labels)
    for expert in range(2):
        for epoch in range(2):
            now = {name: torch.tensor(array[:, epoch]) for name, array in arrays.items()}
            plain = PlainConvNet(1, 4, 2, 4, 10).take(now, expert)
            F.cross_entropy(plain(images), labels).backward()
            for name, weight in (("conv0", plain.blocks[0][0]), ("head", plain.head)):
                stepped = weight.weight - 0.01 * weight.weight.grad
                after = torch.tensor(arrays[f"{name}.weight"][expert, epoch + 1])
                torch.testing.assert_close(stepped, after, rtol=1e-4, atol=1e-6)
    assert not np.array_equal(arrays["head.weight"][0, 0], arrays["head.weight"][1, 0])


def test_loss_and_pixel_gradient_equal_steps_written_out(digits: Splits) -> None:
    run = Distillation(task_of(digits), SMALL)
    (match,) = SMALL.update_steps(run.task, run.learnable, run.labels, 1)
    ours = match.terms["mtt"].loss
    pixels, rate = run.learnable["pixels"], run.learnable["rate"]
    arrays = run.task.prepared(SMALL.preparation).arrays
    rng = generator("expert", 0, 1)
    expert, start = int(rng.integers(2)), int(rng.integers(2))
    begin = {name: torch.tensor(array[expert, start]) for name, array in arrays.items()}
    target = {name: torch.tensor(array[expert, start + 2]) for name, array in arrays.items()}
    draws = generator("student", 0, 1)
    weights = {name: tensor.clone().requires_grad_() for name, tensor in begin.items()}
    for _ in range(4):
        rows = torch.tensor(draws.permutation(20)[::-1].copy())
        names = ("color", "crop", "cutout", "scale", "rotate")
        batch = augment_images(pixels[rows], draw_single(names, 20, draws), np.arange(20))
        for block in range(2):
            batch = F.conv2d(batch, weights[f"conv{block}.weight"], weights[f"conv{block}.bias"], padding=1)
            batch = F.instance_norm(batch, None, None, weights[f"norm{block}.weight"], weights[f"norm{block}.bias"])
            batch = F.avg_pool2d(batch.relu(), 2)
        logits = batch.flatten(1) @ weights["head.weight"].T + weights["head.bias"]
        loss = F.cross_entropy(logits, run.labels[rows])
        steps = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        weights = {name: w - rate * g for (name, w), g in zip(weights.items(), steps, strict=True)}
    apart = sum((weights[name] - target[name]).square().sum() for name in target)
    whole = sum((begin[name] - target[name]).square().sum() for name in target)
    expected = apart / whole
    assert ours.item() == pytest.approx(expected.item(), rel=1e-4)
    for leaf in (pixels, rate):
        (mine,), (his,) = (torch.autograd.grad(total, leaf, retain_graph=True) for total in (ours, expected))
        torch.testing.assert_close(mine, his, rtol=5e-3, atol=1e-7)


def test_a_student_of_no_learning_rate_stays_where_it_starts(digits: Splits) -> None:
    run = Distillation(task_of(digits), MTT(iterations=1, experts=1, expert_epochs=3, rate=1e-12, steps=2))
    run.advance(1)
    assert run.history[0]["loss/mtt"] == pytest.approx(1, abs=1e-4)
    assert run.history[0]["student_rate"] == pytest.approx(1e-12)


@pytest.mark.parametrize(("ipc", "listed"), [(1, 1), (2, 1), (10, 10), (5, 10), (50, 50), (100, 50)])
def test_schedule_follows_ipc_and_the_experts(ipc: int, listed: int) -> None:
    assert MTT().settings(ipc) == SCHEDULES[listed]
    short = MTT(expert_epochs=4, steps=7, lr=3.0).settings(ipc)
    assert (short.steps, short.lr, short.ahead) == (7, 3.0, 2)
    assert short.latest + short.ahead - 1 <= 4


def test_target_beyond_the_experts_is_refused() -> None:
    with pytest.raises(KnobError, match=r"mtt\.ahead must be at most mtt\.expert_epochs, got 5 and 4"):
        MTT(expert_epochs=4, ahead=5)


def test_experts_are_asked_for_once_and_may_come_from_elsewhere(digits: Splits) -> None:
    asked: list[Preparation] = []

    def elsewhere(preparation: Preparation, task: DistillationTask) -> Prepared:
        asked.append(preparation)
        return Prepared(prepare_here(preparation, task).arrays, 7.0)

    own, given = (Distillation(task, SMALL) for task in (task_of(digits), task_of(digits, prepare=elsewhere)))
    for run in (own, given):
        run.advance(3)
    assert torch.equal(own.learnable["pixels"], given.learnable["pixels"])
    assert asked == [SMALL.preparation]
    assert given.task.prepared_seconds == 7.0
    assert own.task.prepared_seconds > 0


@pytest.mark.parametrize("through", ["start", "end"])
def test_an_added_term_sees_both_sides_through_the_expert_or_through_its_end_and_the_students(
    through: str, digits: Splits
) -> None:
    base = MTT(iterations=2, experts=1, expert_epochs=2, steps=2, batch_real=4, through=through)
    run = Distillation(task_of(digits), Mim(base=base, embedding=8))
    (match,) = run.method.update_steps(run.task, run.learnable, run.labels, 0)
    assert not any(maps.requires_grad for maps in match.real_features)
    (gradient,) = torch.autograd.grad(match.terms["mim"].loss, run.learnable["pixels"], retain_graph=True)
    assert gradient.flatten(1).any(1).all()
    # The student's learning rate matters to the term only where its weights are those after the steps.
    (rate,) = torch.autograd.grad(match.terms["mim"].loss, run.learnable["rate"], allow_unused=True)
    assert (rate is not None and bool(rate != 0)) == (through == "end")
