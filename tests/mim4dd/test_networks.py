"""Stacked networks against plain torch, one network at a time; pinned counts and shapes."""

from __future__ import annotations

import pytest
import torch
from plain_convnet import PlainConvNet
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mim4dd.errors import KnobError
from mim4dd.networks import NETWORKS, ConvNet, Network
from mim4dd.networks.stacked import Params
from mim4dd.seeding import torch_generator

CPU = torch.device("cpu")


def made(network: Network, shape: tuple[int, int, int], groups: int = 1, classes: int = 10) -> Params:
    return network.initial(shape, classes, [torch_generator("test", g) for g in range(groups)], CPU)


def pictures(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize(
    ("norm", "activation", "pooling"),
    [("instance", "relu", "avg"), ("none", "leaky_relu", "max"), ("instance", "sigmoid", "max")],
)
@pytest.mark.parametrize(("channels", "size", "padding"), [(3, 16, 1), (1, 28, 3)])
@pytest.mark.parametrize("shared", [True, False])
def test_three_stacked_convnets_equal_three_plain_ones(
    norm: str, activation: str, pooling: str, channels: int, size: int, padding: int, shared: bool
) -> None:
    network = ConvNet(width=6, depth=2, norm=norm, activation=activation, pooling=pooling)
    params = {name: tensor.double() for name, tensor in made(network, (channels, size, size), 3).items()}
    params |= {n: t + 0.1 * pictures(*t.shape, dtype=torch.float64) for n, t in params.items() if "norm" in n}
    images = pictures(*([5] if shared else [3, 5]), channels, size, size, dtype=torch.float64).requires_grad_()
    features = network.features(params, images)
    logits = network.logits(params, features)
    side = (size + 2 * (padding - 1)) // 4
    expected = []
    for g in range(3):
        form = {"padding": padding, "norm": norm, "activation": activation, "pooling": pooling}
        plain = PlainConvNet(channels, 6, 2, side**2, 10, **form).take(params, g)
        seen = images if shared else images[g]
        expected.append(plain(seen))
        torch.testing.assert_close(logits[g], expected[g], rtol=1e-10, atol=1e-10)
        for block, maps in enumerate(plain.features(seen)):
            torch.testing.assert_close(features[block][g], maps, rtol=1e-10, atol=1e-10)
    ours, theirs = (torch.autograd.grad(scores.square().sum(), images)[0] for scores in (logits, torch.stack(expected)))
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


def test_convnet_3_has_the_parameters_of_the_literature() -> None:
    params = made(ConvNet(width=128, depth=3), (3, 32, 32))
    plain = PlainConvNet(3, 128, 3, 16, 10)
    assert sum(tensor.numel() for tensor in params.values()) == 320_010
    assert sum(tensor.numel() for tensor in plain.parameters()) == 320_010


def test_initial_weights_follow_torchs_rule() -> None:
    params, plain = made(ConvNet(width=64), (3, 32, 32), 2), PlainConvNet(3, 64, 3, 16, 10)
    for ours, theirs in (("conv1", plain.blocks[1][0]), ("head", plain.head)):
        for part in ("weight", "bias"):
            mine, his = params[f"{ours}.{part}"][0], getattr(theirs, part).detach()
            assert mine.shape == his.shape
            bound = theirs.weight[0].numel() ** -0.5
            assert max(mine.abs().max().item(), his.abs().max().item()) <= bound
            assert min(mine.abs().max().item(), his.abs().max().item()) > 0.6 * bound
        assert params[f"{ours}.weight"][0].std().item() == pytest.approx(theirs.weight.std().item(), rel=0.05)
    assert not torch.equal(params["conv0.weight"][0], params["conv0.weight"][1])


def test_a_network_is_the_same_whoever_stands_beside_it() -> None:
    network = ConvNet(width=8)
    many, alone = made(network, (1, 8, 8), 3), network.initial((1, 8, 8), 10, [torch_generator("test", 2)], CPU)
    assert all(torch.equal(many[name][2], alone[name][0]) for name in many)


def test_grey_28x28_is_padded_to_maps_of_16_8_4() -> None:
    network = ConvNet(width=4)
    assert network.block_shapes((1, 28, 28)) == [(4, 16, 16), (4, 8, 8), (4, 4, 4)]
    assert [s[1:] for s in network.block_shapes((3, 28, 28))] == [(14, 14), (7, 7), (3, 3)]


@pytest.mark.parametrize(("size", "depth"), [(8, 2), (16, 3), (28, 3), (32, 3), (64, 4)])
def test_depth_follows_the_image(size: int, depth: int) -> None:
    assert ConvNet().blocks(size) == depth


@pytest.mark.parametrize("name", NETWORKS.names())
@pytest.mark.parametrize("channels", [1, 3])
def test_block_shapes_are_the_real_ones(name: str, channels: int) -> None:
    network = NETWORKS.build(name, {"width": 2})
    for height in range(8, 65):
        for width in {height, 28, 33}:
            shape = (channels, height, width)
            features = network.features(made(network, shape, classes=2), pictures(1, *shape))
            assert [tuple(maps.shape[2:]) for maps in features] == network.block_shapes(shape), shape


@pytest.mark.parametrize("depth", [4, 5, 6])
def test_depth_that_leaves_no_pixel_is_refused(depth: int) -> None:
    with pytest.raises(KnobError, match=f"convnet.depth must leave a pixel: {depth} blocks halve 8"):
        made(ConvNet(depth=depth), (1, 8, 8))


@pytest.mark.parametrize("name", NETWORKS.names())
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 9, 11)])
def test_multiply_adds_are_what_torch_counts(name: str, shape: tuple[int, int, int]) -> None:
    network = NETWORKS.build(name, {"width": 8})
    params = made(network, shape)
    with FlopCounterMode(display=False) as counter:
        network.logits(params, network.features(params, pictures(1, *shape)))
    assert network.multiply_adds(shape, 10) == counter.get_total_flops() // 2 > 0


def test_multiply_adds_scale_with_width_and_pixels() -> None:
    shape = (3, 32, 32)
    small, wide = ConvNet(width=64).multiply_adds(shape, 10), ConvNet(width=128).multiply_adds(shape, 10)
    assert 3.5 < wide / small < 4
    assert ConvNet(depth=3).multiply_adds((3, 64, 64), 10) == pytest.approx(4 * wide, rel=0.01)
