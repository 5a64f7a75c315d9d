"""Gradient matching against plain torch: one class, one parameter, one row at a time."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from plain_convnet import PlainConvNet
from torch import Tensor

from mim4dd.matching import gradient_distance
from mim4dd.methods import DC, DSA, gradients
from mim4dd.methods.dc import LOOPS
from mim4dd.methods.gradients import Side, match_gradients
from mim4dd.networks import ConvNet
from mim4dd.networks.stacked import Params
from mim4dd.seeding import torch_generator

CLASSES, WIDTH = 3, 4


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network_and_plain() -> tuple[ConvNet, Params, PlainConvNet]:
    network = ConvNet(width=WIDTH)
    params = network.initial((1, 8, 8), CLASSES, [torch_generator("test")], torch.device("cpu"))
    params = {name: tensor.double() for name, tensor in params.items()}
    return network, params, PlainConvNet(1, WIDTH, 2, 4, CLASSES).double().take(params, 0)


def plain_distance(plain: PlainConvNet, real: Tensor, y_real: Tensor, synthetic: Tensor, y_synthetic: Tensor) -> Tensor:
    """The sum that DC minimises, as its paper writes it."""
    weights = [tensor for tensor in plain.parameters() if tensor.ndim > 1]
    total = torch.zeros((), dtype=torch.float64)
    for c in range(CLASSES):
        if not (y_real == c).any() or not (y_synthetic == c).any():
            continue
        real_loss = F.cross_entropy(plain(real[y_real == c]), y_real[y_real == c])
        loss = F.cross_entropy(plain(synthetic[y_synthetic == c]), y_synthetic[y_synthetic == c])
        wanted = torch.autograd.grad(real_loss, weights)
        found = torch.autograd.grad(loss, weights, create_graph=True)
        for ours, theirs in zip(found, wanted, strict=True):
            for row in range(len(ours)):
                a, b = ours[row].flatten(), theirs[row].flatten()
                total = total + 1 - (a @ b) / (a.norm() * b.norm() + 1e-6)
    return total


@pytest.mark.parametrize("largest", [8_000_000, 300, 1])
@pytest.mark.parametrize(
    ("real_counts", "counts"), [((5, 5, 5), (2, 2, 2)), ((5, 3, 0), (2, 1, 2)), ((4, 4, 4), (1, 0, 1))]
)
def test_distance_and_pixel_gradient_equal_a_loop_over_classes(
    real_counts: tuple[int, ...], counts: tuple[int, ...], largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Smaller maps than a class needs cut its real images into pieces.
    monkeypatch.setattr(gradients, "WITH_GRADIENTS", largest)
    network, params, plain = network_and_plain()
    y_real, y_synthetic = (torch.arange(CLASSES).repeat_interleave(torch.tensor(n)) for n in (real_counts, counts))
    real, pixels = drawn(len(y_real), 1, 8, 8), drawn(len(y_synthetic), 1, 8, 8, seed=1).requires_grad_()
    sides = Side(real, np.array(real_counts)), Side(pixels, np.array(counts))
    found = match_gradients(network, params, *sides, features=True)
    expected = plain_distance(plain, real, y_real, pixels, y_synthetic)
    assert found.distance.item() == pytest.approx(expected.item(), rel=1e-9)
    ours, theirs = (torch.autograd.grad(total, pixels, retain_graph=True)[0] for total in (found.distance, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-12)
    if min(*real_counts, *counts):  # a class without a counterpart is passed over, its features too
        for maps, images in ((found.real_features, real), (found.synthetic_features, pixels)):
            for block, plain_maps in zip(maps, plain.features(images), strict=True):
                torch.testing.assert_close(block, plain_maps)
        assert not any(maps.requires_grad for maps in found.real_features)


def test_a_set_is_at_no_distance_from_itself_and_twice_its_rows_from_its_opposite() -> None:
    gradient = drawn(2, 5, 7)
    same, opposite = (gradient_distance([(gradient, sign * gradient)]) for sign in (1, -1))
    torch.testing.assert_close(same, torch.zeros(2, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(opposite, torch.full((2,), 10.0, dtype=torch.float64), atol=1e-5, rtol=0)


def test_the_published_network_sums_3940_cosines() -> None:
    params = ConvNet().initial((3, 32, 32), 10, [torch_generator("test")], torch.device("cpu"))
    rows = sum(tensor.shape[1] for tensor in params.values() if tensor.ndim > 2)
    assert 10 * rows == 3940


@pytest.mark.parametrize(("ipc", "loops"), [*LOOPS.items(), (2, (1, 1)), (5, (10, 50)), (100, (50, 10))])
def test_loops_follow_ipc(ipc: int, loops: tuple[int, int]) -> None:
    assert DC().loops(ipc) == loops
    assert DC(outer=3, inner=7).loops(ipc) == (3, 7)


def test_dc_and_dsa_differ_in_two_defaults() -> None:
    dc, dsa = DC(), DSA()
    changed = {item.name for item in fields(dc) if getattr(dc, item.name) != getattr(dsa, item.name)}
    assert changed == {"init", "augment"}
