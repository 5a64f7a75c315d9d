"""Stacked networks against plain torch, one network at a time; pinned counts and shapes."""

from __future__ import annotations

import math

import pytest
import torch
from plain_convnet import PlainConvNet
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mim4dd.errors import InputError, KnobError
from mim4dd.networks import NETWORKS, ConvNet, Network, ResNet18, ViT
from mim4dd.networks.batchnorm import settle, unsettled
from mim4dd.networks.classic import Stack
from mim4dd.networks.stacked import Params, pool
from mim4dd.registry import knobs
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


def small(name: str) -> Network:
    """A network of this kind that takes every image and no time."""
    known = knobs(NETWORKS.get(name))
    return NETWORKS.build(name, {key: value for key, value in {"width": 8, "upsample": True}.items() if key in known})


SHAPES = [(1, 8, 8), (3, 9, 11), (1, 16, 16), (1, 28, 28), (3, 32, 32), (3, 32, 40), (3, 64, 64)]


@pytest.mark.parametrize("name", NETWORKS.names())
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_largest_map_are_the_real_ones(name: str, shape: tuple[int, int, int]) -> None:
    network = small(name)
    params = made(network, shape, 2, classes=3)
    features = network.features(params, pictures(4, *shape))
    assert [tuple(maps.shape) for maps in features] == [(2, 4, *block) for block in network.block_shapes(shape)]
    assert network.logits(params, features).shape == (2, 4, 3)
    assert network.largest_map(shape) >= max(maps[0, 0].numel() for maps in features)


@pytest.mark.parametrize(("name", "least"), [("lenet", 12), ("alexnet", 8), ("vgg11", 28), ("resnet18", 16)])
@pytest.mark.parametrize("size", [4, 8, 11, 12, 27, 28])
def test_an_image_that_is_too_small_is_refused_or_enlarged(name: str, least: int, size: int) -> None:
    shape, network = (1, size, size), NETWORKS.build(name)
    if size >= least:
        assert network.block_shapes(shape)
        return
    with pytest.raises(InputError, match=f"{name} needs images of at least {least}x{least}, got {size}x{size}"):
        made(network, shape)
    enlarged = NETWORKS.build(name, {"upsample": True})
    assert enlarged.block_shapes(shape) == network.block_shapes((1, least, least))


@pytest.mark.parametrize(
    ("name", "grey", "colour"),
    [
        ("mlp", 118_282, 411_146),
        ("lenet", 61_706, 62_006),
        ("alexnet", 1_865_802, 1_872_202),
        ("vgg11", 9_229_962, 9_231_114),
        ("resnet18", 11_172_810, 11_173_962),
        ("convnet", 317_706, 320_010),
    ],
)
def test_networks_have_the_parameters_of_the_literature(name: str, grey: int, colour: int) -> None:
    network = NETWORKS.build(name)
    for shape, count in (((1, 28, 28), grey), ((3, 32, 32), colour)):
        assert sum(tensor.numel() for tensor in made(network, shape).values()) == count


def plain_stack(network: Stack, shape: tuple[int, int, int], params: Params) -> nn.Sequential:
    """A classic network as torch modules, with the weights of network 0 of the stack."""
    layers: list[nn.Module] = []
    channels, weighted = shape[0], []
    for k, conv in enumerate(network.convolutions(shape)):
        layers.append(nn.Conv2d(channels, conv.width, conv.kernel, padding=conv.padding))
        weighted.append((f"conv{k}", layers[-1]))
        if network.norm != "none":
            layers.append(nn.InstanceNorm2d(conv.width, affine=True))
            weighted.append((f"norm{k}", layers[-1]))
        layers += [nn.ReLU()] + ([nn.MaxPool2d(2)] if conv.pool else [])
        channels = conv.width
    layers.append(nn.Flatten())
    blocks = network.block_shapes(shape)
    features = math.prod(blocks[len(blocks) - len(network.hidden) - 1])
    for k, width in enumerate(network.hidden):
        layers += [nn.Linear(features, width), nn.ReLU()]
        weighted.append((f"fc{k}", layers[-2]))
        features = width
    layers.append(nn.Linear(features, 10))
    weighted.append(("head", layers[-1]))
    plain = nn.Sequential(*layers).double()
    for name, layer in weighted:
        layer.weight.data, layer.bias.data = params[f"{name}.weight"][0].clone(), params[f"{name}.bias"][0].clone()
    return plain


