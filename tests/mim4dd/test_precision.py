"""Products in bfloat16: what is rounded, where, and that nothing is where nobody asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import mim4dd
from mim4dd.data import load
from mim4dd.errors import InputError, KnobError
from mim4dd.evaluation import class_scores, evaluate, train_on
from mim4dd.methods import DC, DM, DSA, MTT, Method, Mim
from mim4dd.methods.loop import Distillation, distill
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import MLP, ConvNet, Network
from mim4dd.networks.precision import BF16, FLOAT32, multiplies_bf16, multiplying, precision_now, product, slower_note
from mim4dd.registry import flatten
from mim4dd.train import Recipe

SMALL = ConvNet(width=8)
TRAIN = load("digits").train.take(np.arange(400))


def convolution(maps: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(maps, weight, padding=1)


@pytest.mark.parametrize(
    ("operation", "shapes"),
    [(convolution, ((3, 4, 6, 6), (5, 4, 3, 3))), (torch.matmul, ((2, 7, 33), (2, 33, 5)))],
)
def test_rounded_factors_give_what_torch_computes_with_bfloat16(
    operation: Callable[..., Tensor], shapes: tuple[tuple[int, ...], ...]
) -> None:
    stream = torch.Generator().manual_seed(0)
    drawn = [torch.randn(shape, generator=stream) for shape in shapes]
    ours = [factor.clone().requires_grad_() for factor in drawn]
    theirs = [factor.bfloat16().requires_grad_() for factor in drawn]
    with multiplying(BF16):
        found = product(operation, *ours)
    expected = operation(*theirs)
    assert found.dtype == torch.float32
    assert not torch.equal(found, operation(*drawn))
    # One unit in the last of 8 bits, for another order of the sums.
    torch.testing.assert_close(found, expected.float(), rtol=2**-7, atol=2**-7)
    assert (found == expected.float()).float().mean() > 0.95
    upstream = torch.randn(found.shape, generator=stream)
    found.backward(upstream)
    expected.backward(upstream.bfloat16())
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        # Where no instruction multiplies bfloat16, torch rounds between the sums too, in either gradient.
        assert (one.grad - other.grad.float()).norm() / one.grad.norm() < 2**-7
        assert torch.equal(one.grad, one.grad.bfloat16().float())


def test_it_ends_with_its_block_also_after_an_error() -> None:
    def fails() -> None:
        with multiplying(BF16):
            assert precision_now() == BF16
            raise RuntimeError

    assert precision_now() == FLOAT32
    with pytest.raises(RuntimeError):
        fails()
    assert precision_now() == FLOAT32


@pytest.mark.parametrize("network", [SMALL, MLP(width=16)])
def test_every_layer_of_a_network_is_rounded(network: Network) -> None:
    params = network.initial((1, 8, 8), 10, [torch.Generator().manual_seed(1)], torch.device("cpu"))
    images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    plain = network.features(params, images)
    with multiplying(BF16):
        rounded = network.features(params, images)
    for one, other in zip(plain, rounded, strict=True):
        assert 1e-4 < (one - other).norm() / one.norm() < 0.05


def gradient_of(method: Method) -> Tensor:
    """The pixels' gradient of the first iteration."""
    run = Distillation(DistillationTask(TRAIN, SMALL, 2, 0, torch.device("cpu")), method)
    (update,) = method.update_steps(run.task, run.learnable, run.labels, 0, features=True)
    loss = torch.stack([term.weight * term.loss for term in update.terms.values()]).sum()
    (gradient,) = torch.autograd.grad(loss, run.learnable["pixels"])
    return gradient


def rounded(method: Any) -> Method:
    """The method with the real side of it, or of its base, in bf16."""
    if isinstance(method, Mim):
        return dataclasses.replace(method, base=rounded(method.base))
    changed: Method = dataclasses.replace(method, precision=BF16)
    return changed


@pytest.mark.parametrize(
    "method",
    [
        DM(batch_real=16),
        DC(batch_real=16, outer=1, inner=1, init="real"),
        DSA(batch_real=16, outer=1, inner=1),
        Mim(base=DM(batch_real=16)),
    ],
)
def test_the_pixels_gradient_moves_a_little(method: Method) -> None:
    exact, found = gradient_of(method), gradient_of(rounded(method))
    assert 1e-4 < (found - exact).norm() / exact.norm() < 0.1


@pytest.mark.parametrize(("head", "equal"), [("random", False), ("learned", True)])
def test_random_heads_of_the_real_side_are_rounded_and_learned_ones_are_not(head: str, equal: bool) -> None:
    found = []
    for precision in (FLOAT32, BF16):
        method = Mim(base=DM(batch_real=16, precision=precision), head=head)
        run = Distillation(DistillationTask(TRAIN, SMALL, 1, 0, torch.device("cpu")), method)
        (update,) = method.base.update_steps(run.task, run.learnable, run.labels, 0, features=True)
        # The same features under both, so that only the heads can differ.
        stream = torch.Generator().manual_seed(3)
        update.real_features = [torch.randn(maps.shape, generator=stream) for maps in update.real_features]
        heads = method.heads(run.task, run.learnable, 0)
        found.append([z_T for _, _, z_T in method.embeddings(run.task, update, heads)])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True)) == equal


def test_an_evaluation_trains_in_float32_and_classifies_in_the_precision_of_its_recipe() -> None:
    synthetic = distill(TRAIN, method=DM(iterations=1, batch_real=4), network=SMALL)
    validation = load("digits").validation
    plain, half = Recipe(networks=2, epochs=3), Recipe(networks=2, epochs=3, precision=BF16)
    params, same = (train_on(synthetic, SMALL, recipe) for recipe in (plain, half))
    assert all(torch.equal(params[name], same[name]) for name in params)
    exact = class_scores(params, SMALL, synthetic, validation)
    with multiplying(BF16):
        found = class_scores(params, SMALL, synthetic, validation)
    assert 1e-4 < (found - exact).norm() / exact.norm() < 0.05
    score = evaluate(synthetic, validation, network=SMALL, recipe=half)
    np.testing.assert_array_equal(score.accuracy, (found.argmax(2).numpy() == validation.labels).mean(1))


def test_float32_is_left_out_of_records_and_bf16_is_not() -> None:
    assert "method.precision" not in flatten(DM(), "method")
    assert flatten(DM(precision=BF16), "method")["method.precision"] == BF16
    assert flatten(Recipe(precision=BF16), "evaluation")["evaluation.precision"] == BF16
    assert not hasattr(MTT(), "precision")  # its passes keep their graph
    with pytest.raises(KnobError, match="float32, bf16"):
        DM(precision="half")


def test_a_module_of_torch_says_that_it_cannot() -> None:
    network = mim4dd.from_module(
        lambda num_classes: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, num_classes)), blocks="0"
    )
    task = DistillationTask(TRAIN, network, 1, 0, torch.device("cpu"))
    method = DM(iterations=1, batch_real=4, precision=BF16)
    with pytest.raises(InputError, match="multiplies in float32 alone"):
        Distillation(task, method).advance(1)


def test_a_device_that_cannot_multiply_bfloat16_is_told() -> None:
    asked = {"method.base.precision": BF16, "evaluation.precision": FLOAT32, "seed": 0}
    assert slower_note({"evaluation.precision": FLOAT32}, "cpu") == ""
    note = slower_note(asked, "cpu")
    assert (note == "") == multiplies_bf16(torch.device("cpu"))
    if note:
        assert note.startswith("method.base.precision bf16: this processor cannot multiply bfloat16")
