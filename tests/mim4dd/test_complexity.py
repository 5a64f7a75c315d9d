"""Operations by hand, beside those that torch counts while an iteration, a preparation or an evaluation runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from counting import Counting
from torch import Tensor, nn

from mim4dd.complexity import (
    Operations,
    classification_operations,
    counted_flops,
    iteration_operations,
    layers_of,
    preparation_operations,
    training_operations,
)
from mim4dd.data.operations import SIAMESE
from mim4dd.methods import DC, DM, METHODS, Method
from mim4dd.methods.catalogue import least_prepared
from mim4dd.methods.loop import Distillation
from mim4dd.methods.mim import CRITICS
from mim4dd.methods.pixels import LearnedPixels
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import NETWORKS, ConvNet, Network, from_module
from mim4dd.networks.chunks import predict
from mim4dd.records import ImageData
from mim4dd.train import Recipe, Streams, Training, fresh_networks

CPU, CLASSES = torch.device("cpu"), 4
PLAIN: dict[str, Any] = {"batch_real": 8, "augment": "none", "iterations": 1000}
EXPERTS = {"experts": 1, "expert_epochs": 2, "steps": 3}
BASES: dict[str, tuple[str, dict[str, Any]]] = {
    "dm": ("dm", PLAIN),
    "dm, 3 updates": ("dm", {**PLAIN, "updates": 3}),
    "dc": ("dc", {**PLAIN, "outer": 1, "inner": 1}),
    "dc, 2 updates": ("dc", {**PLAIN, "outer": 2, "inner": 3}),
    "dsa": ("dsa", {**PLAIN, "outer": 1, "inner": 1}),
    "dsa, 2 updates": ("dsa", {**PLAIN, "outer": 2, "inner": 3, "batch_network": 3}),
    "mtt": ("mtt", {**PLAIN, **EXPERTS}),
    "mtt, 1 step of 2 images": ("mtt", {**PLAIN, **EXPERTS, "steps": 1, "batch_synthetic": 2}),
    "mtt through its end": ("mtt", {**PLAIN, **EXPERTS, "through": "end"}),
}
TERMS: dict[str, dict[str, Any]] = {
    "random": {},
    "random, gradnorm": {"balance": "gradnorm"},
    "random, last": {"layers": "last", "embedding": 16},
    "learned": {"head": "learned", "embedding": 16},
    "mlp, gradnorm": {"head": "mlp", "embedding": 16, "balance": "gradnorm"},
    "mlp, last": {"head": "mlp", "embedding": 16, "layers": "last"},
    "no head": {"embedding": 0},
    "no head, last": {"embedding": 0, "layers": "last"},
    "longer step": {"direction": "base", "embedding": 16},
    "random direction": {"direction": "random", "embedding": 16},
    "shuffled labels": {"pairs": "shuffled", "embedding": 16},
    "no weight": {"weight": 0},
}
SMALL = {"convnet": {"width": 8}, "mlp": {"width": 16}, "resnet18": {"width": 4}, "vit": {"width": 16, "depth": 2}}


def made(shape: tuple[int, int, int]) -> ImageData:
    labels = np.arange(CLASSES).repeat(20)
    images = np.random.default_rng(0).random((len(labels), *shape), dtype=np.float32)
    return ImageData(images, labels, np.arange(len(labels)), tuple("abcd"), "made")


def method_of(base: str, term: dict[str, Any] | None) -> Method:
    name, knobs = BASES[base]
    if term is None:
        return METHODS.build(name, knobs)
    return METHODS.build("mim", {"base": name, **{f"base.{key}": value for key, value in knobs.items()}, **term})


def counted(method: Method, network: Network, shape: tuple[int, int, int], ipc: int) -> int:
    """What torch counts in the second iteration, which is not reported."""
    task = DistillationTask(made(shape), network, ipc, 0, CPU)
    if method.preparation is not None:
        task.prepared(method.preparation)
    run = Distillation(task, method)
    run.iteration = 1
    return counted_flops(lambda: run.advance(2))


def told(method: Method, network: Network, shape: tuple[int, int, int], ipc: int) -> float:
    return iteration_operations(method, network, shape, CLASSES, ipc).flops


def surplus(base: str, term: dict[str, Any] | None, head: int, images: int) -> int:
    """What the formula counts too much: 0, but for a term that goes back through all steps of a student by itself.

    It sees no class scores, so the last step's weights of the head have no gradient to go back from, which the formula
    takes for two products as in every other step.
    """
    alone = term is not None and (term.get("balance") == "gradnorm" or "direction" in term)
    return 2 * 2 * head * images if base == "mtt through its end" and alone else 0


def hold(base: str, network: Network, shape: tuple[int, int, int], ipc: int, terms: Iterable[str]) -> None:
    head = layers_of(network, shape, CLASSES).head
    for name in ("alone", *terms):
        term = TERMS.get(name)
        method = method_of(base, term)
        more = surplus(base, term, head, CLASSES * ipc)
        assert told(method, network, shape, ipc) - more == counted(method, network, shape, ipc), name


@pytest.mark.parametrize("base", BASES)
def test_operations_of_an_iteration_are_what_torch_counts(base: str) -> None:
    hold(base, ConvNet(width=8), (1, 8, 8), 3, ("mlp, gradnorm", "no head, last"))


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES)
def test_operations_are_what_torch_counts_whatever_the_term(base: str) -> None:
    hold(base, ConvNet(width=8), (1, 8, 8), 1, TERMS)


@pytest.mark.slow
@pytest.mark.parametrize("ipc", [1, 3])
@pytest.mark.parametrize("network", ["convnet", "mlp"])
@pytest.mark.parametrize("base", BASES)
def test_operations_are_what_torch_counts_in_colour(base: str, network: str, ipc: int) -> None:
    hold(base, NETWORKS.build(network, SMALL[network]), (3, 16, 16), ipc, TERMS)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["resnet18", "vit", "lenet", "alexnet"])
@pytest.mark.parametrize("base", BASES)
def test_operations_are_what_torch_counts_in_other_networks(base: str, network: str) -> None:
    terms = ("mlp, gradnorm", "no head, last", "longer step")
    hold(base, NETWORKS.build(network, SMALL.get(network, {})), (3, 16, 16), 2, terms)


@pytest.mark.parametrize("network", ["mlp", "resnet18", "vit"])
@pytest.mark.parametrize("base", ["dm", "dc", "mtt"])
def test_operations_of_a_base_are_what_torch_counts_in_other_networks(base: str, network: str) -> None:
    method, chosen = method_of(base, None), NETWORKS.build(network, SMALL[network])
    assert told(method, chosen, (3, 16, 16), 1) == counted(method, chosen, (3, 16, 16), 1)


@pytest.mark.parametrize("base", ["dm", "dc, 2 updates", "mtt"])
def test_images_that_settle_batch_norms_are_counted(base: str) -> None:
    network, method = ConvNet(width=4, norm="batch"), method_of(base, {"embedding": 16})
    assert told(method, network, (3, 9, 11), 2) == counted(method, network, (3, 9, 11), 2)


@pytest.mark.parametrize("critic", CRITICS)
def test_every_critic_takes_the_same_products(critic: str) -> None:
    method = method_of("dm", {"critic": critic, "embedding": 16, "head": "learned"})
    assert told(method, ConvNet(width=4), (1, 8, 8), 2) == counted(method, ConvNet(width=4), (1, 8, 8), 2)


def test_parts_of_an_iteration_add_up() -> None:
    """Two classes of one 8x8 image and 3 real ones, one block of 4 maps of 4x4, embedding of 5."""
    base, network = DM(batch_real=3), ConvNet(width=4, depth=1)
    method = METHODS.build("mim", {"base": "dm", "base.batch_real": 3, "embedding": 5, "balance": "gradnorm"})
    alone, found = (iteration_operations(one, network, (1, 8, 8), 2, 1) for one in (base, method))
    forward, block = 64 * 9 * 4, 4 * 4 * 4
    assert alone == Operations(
        network=(6 + 2 + 2) * forward,
        matching=2 * (6 + 2 * 2) * block,
        steps=3,
        activations=10 * (64 * 4 + 2),
        drawn=4 * 9 + 4 + 8 + 2 * block + 2,
    )
    assert found == Operations(
        network=(6 + 2 + 2 + 2) * forward,
        heads=(6 + 2 + 2) * block * 5,
        critic=2 * 2 * 6 * 5,
        matching=alone.matching,
        steps=4,
        activations=12 * (64 * 4 + 2),
        drawn=alone.drawn + block * 5,
    )
    assert found.flops == 2 * (found.network + found.heads + found.critic + found.matching)


def test_heads_are_drawn_once_an_iteration_unless_they_are_learned() -> None:
    network, numbers = ConvNet(width=4), 4 * 4 * 4 + 4 * 2 * 2
    drawn = {}
    for head in ("random", "learned"):
        method = method_of("dc, 2 updates", {"head": head, "layers": "last", "embedding": 16})
        drawn[head] = iteration_operations(method, network, (1, 8, 8), CLASSES, 1).drawn
    assert drawn["random"] - drawn["learned"] == 16 * numbers
    assert drawn["learned"] == layers_of(network, (1, 8, 8), CLASSES).parameters
    assert iteration_operations(method_of("mtt", None), network, (1, 8, 8), CLASSES, 1).drawn == 0


@pytest.mark.parametrize("augment", ["rotate", SIAMESE])
def test_augmentation_adds_nothing_that_torch_counts(augment: str) -> None:
    method = METHODS.build("dm", {**PLAIN, "augment": augment})
    assert told(method, ConvNet(width=8), (3, 16, 16), 3) == counted(method, ConvNet(width=8), (3, 16, 16), 3)


@pytest.mark.parametrize("name", ["random", "full"])
def test_a_selection_takes_nothing(name: str) -> None:
    method = METHODS.build(name)
    assert iteration_operations(method, ConvNet(), (3, 32, 32), 10, 1) == Operations()
    assert preparation_operations(method, ConvNet(), (3, 32, 32), 10, 500) == Operations()


@dataclass(frozen=True, kw_only=True)
class Told(LearnedPixels):
    """A method that tells its image passes alone, as of a plug-in."""

    batch_real: int = 8

    def image_passes(self, classes: int, ipc: int, features: bool = False) -> float:
        return classes * (self.batch_real + 2.0 * ipc)


@dataclass(frozen=True, kw_only=True)
class TwiceDM(DM):
    """A subclass that tells its own image passes, of which the `work` of its base knows nothing."""

    def image_passes(self, classes: int, ipc: int, features: bool = False) -> float:
        return 2 * super().image_passes(classes, ipc, features)


def test_a_method_that_tells_its_image_passes_alone_is_counted_by_them() -> None:
    network = ConvNet(width=8)
    whole = network.multiply_adds((1, 8, 8), CLASSES)
    for method in (Told(), TwiceDM(batch_real=8)):
        found = iteration_operations(method, network, (1, 8, 8), CLASSES, 3)  # type: ignore[arg-type]
        assert found.network == method.image_passes(CLASSES, 3) * whole
        assert found.steps == 3
    wrapped = METHODS.build("mim", {"balance": "gradnorm"})
    object.__setattr__(wrapped, "base", Told())
    found = iteration_operations(wrapped, network, (1, 8, 8), CLASSES, 3)
    last = network.counted_layers((1, 8, 8), CLASSES).head
    assert found.network == CLASSES * (8 + 2 * 3) * whole + CLASSES * 3 * (whole - last)
    assert found.heads > 0 < found.critic
    assert wrapped.image_passes(CLASSES, 3) == CLASSES * (8 + 3 * 3)


def split(run: Callable[[], object], network: Counting) -> int:
    """How many passes of the network `run` launches."""
    network.met.clear()
    run()
    return len(network.met)


def test_steps_count_the_parts_of_passes_that_do_not_pass_at_once() -> None:
    shape, network = (1, 32, 32), Counting(width=16)
    layers = network.counted_layers(shape, CLASSES)
    # 91 images pass at once without gradients; 488 with gradients, so three classes of 150 images.
    for batch, of_dm, of_dc in ((20, 1, 1), (50, 3, 1), (150, 7, 2), (600, 27, 8)):
        dm, dc = DM(batch_real=batch), DC(batch_real=batch, outer=1)
        assert iteration_operations(dm, network, shape, CLASSES, 1).steps == of_dm + 2
        groups = CLASSES if batch > 488 else of_dc
        assert iteration_operations(dc, network, shape, CLASSES, 1).steps == 2 * of_dc + 3 * groups
    assert layers.largest == 16 * 32 * 32
    run = Distillation(DistillationTask(made(shape), network, 1, 0, CPU), DM(batch_real=50, augment="none"))
    assert split(lambda: run.advance(1), network) == 3 + 1
    run = Distillation(DistillationTask(made(shape), network, 1, 0, CPU), DC(batch_real=150, outer=1))
    assert split(lambda: run.advance(1), network) == 2 + 2


@pytest.mark.parametrize("name", ["mtt", "herding"])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_operations_of_a_preparation_are_what_torch_counts(name: str, norm: str) -> None:
    shape, network = (3, 16, 16), Counting(width=8, norm=norm)
    knobs = {"herding": {"epochs": 3}, "mtt": {"experts": 2, "expert_epochs": 2, "batch_expert": 32}}
    method, train = METHODS.build(name, knobs[name]), made(shape)
    preparation = method.preparation
    assert preparation is not None
    whole = preparation_operations(method, network, shape, CLASSES, len(train))
    task = DistillationTask(train, network, 1, 0, CPU)
    assert counted_flops(lambda: preparation.make(task)) == whole.flops
    settled = 1 if name == "herding" and norm == "batch" else 0
    assert split(lambda: preparation.make(task), network) == (whole.steps - settled) / 2 + settled
    least = least_prepared(method).preparation
    assert least is not None
    counted = counted_flops(lambda: least.make(task))
    if not settled:
        share = least.image_passes(len(train)) / preparation.image_passes(len(train))
        assert counted == share * whole.flops


@pytest.mark.parametrize("network", SMALL)
def test_operations_of_an_evaluation_are_what_torch_counts(network: str) -> None:
    shape, chosen = (3, 16, 16), NETWORKS.build(network, SMALL[network])
    recipe = Recipe(networks=3, epochs=2, batch=7, augment="none")
    data, streams = made(shape), Streams.first("test", 0, 3)
    images, labels = torch.from_numpy(data.images)[::8], torch.from_numpy(data.labels)[::8]
    params = fresh_networks(chosen, shape, CLASSES, streams, CPU)
    training = Training(chosen, params, images, labels, recipe, streams, "made")
    found = training_operations(recipe, chosen, shape, CLASSES, len(images))
    assert counted_flops(partial(training.advance, 2)) == found.flops
    assert found.drawn == sum(tensor.numel() for tensor in params.values())
    known = classification_operations(chosen, shape, CLASSES, 3, len(data))
    assert counted_flops(lambda: predict(chosen, params, torch.from_numpy(data.images))) == known.flops


def test_steps_of_an_evaluation_are_the_passes_that_are_launched() -> None:
    shape, network, data = (1, 32, 32), Counting(width=16), made((1, 32, 32))
    streams = Streams.first("test", 0, 3)
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    params = fresh_networks(network, shape, CLASSES, streams, CPU)
    for batch in (7, 30, 80):
        recipe = Recipe(networks=3, epochs=1, batch=batch, augment="none")
        training = Training(network, params, images, labels, recipe, streams, "made")
        found = training_operations(recipe, network, shape, CLASSES, len(data))
        assert split(partial(training.advance, 1), network) == found.steps / 2
    found = classification_operations(network, shape, CLASSES, 3, len(data))
    assert split(lambda: predict(network, params, images), network) == found.steps


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("kernel", [1, 3])
def test_the_counter_knows_grouped_convolutions(groups: int, kernel: int) -> None:
    """On paper: 5 images of 8x8, 2 to 4 channels in each group; a gradient costs as much as the convolution."""
    maps = drawn(5, groups * 2, 8, 8).requires_grad_()
    weight = drawn(groups * 4, 2, kernel, kernel).requires_grad_()
    one = 2 * 5 * groups * 2 * 4 * kernel**2 * 64
    out: dict[str, Any] = {}

    def gradient(of: str, *by: Tensor) -> Callable[[], None]:
        def work() -> None:
            out[of + "'"] = torch.autograd.grad(out[of].square().sum(), by, create_graph=True)

        return work

    convolve = partial(F.conv2d, maps, weight, padding=kernel // 2, groups=groups)
    assert counted_flops(lambda: out.update(y=convolve())) == one
    assert counted_flops(gradient("y", maps)) == one
    (out["x"],) = out["y'"]
    assert counted_flops(gradient("y", weight)) == one
    (out["w"],) = out["y'"]
    assert counted_flops(gradient("y", maps, weight)) == 2 * one
    # A product of the maps and of y's gradient: one towards each, and one from y's gradient back to the maps.
    assert counted_flops(gradient("w", maps)) == 3 * one
    # A product of the weights and of y's gradient: one towards y's gradient, one from there to the maps, and one
    # towards the weights, for which nobody asked.
    assert counted_flops(gradient("x", maps)) == 3 * one
    assert counted_flops(gradient("x", maps, weight)) == 4 * one


class Attention(nn.Module):
    """A convolution of patches, a transformer layer, class scores."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.head = nn.Linear(8, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(self.layer(self.patches(images).flatten(2).transpose(1, 2)).mean(1))
        return scores


