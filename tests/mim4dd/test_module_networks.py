"""Ordinary modules as networks: against plain torch, one by one and as one, with batch norms and dropout."""

from __future__ import annotations

import functools
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim4dd.errors import InputError, UnknownNameError
from mim4dd.evaluation import evaluate, train_on, training_on
from mim4dd.methods import DC, DM, MTT, Method, Mim, RandomReal
from mim4dd.methods.loop import Distillation, distill
from mim4dd.networks import NETWORKS, ConvNet, ModuleNetwork, Network, from_module
from mim4dd.networks.batchnorm import has_batch_norm, settle, unsettled
from mim4dd.networks.fitting import for_params
from mim4dd.networks.skeleton import MARK
from mim4dd.networks.stacked import Params
from mim4dd.records import Splits, Synthetic
from mim4dd.registry import flatten, knob
from mim4dd.seeding import torch_generator
from mim4dd.train import Recipe, Streams, Training, fresh_networks, train_networks

CPU, SHAPE = torch.device("cpu"), (1, 8, 8)


def mlp(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(inplace=True), nn.Linear(16, num_classes))


def conv(num_classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.0), nn.Linear(36, num_classes)
    )


def normed(num_classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, num_classes)
    )


def dropping(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.GELU(), nn.Dropout(0.5), nn.Linear(16, num_classes))


class Functional(nn.Module):
    """Dropout as a function, which no search for layers finds."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.dropout(images.flatten(1), 0.5, self.training))


class Branching(nn.Module):
    """Its path depends on numbers, which vmap cannot take."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        scores = self.head(images.flatten(1))
        return scores if scores.sum() > 0 else 2 * scores


class Tokens(nn.Module):
    """A small ViT, with a normalised input whose buffers and parameter bear the names of a batch norm's statistics."""

    def __init__(self, num_classes: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.norm = nn.Module()
        self.norm.mean = nn.Parameter(torch.randn(shape[0], 1, 1))
        self.norm.register_buffer("variance", torch.ones(()))
        self.patches = nn.Conv2d(shape[0], 8, 4, 4)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        images = (images - self.norm.mean) / self.norm.variance
        return self.head(self.encoder(self.patches(images).flatten(2).transpose(1, 2)).mean(1))


@pytest.fixture(scope="module")
def chosen(digits: Splits) -> Synthetic:
    return distill(digits.train, method=RandomReal(), network=from_module(mlp), ipc=2)


@pytest.fixture(autouse=True)
def global_generator_is_left_alone() -> Iterator[None]:
    torch.default_generator.manual_seed(3)
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())


def made(network: Network, groups: int = 3, shape: tuple[int, int, int] = SHAPE) -> Params:
    return network.initial(shape, 10, [torch_generator("test", g) for g in range(groups)], CPU)