@pytest.mark.parametrize("name", ["lenet", "alexnet", "vgg11"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_classic_networks_equal_torchs_layers(name: str, shape: tuple[int, int, int]) -> None:
    network = NETWORKS.build(name)
    assert isinstance(network, Stack)
    params = {key: tensor.double() for key, tensor in made(network, shape, 2).items()}
    images = pictures(3, *shape, dtype=torch.float64)
    logits = network.logits(params, network.features(params, images))
    torch.testing.assert_close(logits[0], plain_stack(network, shape, params)(images), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(logits[0], logits[1])


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("shape", [(1, 32, 32), pytest.param((3, 64, 64), marks=pytest.mark.slow)])
def test_resnet_equals_torchvisions(norm: str, shape: tuple[int, int, int]) -> None:
    from torchvision.models import resnet18

    def layer(channels: int) -> nn.Module:
        return nn.InstanceNorm2d(channels, affine=True) if norm == "instance" else nn.BatchNorm2d(channels)

    network = ResNet18(norm=norm)
    params = {key: tensor.double() for key, tensor in made(network, shape, 2).items()}
    plain = resnet18(num_classes=10, norm_layer=layer)
    plain.conv1, plain.maxpool = nn.Conv2d(shape[0], 64, 3, padding=1, bias=False), nn.Identity()
    places = {"stem": (plain.conv1, plain.bn1), "head": (plain.fc,)}
    for stage in range(4):
        for k, block in enumerate(getattr(plain, f"layer{stage + 1}")):
            unit = f"unit{stage}{k}"
            places |= {f"{unit}a": (block.conv1, block.bn1), f"{unit}b": (block.conv2, block.bn2)}
            if block.downsample is not None:
                places[f"{unit}c"] = tuple(block.downsample)
    plain = plain.double()
    for name, layers in places.items():
        for suffix, one in zip(("", "_norm"), layers, strict=False):
            one.weight.data = params[f"{name}{suffix}.weight"][0].clone()
            if one.bias is not None:
                one.bias.data = params[f"{name}{suffix}.bias"][0].clone()
    images = pictures(3, *shape, dtype=torch.float64)
    logits = network.logits(params, network.features(params, images))
    torch.testing.assert_close(logits[0], plain(images), rtol=1e-8, atol=1e-8)


def test_vit_equals_torchs_encoder_layers() -> None:
    network = ViT(width=16, depth=2, heads=2)
    shape = (3, 16, 16)
    params = {key: tensor.double() for key, tensor in made(network, shape, 2).items()}
    images = pictures(3, *shape, dtype=torch.float64)
    own = {key: tensor[1] for key, tensor in params.items()}
    patches = nn.functional.conv2d(images, own["patches.weight"], own["patches.bias"], stride=2)
    tokens = patches.flatten(2).transpose(1, 2) + own["positions.weight"]
    for k in range(2):
        layer = nn.TransformerEncoderLayer(
            16, 2, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
        )
        names = {
            "self_attn.in_proj_": f"attention{k}",
            "self_attn.out_proj.": f"joined{k}",
            "linear1.": f"wide{k}",
            "linear2.": f"narrow{k}",
            "norm1.": f"attention_norm{k}",
            "norm2.": f"mlp_norm{k}",
        }
        parts = ("weight", "bias")
        layer.load_state_dict({f"{his}{part}": own[f"{mine}.{part}"] for his, mine in names.items() for part in parts})
        tokens = layer(tokens)
    tokens = nn.functional.layer_norm(tokens, (16,), own["last_norm.weight"], own["last_norm.bias"])
    expected = tokens.mean(1) @ own["head.weight"].T + own["head.bias"]
    logits = network.logits(params, network.features(params, images))
    torch.testing.assert_close(logits[1], expected, rtol=1e-9, atol=1e-9)


NORMS = [("layer", nn.LayerNorm, ((8, 8, 8),)), ("group", nn.GroupNorm, (4, 8)), ("batch", nn.BatchNorm2d, (8,))]


@pytest.mark.parametrize(("norm", "module", "given"), NORMS)
def test_norms_are_torchs(norm: str, module: type[nn.Module], given: tuple[object, ...]) -> None:
    network, shape = ConvNet(width=8, depth=1, norm=norm), (3, 8, 8)
    params = {key: tensor.double() for key, tensor in made(network, shape, 2).items()}
    params |= {key: t + pictures(*t.shape, dtype=torch.float64) for key, t in params.items() if "norm" in key}
    images = pictures(5, *shape, dtype=torch.float64)
    for g in range(2):
        plain = module(*given).double()
        plain.weight.data, plain.bias.data = params["norm0.weight"][g], params["norm0.bias"][g]
        maps = nn.functional.conv2d(images, params["conv0.weight"][g], params["conv0.bias"][g], padding=1)
        expected = nn.functional.avg_pool2d(plain(maps).relu(), 2)
        torch.testing.assert_close(network.features(params, images)[0][g], expected, rtol=1e-9, atol=1e-9)


def test_width_of_a_group_norm_is_a_multiple_of_4() -> None:
    with pytest.raises(KnobError, match=r"convnet\.width must be a multiple of 4 for norm=group, got 6"):
        ConvNet(width=6, norm="group")


@pytest.mark.parametrize("name", ["convnet", "vgg11", "resnet18"])
def test_settled_batch_norms_give_the_batch_s_own_outputs_and_no_longer_depend_on_it(name: str) -> None:
    network, shape = NETWORKS.build(name, {"norm": "batch"}), (3, 32, 32)
    params = {key: tensor.double() for key, tensor in made(network, shape, 2).items()}
    images = pictures(6, *shape, dtype=torch.float64)
    settled = settle(network, params, images)
    together = network.features(settled, images)[-1]
    torch.testing.assert_close(together, network.features(params, images)[-1], rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(network.features(settled, images[:2])[-1], together[:, :2], rtol=1e-8, atol=1e-8)
    assert unsettled(settled).keys() == params.keys()
    assert settle(ConvNet(), params, images) is params


@pytest.mark.parametrize("depth", [4, 5, 6])
def test_depth_that_leaves_no_pixel_is_refused(depth: int) -> None:
    with pytest.raises(KnobError, match=f"convnet.depth must leave a pixel: {depth} blocks halve 8"):
        made(ConvNet(depth=depth), (1, 8, 8))


@pytest.mark.parametrize("name", NETWORKS.names())
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 9, 11)])
def test_multiply_adds_are_what_torch_counts(name: str, shape: tuple[int, int, int]) -> None:
    network = small(name)
    params = made(network, shape)
    with FlopCounterMode(display=False) as counter:
        network.logits(params, network.features(params, pictures(1, *shape)))
    assert network.multiply_adds(shape, 10) == counter.get_total_flops() // 2 > 0


def test_multiply_adds_scale_with_width_and_pixels() -> None:
    shape = (3, 32, 32)
    small, wide = ConvNet(width=64).multiply_adds(shape, 10), ConvNet(width=128).multiply_adds(shape, 10)
    assert 3.5 < wide / small < 4
    assert ConvNet(depth=3).multiply_adds((3, 64, 64), 10) == pytest.approx(4 * wide, rel=0.01)


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 2, 7, 9), (4, 6, 5)])
def test_average_pooling_and_its_gradients_are_right(shape: tuple[int, ...]) -> None:
    maps = torch.randn(shape, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.avg_pool2d(maps, 2)
    assert torch.allclose(pool(maps, "avg"), expected)
    assert torch.autograd.gradcheck(lambda x: pool(x, "avg"), maps)
    assert torch.autograd.gradgradcheck(lambda x: pool(x, "avg") ** 2, maps)