def two_convolutions(num_classes: int) -> nn.Module:
    first, second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 64, num_classes))


@pytest.mark.parametrize(("factory", "block"), [(two_convolutions, "3"), (Attention, "layer")])
@pytest.mark.parametrize("base", ["dm", "dc", "mtt"])
def test_a_module_is_counted_by_its_passes(factory: Callable[..., nn.Module], block: str, base: str) -> None:
    """But that a gradient from the blocks, as DM's, counts the class scores after them too: here 2 % or less."""
    network, method = from_module(factory, blocks=block), method_of(base, None)
    counted(method, network, (1, 8, 8), 2)  # whether it passes under vmap is tried once
    found = counted(method, network, (1, 8, 8), 2)
    assert told(method, network, (1, 8, 8), 2) == pytest.approx(found, rel=0.02 if base == "dm" else 0, abs=0)


def test_dm_sums_the_class_scores_where_no_block_is_named() -> None:
    network, method = from_module(two_convolutions), method_of("dm", None)
    counted(method, network, (1, 8, 8), 2)
    assert told(method, network, (1, 8, 8), 2) == counted(method, network, (1, 8, 8), 2)
    of_scores, of_maps = (
        iteration_operations(method, one, (1, 8, 8), CLASSES, 2).matching
        for one in (network, from_module(two_convolutions, blocks="3"))
    )
    assert of_scores / CLASSES == of_maps / (8 * 64) > 0