def pictures(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def loaded(factory: Callable[..., nn.Module], params: Params, g: int) -> nn.Module:
    """The plain module with the weights of network g, in train mode."""
    with torch.random.fork_rng(devices=[]):
        module = factory(num_classes=10)
    module.load_state_dict({name: tensor[g] for name, tensor in unsettled(params).items()}, strict=False)
    return module


@pytest.mark.parametrize("factory", [mlp, conv, normed])
def test_training_equals_a_plain_loop(chosen: Synthetic, factory: Callable[..., nn.Module]) -> None:
    network, streams = from_module(factory), Streams.first("test", 0, 3)
    recipe = Recipe(networks=3, epochs=8, lr=0.05, augment="none")
    images, labels = torch.from_numpy(chosen.images), torch.from_numpy(chosen.labels)
    initial = fresh_networks(network, SHAPE, 10, streams, CPU)
    assert Training(network, initial, images, labels, recipe, streams, "digits").size == 3
    found = train_networks(network, initial, images, labels, recipe, streams, "digits")
    new = pictures(5, *SHAPE)
    for g in range(3):
        plain = loaded(factory, initial, g)
        optimizer = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
        for epoch in range(8):
            optimizer.param_groups[0]["lr"] = 0.05 if epoch < 4 else 0.005
            optimizer.zero_grad()
            F.cross_entropy(plain(images), labels).backward()
            optimizer.step()
        for name, tensor in plain.named_parameters():
            torch.testing.assert_close(found[name][g], tensor.detach(), rtol=0, atol=1e-5)
        for norm in (part for part in plain.modules() if isinstance(part, nn.BatchNorm2d)):
            maps = plain[0](images).detach()
            norm.running_mean, norm.running_var = maps.mean((0, 2, 3)), maps.var((0, 2, 3), correction=0)
        scores = network.logits(found, network.features(found, new))[g]
        torch.testing.assert_close(scores, plain.eval()(new).detach(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("factory", [mlp, conv, normed, Branching, Tokens])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("still", [True, False], ids=["settled", "in training"])
def test_many_networks_equal_one_by_one(factory: Callable[..., nn.Module], shared: bool, still: bool) -> None:
    network = from_module(factory)
    params = made(network)
    if still:
        params = settle(network, params, pictures(30, *SHAPE))
    params = {name: tensor.requires_grad_() for name, tensor in params.items()}
    images = pictures(*([6] if shared else [3, 6]), *SHAPE).requires_grad_()

    def twice(scores: Tensor, own: Params) -> list[Tensor]:
        """The gradient of the gradient's length."""
        inputs = [images, *(own[name] for name in own if "running" not in name and name != MARK)]
        first = torch.autograd.grad(scores.square().sum(), inputs, create_graph=True)
        return list(torch.autograd.grad(sum(one.square().sum() for one in first), inputs))

    together = network.logits(params, network.features(params, images))
    total = [torch.zeros_like(images)]
    for g in range(3):
        own = {name: tensor[g : g + 1].detach().requires_grad_() for name, tensor in params.items()}
        alone = network.logits(own, network.features(own, images if shared else images[g : g + 1]))
        torch.testing.assert_close(together[g], alone[0], rtol=1e-4, atol=1e-5)
        total[0] = total[0] + torch.autograd.grad(alone.square().sum(), images, retain_graph=True)[0]
        assert all(torch.isfinite(one).all() for one in twice(alone, own))
    torch.testing.assert_close(
        torch.autograd.grad(together.square().sum(), images, retain_graph=True)[0], total[0], rtol=1e-3, atol=1e-4
    )
    assert all(torch.isfinite(one).all() for one in twice(together, params))
    assert for_params(network, SHAPE, params).skeleton._vmapped[not still] is (factory is not Branching)


def test_each_network_depends_on_its_generator_alone() -> None:
    network = from_module(mlp)
    many, alone = made(network), network.initial(SHAPE, 10, [torch_generator("test", 2)], CPU)
    assert all(torch.equal(many[name][2], alone[name][0]) for name in many)
    assert not torch.equal(many["1.weight"][0], many["1.weight"][1])


def test_settled_batch_norms_give_the_batchs_own_outputs_and_no_longer_depend_on_it() -> None:
    network = from_module(normed)
    params, images = made(network, 2), pictures(6, *SHAPE)
    settled = settle(network, params, images)
    together = network.features(settled, images)[-1]
    torch.testing.assert_close(together, network.features(params, images)[-1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.features(settled, images[:2])[-1], together[:, :2], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network.features(params, images[:2])[-1], together[:, :2], rtol=1e-4, atol=1e-3)
    assert unsettled(settled).keys() == params.keys()
    assert has_batch_norm(network, SHAPE)
    assert not has_batch_norm(from_module(mlp), SHAPE)
    assert torch.equal(for_params(network, SHAPE, params).skeleton.state["1.running_mean"], torch.zeros(4))


@pytest.mark.parametrize("factory", [dropping, Functional])
def test_dropout_is_seeded_trains_one_by_one_and_is_off_in_evaluation(
    chosen: Synthetic, factory: Callable[..., nn.Module]
) -> None:
    network, recipe = from_module(factory), Recipe(networks=2, epochs=4, lr=0.05, augment="none", batch=8)
    first = training_on(chosen, network, recipe)
    assert len(first.groups) == 2
    first.advance(2)
    held = io.BytesIO()
    torch.save(first.state_dict(), held)
    held.seek(0)
    resumed = training_on(chosen, network, recipe)
    resumed.load_state_dict(torch.load(held, weights_only=True))
    resumed.advance(4)
    whole = train_on(chosen, network, recipe)
    assert all(torch.equal(resumed.params[name], whole[name]) for name in whole)
    alone = train_on(chosen, network, Recipe(networks=1, epochs=4, lr=0.05, augment="none", batch=8))
    assert all(torch.equal(alone[name][0], whole[name][0]) for name in whole)
    images = pictures(4, *SHAPE)
    assert torch.equal(network.features(whole, images)[0], network.features(whole, images)[0])
    with torch.random.fork_rng(devices=[]):
        training = unsettled(whole)
        assert not torch.equal(network.features(training, images)[0], network.features(training, images)[0])


@pytest.mark.slow
def test_torchvisions_resnet_scores_a_set_of_grey_digits_in_one_line(chosen: Synthetic, digits: Splits) -> None:
    from torchvision.models import resnet18

    network = from_module(resnet18, blocks=("layer1", "layer4"))
    score = evaluate(chosen, digits.validation, network=network, recipe=Recipe(networks=1, epochs=2))
    assert np.isfinite(score.accuracy).all()
    params = made(network, 1)
    assert sum(tensor.numel() for tensor in params.values()) == 11_181_642
    assert params["conv1.weight"].shape == (1, 64, 3, 7, 7)
    assert network.block_shapes(SHAPE) == [(64, 2, 2), (512, 1, 1)]
    assert network.largest_map(SHAPE) == 64 * 4 * 4
    settled = settle(network, params, pictures(16, *SHAPE))
    images = pictures(3, *SHAPE)
    three = images.expand(-1, 3, -1, -1)
    colour = network.features(settled, three)
    assert torch.equal(network.features(settled, images)[1], colour[1])
    assert flatten(network, "network") == {"network": "module:resnet18"}
    enlarged = from_module(resnet18, blocks=["layer4"], size=64)
    assert enlarged.block_shapes(SHAPE) == [(512, 2, 2)]
    assert flatten(enlarged, "network") == {"network": "module:resnet18", "network.size": 64}


def test_measures_are_those_of_the_module() -> None:
    network = from_module(conv, blocks=("1", "2"))
    assert network.block_shapes(SHAPE) == [(4, 6, 6), (4, 3, 3)]
    assert network.largest_map(SHAPE) == 4 * 6 * 6
    assert network.multiply_adds(SHAPE, 10) == 36 * 4 * 9 + 36 * 10


def test_tokens_keep_all_numbers_and_parameters_may_be_called_mean() -> None:
    network = from_module(Tokens, blocks=("encoder", "patches"))
    params = made(network, 2)
    assert network.block_shapes(SHAPE) == [(8, 4, 1), (8, 2, 2)]
    settled = settle(network, params, pictures(4, *SHAPE))
    assert unsettled(settled).keys() == params.keys()
    assert params["norm.mean."].shape == (2, 1, 1, 1)
    images = pictures(4, *SHAPE)
    plain = loaded(functools.partial(Tokens, shape=SHAPE), {}, 0)
    plain.load_state_dict({name.rstrip("."): tensor[1] for name, tensor in params.items()}, strict=False)
    kept = []
    plain.encoder.register_forward_hook(lambda part, given, output: kept.append(output))
    scores, features = plain(images), network.features(settled, images)
    torch.testing.assert_close(network.logits(settled, features)[1], scores.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features[0][1], kept[0].detach().transpose(1, 2)[..., None], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("factory", "blocks"), [(normed, ("2", "3")), (Tokens, ("encoder",)), (Branching, ()), (dropping, ("2",))]
)
@pytest.mark.parametrize(
    "method",
    [DM(iterations=2), DC(iterations=1, outer=2, inner=1), MTT(experts=1, expert_epochs=2, iterations=2, steps=2)],
    ids=["dm", "dc", "mtt"],
)
def test_methods_distil(
    start: Callable[..., Distillation], method: Method, factory: Callable[..., nn.Module], blocks: tuple[str, ...]
) -> None:
    network = from_module(factory, blocks=blocks)
    wrapped = [Mim(base=method)] if blocks else []
    for one in (method, *wrapped):
        runs = [start(one, network, few=True) for _ in range(2)]
        begin = runs[0].learnable["pixels"].detach().clone()
        for run in runs:
            run.advance(5)
            assert not run.diverged
        ours, again = (run.learnable["pixels"].detach() for run in runs)
        assert torch.equal(ours, again)
        assert not torch.equal(ours, begin)
        assert runs[0].synthetic().config["network"] == network.name


def test_gradients_are_matched_through_the_batch_norms_of_a_network_of_our_own(
    start: Callable[..., Distillation],
) -> None:
    run = start(DC(iterations=1, outer=2, inner=1), ConvNet(width=4, norm="batch"), few=True)
    run.advance(1)
    assert not run.diverged


@pytest.mark.slow
def test_a_fresh_process_classifies_from_arrays_alone(tmp_path: Path) -> None:
    network = from_module(normed)
    settled = settle(network, made(network), pictures(9, *SHAPE))
    images = pictures(4, *SHAPE)
    np.savez(tmp_path / "params.npz", **{name: tensor.numpy() for name, tensor in sorted(settled.items())})
    np.save(tmp_path / "images.npy", images.numpy())
    code = (
        "import sys; sys.path[:0] = ['tests/mim4dd']\n"
        "import numpy, torch, mim4dd; from test_module_networks import normed\n"
        "network, folder = mim4dd.from_module(normed), sys.argv[1]\n"
        "params = {k: torch.tensor(v) for k, v in numpy.load(folder + '/params.npz').items()}\n"
        "images = torch.tensor(numpy.load(folder + '/images.npy'))\n"
        "numpy.save(folder + '/scores.npy', network.logits(params, network.features(params, images)))\n"
    )
    root = Path(__file__).resolve().parents[2]
    words = [sys.executable, "-c", code, str(tmp_path)]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=root, timeout=100, env={"PYTHONPATH": str(root)})
    assert ran.returncode == 0, ran.stderr
    expected = network.logits(settled, network.features(settled, images))
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected.numpy(), rtol=1e-5, atol=1e-6)


def wide(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, num_classes))


class Raising(nn.Module):
    """Ends its pass with an error of its own."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        raise ValueError("told.\nMore of it.")


class Stateful(nn.Module):
    """Counts its passes."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(64, num_classes)
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        return self.head(images.flatten(1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: made(from_module(conv, blocks=("6",))), "unknown block of module:conv '6'"),
        (lambda: from_module(nn.Flatten()), "from_module must get what builds a module, .* a Flatten that is built"),
        (lambda: from_module(lambda classes: mlp(classes)), "of module:lambda must take num_classes, it takes classes"),
        (lambda: made(from_module(lambda num_classes: mlp(7))), "module:lambda must give 10 class scores, got 7"),
        (lambda: made(from_module(lambda num_classes: "net")), r"must build a torch\.nn\.Module, got str"),
        (lambda: made(from_module(lambda num_classes: nn.Conv2d(1, 2, 3))), r"must return class scores \[B, C\], got"),
        (lambda: made(from_module(lambda num_classes: nn.LazyLinear(2))), "the lazy parameter 'weight'"),
        (lambda: made(from_module(mlp), shape=(1, 9, 9)), r"must take images of \[1, 9, 9\], got 'mat1"),
        (lambda: made(from_module(Raising)), r"'told\.' \(test_module_networks\.py, line \d+\); if they are too small"),
        (lambda: made(from_module(Stateful)), "must not change its buffer 'passes' in a pass"),
        (lambda: from_module(mlp).block_shapes(SHAPE), "must name `blocks` before its class scores"),
        (
            lambda: from_module(mlp).features(made(from_module(wide)), pictures(2, *SHAPE)),
            r"must be those of module:mlp for images of \[1, 8, 8\]: 1\.weight must be \[16, 64\], got \[32, 64\]",
        ),
        (lambda: from_module(mlp).logits({}, [pictures(1, 2, 3, 1, 1)]), "the list that its features returned"),
    ],
)
def test_what_cannot_be_a_network_is_refused_in_one_line(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_wrong_block_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="unknown block of module:Tokens 'encode'; did you mean 'encoder'"):
        made(from_module(Tokens, blocks=("encode",)))


def test_a_network_is_registered_in_a_few_lines() -> None:
    try:

        @NETWORKS.add("own_mlp")
        @dataclass(frozen=True, kw_only=True)
        class OwnMLP(ModuleNetwork):
            """A hidden layer."""

            width: int = knob(8, low=1, high=64, help="of the hidden layer")
            blocks: ClassVar = ("2",)

            def module(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
                pixels = shape[0] * shape[1] * shape[2]
                hidden = nn.Linear(pixels, self.width)
                return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), nn.Linear(self.width, classes))

        network = NETWORKS.build("own_mlp", {"width": "12"})
        assert flatten(network, "network") == {"network": "own_mlp", "network.width": 12}
        assert network.block_shapes(SHAPE) == [(12, 1, 1)]
        assert network.features(made(network), pictures(2, *SHAPE))[0].shape == (3, 2, 12, 1, 1)
    finally:
        NETWORKS._classes.pop("own_mlp", None)


def test_a_network_without_a_module_is_not_registered() -> None:
    with pytest.raises(TypeError, match="network 'mine' lacks module"):

        @NETWORKS.add("mine")
        @dataclass(frozen=True, kw_only=True)
        class Mine(ModuleNetwork):
            """Nothing."""