@dataclass(frozen=True, kw_only=True)
class Bare:
    """A network of somebody's own that tells no more than `Network` asks for."""

    def __getattr__(self, name: str) -> Any:
        if name == "counted_layers":
            raise AttributeError(name)
        return getattr(ConvNet(width=8), name)


@pytest.mark.parametrize("base", ["dm", "dc", "mtt"])
def test_a_network_that_tells_its_multiply_adds_alone_is_counted_from_above(base: str) -> None:
    bare: Any = Bare()
    layers, known = layers_of(bare, (1, 8, 8), CLASSES), ConvNet(width=8).counted_layers((1, 8, 8), CLASSES)
    assert layers.multiply_adds == known.multiply_adds
    assert (layers.parameters, layers.largest) == (known.parameters, known.largest)
    assert 0 < layers.written <= known.written
    method = method_of(base, None)
    exact, above = (told(method, network, (1, 8, 8), 2) for network in (ConvNet(width=8), bare))
    assert exact < above < 1.3 * exact


def test_layers_hold_the_parameters_that_are_made() -> None:
    for name in NETWORKS.names():
        for norm in ("instance", "layer", "batch", "group", "none"):
            normed = name in ("convnet", "vgg11", "resnet18")
            if norm != "instance" and not normed:
                continue
            network = NETWORKS.build(name, {"norm": norm} if normed else {})
            made = network.initial((3, 32, 32), 7, [torch.Generator().manual_seed(0)], CPU)
            layers = layers_of(network, (3, 32, 32), 7)
            assert layers.parameters == sum(tensor.numel() for tensor in made.values())
            assert layers.settles == (norm == "batch")
            assert layers.written >= layers.largest > 0 or name == "mlp"
