"""The contract of every method with every network, on small digits problems; then what is particular to mim."""

from __future__ import annotations

import io
import itertools
import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from mim4dd.errors import DataError, InputError, KnobError
from mim4dd.methods import DM, METHODS, FullData, Method, Mim, RandomReal
from mim4dd.methods.loop import Distillation, distill
from mim4dd.methods.mim import CRITICS
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import NETWORKS, ConvNet, Network
from mim4dd.records import Splits, Synthetic
from mim4dd.registry import Flat, flatten, knobs, unflatten
from mim4dd.seeding import torch_generator

Start = Callable[..., Distillation]
# What a knob of this name is set to, wherever a component has one, so that a run takes a moment.
SMALL = {
    "max_steps": 20,
    "iterations": 6,
    "batch_real": 4,
    "width": 8,
    "embedding": 16,
    "upsample": True,
    "steps": 3,
    "experts": 2,
    "expert_epochs": 2,
}
PAIRS = list(itertools.product(METHODS.names(), NETWORKS.names()))
LEARNED = {
    "heads": {"head": "learned"},
    "mlp": {"head": "mlp"},
    "gradnorm": {"balance": "gradnorm"},
    "longer step": {"direction": "base"},
    "longer step, heads": {"direction": "base", "head": "learned", "balance": "gradnorm"},
    "random direction": {"direction": "random", "head": "learned"},
    "shuffled labels": {"pairs": "shuffled", "balance": "gradnorm"},
}
FAST = ("heads", "gradnorm", "random direction")


def small(component: type) -> Flat:
    return {name: SMALL[name.split(".")[-1]] for name in knobs(component) if name.split(".")[-1] in SMALL}


def method_of(name: str) -> Method:
    return METHODS.build(name, small(METHODS.get(name)))


def network_of(name: str) -> Network:
    return NETWORKS.build(name, small(NETWORKS.get(name)))


def mim(**given: str | int | float) -> Mim:
    """mim on a small dm."""
    return METHODS.build("mim", {**small(Mim), **given})  # type: ignore[return-value]


def finished(run: Distillation) -> Distillation:
    run.advance(run.method.iterations)
    return run


def pixels(run: Distillation) -> torch.Tensor:
    return run.learnable["pixels"].detach()


def reloaded(run: Distillation, fresh: Distillation) -> Distillation:
    held = io.BytesIO()
    torch.save(run.state_dict(), held)
    held.seek(0)
    fresh.load_state_dict(torch.load(held, weights_only=True))
    return fresh


# These have no width to make small: fewer iterations, fewer images.
HEAVY, LIGHT = ("alexnet", "vgg11"), ("convnet", "mlp")


# Steps that are differentiated twice through these take seconds.
DEEP = ("vit", "resnet18")


# Those that share their code with a method that is met by every network.
ALIKE = ("dsa", "herding", "k_center", "k_medoids")


def is_slow(method: str, network: str) -> bool:
    """Whether a contract waits for the slow tests."""
    if method in ("dc", "mtt", "mim") and network in DEEP:
        return True
    return (network in HEAVY and method != "random") or (network not in LIGHT and method in ALIKE)


def marks(method: str, network: str) -> list[pytest.MarkDecorator]:
    """Those of a contract; VGG-11's takes most of a minute."""
    if not is_slow(method, network):
        return []
    return [pytest.mark.slow, pytest.mark.long] if network == "vgg11" else [pytest.mark.slow]


CONTRACTS = [pytest.param(*pair, marks=marks(*pair)) for pair in PAIRS]


def pair_of(method: str, network: str) -> tuple[Method, Network]:
    """A method and a network for a contract: small ones."""
    found = small(METHODS.get(method))
    if network in HEAVY:
        found |= {key: 2 for key in found if key.endswith(("iterations", "batch_real"))}
    return METHODS.build(method, found), network_of(network)


@pytest.mark.parametrize(("method", "network"), CONTRACTS)
def test_contract_of_every_method_with_every_network(method: str, network: str, digits: Splits, start: Start) -> None:
    pair = pair_of(method, network)
    run, half, rest, other = (start(*pair, seed=seed, few=network not in LIGHT) for seed in (0, 0, 0, 1))
    found = finished(run).synthetic()
    assert run.finished
    assert run.diverged_at == -1
    assert found.images.shape == (len(found.labels), 1, 8, 8)
    assert found.images.dtype == np.float32
    assert np.isfinite(found.images).all()
    assert (found.classes, found.config["source"]) == (digits.classes, "digits")
    if method != "full":
        assert found.labels.tolist() == [c for c in range(10) for _ in range(2)]
    assert unflatten(METHODS, found.config, "method") == run.method
    assert unflatten(NETWORKS, found.config, "network") == run.task.network
    # The same seed in two pieces, by way of a checkpoint, gives the same bits; another seed does not.
    half.advance(run.method.iterations // 2)
    assert half.iteration == run.method.iterations // 2
    finished(reloaded(half, rest))
    assert torch.equal(pixels(rest), pixels(run))
    assert rest.history == run.history
    other.advance(1)
    if network in LIGHT:  # of three images a class, two seeds may choose the same
        assert torch.equal(pixels(run), pixels(other)) == (method == "full")


@pytest.mark.slow
def test_another_process_gives_the_same_bits(start: Start) -> None:
    code = """
import hashlib, torch
from mim4dd.data import load
from mim4dd.methods import METHODS
from mim4dd.methods.loop import distill
from mim4dd.networks import NETWORKS
from mim4dd.registry import unflatten
for flat in {flats}:
    method, network = unflatten(METHODS, flat, "method"), unflatten(NETWORKS, flat, "network")
    found = distill(load("digits").train, method=method, network=network, ipc=2)
    print(hashlib.sha256(found.images.tobytes()).hexdigest())
"""
    made = [pair_of(method, network) for method, network in PAIRS if network == "convnet"]
    flats = [{**flatten(method, "method"), **flatten(network, "network")} for method, network in made]
    words = [sys.executable, "-c", code.replace("{flats}", repr(flats))]
    there = subprocess.run(words, capture_output=True, text=True, check=True, timeout=100).stdout.split()
    from hashlib import sha256

    assert there == [sha256(finished(start(*pair)).synthetic().images.tobytes()).hexdigest() for pair in made]


MOVED = [{"optimizer": "adam", "lr": 0.05}, {"schedule": "cosine"}, {"optimizer": "adam", "schedule": "cosine"}]


@pytest.mark.parametrize("given", MOVED)
@pytest.mark.parametrize("wrapped", [False, True])
def test_pixels_moved_otherwise_resume_to_the_same_bits(given: Flat, wrapped: bool, start: Start) -> None:
    base = {**small(DM), **given}
    name, flat = ("mim", {f"base.{k}": v for k, v in base.items()}) if wrapped else ("dm", base)
    whole, half, rest = (start(METHODS.build(name, flat)) for _ in range(3))
    finished(whole)
    half.advance(3)
    finished(reloaded(half, rest))
    assert torch.equal(pixels(rest), pixels(whole))
    assert not torch.equal(pixels(whole), pixels(finished(start(METHODS.build("dm", small(DM))))))


def test_sgd_and_adam_move_pixels_by_their_written_rules_and_cosine_ends_near_rest(start: Start) -> None:
    def steps(**given: str | float) -> list[torch.Tensor]:
        run = start(DM(iterations=8, batch_real=4, **given))
        seen = [pixels(run).clone()]
        for k in range(8):
            run.advance(k + 1)
            seen.append(pixels(run).clone())
        return [after - before for before, after in itertools.pairwise(seen)]

    # Adam's first step has the size of the rate wherever there is a gradient.
    first = steps(optimizer="adam", lr=0.05)[0]
    assert first[first != 0].abs().mean().item() == pytest.approx(0.05, rel=1e-2)
    sizes = [step.norm().item() for step in steps(schedule="cosine", momentum=0.0, augment="none")]
    plain = [step.norm().item() for step in steps(momentum=0.0, augment="none")]
    assert sizes[0] == plain[0]
    assert sizes[-1] < 0.1 * plain[-1]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(v, id=k, marks=() if k in ("heads", "gradnorm", "random direction") else pytest.mark.slow)
        for k, v in LEARNED.items()
    ],
)
def test_mim_resumes_to_the_same_bits_off_the_report_grid(given: dict[str, str], start: Start) -> None:
    method = mim(**given, **{"base.iterations": 50})
    whole, half, rest = (start(method) for _ in range(3))
    half.advance(25)
    reloaded(half, rest)
    finished(rest), finished(whole)
    assert all(torch.equal(rest.learnable[name], tensor) for name, tensor in whole.learnable.items())
    assert rest.history == whole.history
    assert [record["iteration"] for record in whole.history] == [*range(0, 50, 2), 49]


@pytest.mark.parametrize("given", LEARNED.values(), ids=LEARNED)
def test_state_does_not_follow_the_run_that_it_was_taken_from(given: dict[str, str], start: Start) -> None:
    run, fresh = start(mim(**given)), start(mim(**given))
    run.advance(3)
    held = run.state_dict()
    finished(run)
    for _ in range(2):
        fresh.load_state_dict(held)
        finished(fresh)
        assert fresh.history == run.history
        assert all(torch.equal(fresh.learnable[name], tensor) for name, tensor in run.learnable.items())


def test_networks_and_real_batches_are_redrawn_by_seed_and_iteration(digits: Splits) -> None:
    one, other = (DistillationTask(digits.train, ConvNet(width=8), 1, seed, torch.device("cpu")) for seed in (0, 1))
    draws = [(one, 0), (one, 1), (other, 0)]
    assert len({p.fresh_network(k)["head.weight"].numpy().tobytes() for p, k in [*draws, (one, 0)]}) == 3
    assert len({p.real_batch(8, k)[0].numpy().tobytes() for p, k in [*draws, (one, 0)]}) == 3


@pytest.mark.parametrize("method", METHODS.names())
def test_set_is_saved_and_loaded(method: str, start: Start, tmp_path: object) -> None:
    from pathlib import Path

    made = finished(start(method_of(method))).synthetic()
    path = Path(str(tmp_path)) / "set.safetensors"
    made.save(path)
    found = Synthetic.load(path)
    np.testing.assert_array_equal(found.images, made.images)
    np.testing.assert_array_equal(found.labels, made.labels)
    assert (found.config, found.classes, found.protocol) == (made.config, made.classes, made.protocol)


@pytest.mark.parametrize("method", [name for name in METHODS.names() if method_of(name).iterations])
def test_method_changes_every_image_and_reports_its_losses(method: str, start: Start) -> None:
    run = start(method_of(method))
    before = pixels(run).clone()
    finished(run)
    assert (pixels(run) != before).flatten(1).any(1).all()
    assert [record["iteration"] for record in run.history] == list(range(6))
    for record in run.history:
        names = [name.partition("/")[2] for name in record if name.startswith("loss/")]
        assert names
        for name in names:
            assert math.isfinite(record[f"loss/{name}"])
            assert record[f"gradient_norm/{name}"] > 0


def test_a_seed_starts_all_methods_from_the_same_real_images(digits: Splits, start: Start) -> None:
    chosen = pixels(start(RandomReal(), seed=3))
    for method in (DM(), Mim()):
        assert torch.equal(pixels(start(method, seed=3)), chosen)
    found = start(RandomReal(), seed=3).synthetic()
    for image, label in zip(found.pixels, found.labels, strict=True):
        near = np.abs(digits.train.images - image).max((1, 2, 3)).argmin()
        np.testing.assert_allclose(digits.train.images[near], image, atol=1e-5)
        assert digits.train.labels[near] == label
    assert len({image.tobytes() for image in found.images}) == 20


def test_noise_starts_from_noise(start: Start) -> None:
    drawn = pixels(start(DM(init="noise"), ipc=10))
    assert abs(drawn.mean().item()) < 0.05
    assert drawn.std().item() == pytest.approx(1, abs=0.05)


def test_full_data_is_the_training_split(digits: Splits, start: Start) -> None:
    found = start(FullData()).synthetic()
    np.testing.assert_allclose(found.pixels, digits.train.images, atol=1e-6)
    np.testing.assert_array_equal(found.labels, digits.train.labels)


def test_digits_are_distilled_without_flips(start: Start) -> None:
    flipped, plain = (finished(start(DM(iterations=4, batch_real=8, augment=a))) for a in ("flip", "none"))
    augmented = finished(start(DM(iterations=4, batch_real=8, augment="crop")))
    assert torch.equal(pixels(flipped), pixels(plain))
    assert not torch.equal(pixels(augmented), pixels(plain))


def test_small_class_fills_the_real_batch(digits: Splits) -> None:
    task = DistillationTask(digits.train, ConvNet(width=8), 1, 0, torch.device("cpu"))
    images, labels = task.real_batch(150, 0)
    assert labels.bincount().tolist() == [150] * 10
    few, _ = task.real_batch(8, 0)
    assert len({image.numpy().tobytes() for image in few}) == 80
    assert len({image.numpy().tobytes() for image in images[labels == 8]}) <= digits.train.counts[8]


@pytest.mark.parametrize("method", METHODS.names())
def test_ipc_must_fit_the_smallest_class(method: str, digits: Splits) -> None:
    with pytest.raises(DataError, match="class '8' has 106, ipc is 107"):
        distill(digits.train, method=method_of(method), network=ConvNet(width=8), ipc=107, tail="error")
    for ipc in (0, -1):
        with pytest.raises(InputError, match=rf"ipc must be in \[1, 1000000\], got {ipc}"):
            distill(digits.train, method=method_of(method), network=ConvNet(width=8), ipc=ipc)


@pytest.mark.parametrize("base", [{}, {"init": "noise"}, {"momentum": 0.0, "augment": "none"}])
def test_mim_of_weight_0_is_its_base_bit_for_bit(base: dict[str, str | float], start: Start) -> None:
    alone = finished(start(METHODS.build("dm", {**small(DM), **base})))
    wrapped = finished(start(mim(weight=0, head="learned", **{f"base.{name}": value for name, value in base.items()})))
    assert torch.equal(pixels(wrapped), pixels(alone))
    assert wrapped.history == alone.history
    assert not torch.equal(pixels(finished(start(mim(weight=0.8)))), pixels(alone))


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("head", ["random", "learned", "mlp"])
@pytest.mark.parametrize("layers", ["all", "last"])
@pytest.mark.parametrize("embedding", [pytest.param(0, marks=pytest.mark.slow), 8])
@pytest.mark.parametrize("balance", ["none", "gradnorm"])
def test_every_combination_of_mim_runs(
    critic: str, head: str, layers: str, embedding: int, balance: str, start: Start
) -> None:
    method = mim(critic=critic, head=head, layers=layers, embedding=embedding, balance=balance)
    run = start(method)
    run.advance(2)
    assert run.diverged_at == -1
    assert torch.isfinite(pixels(run)).all()
    assert all(math.isfinite(value) for record in run.history for value in record.values())
    assert all(record["gradient_norm/mim"] > 0 for record in run.history)
    assert any(name.startswith("head") for name in run.learnable) == (head != "random" and embedding > 0)


@pytest.mark.parametrize("layer_decay", [0.5, 4.0])
def test_layers_enter_with_their_weights(layer_decay: float, start: Start) -> None:
    def first_loss(**given: str | float) -> float:
        run = start(mim(embedding=0, **given))
        run.advance(1)
        return run.history[0]["loss/mim"]

    last, both = first_loss(layers="last"), first_loss(layers="all", layer_decay=layer_decay)
    even = first_loss(layers="all", layer_decay=1.0)
    assert both == pytest.approx(last + (even - last) / layer_decay, rel=1e-5)


@pytest.mark.parametrize("weight", [0.5, 3.0])
@pytest.mark.parametrize("head", ["random", "learned"])
def test_gradnorm_makes_the_weight_a_ratio_of_gradient_norms(weight: float, head: str, start: Start) -> None:
    # one plain step of rate 1 is minus the gradient, so the term's share is what wrapping adds to the step
    knobs_ = {"base.momentum": 0.0, "base.lr": 1.0, "head": head}
    runs = [start(mim(weight=0, **knobs_)), start(mim(weight=weight, balance="gradnorm", **knobs_))]
    before = pixels(runs[0]).clone().double()
    for run in runs:
        run.advance(1)
    base = before - pixels(runs[0]).double()
    term = pixels(runs[0]).double() - pixels(runs[1]).double()
    assert (term.norm() / base.norm()).item() == pytest.approx(weight, rel=1e-4)


def test_gradnorm_scales_all_that_the_base_learns(start: Start) -> None:
    # Through the end of the trajectory the term reaches the student's rate too, which it must not move by itself.
    knobs_ = {"base": "mtt", "base.through": "end", "base.experts": 1, "base.expert_epochs": 2, "base.steps": 2}
    knobs_ |= {"base.iterations": 1, "base.batch_real": 8, "embedding": 8, "base.lr_rate": 1e-3}
    rates = []
    for weight in (0.0, 1e-9, 1.0):
        run = start(METHODS.build("mim", {**knobs_, "weight": weight, "balance": "gradnorm"}))
        run.advance(1)
        rates.append(run.learnable["rate"].item())
    assert rates[1] == pytest.approx(rates[0], rel=1e-5)
    assert rates[2] != pytest.approx(rates[0], rel=1e-5)


def test_term_without_balance_adds_weight_times_its_gradient(start: Start) -> None:
    plain, wrapped = (start(mim(weight=w, **{"base.momentum": 0.0, "base.lr": 1.0})) for w in (0, 0.8))
    for run in (plain, wrapped):
        run.advance(1)
    added = (pixels(plain).double() - pixels(wrapped).double()).norm().item()
    assert added == pytest.approx(0.8 * wrapped.history[0]["gradient_norm/mim"], rel=1e-3)


def test_learned_heads_change_and_are_checkpointed(start: Start) -> None:
    run, fresh = start(mim(head="mlp")), start(mim(head="mlp"))
    names = [name for name in run.learnable if name.startswith("head")]
    assert names == ["head0.0", "head0.1", "head1.0", "head1.1"]
    before = {name: run.learnable[name].detach().clone() for name in names}
    run.advance(3)
    held = run.state_dict()["learnable"]
    reloaded(run, fresh)
    for name in names:
        assert not torch.equal(run.learnable[name], before[name])
        assert torch.equal(held[name], run.learnable[name])
        assert torch.equal(fresh.learnable[name], run.learnable[name])
    other = finished(start(mim(head="random")))
    assert not torch.equal(pixels(other), pixels(finished(run)))


def test_term_reaches_the_synthetic_pixels_and_heads_only(start: Start) -> None:
    run = start(mim(head="learned"))
    (match,) = run.method.update_steps(run.task, run.learnable, run.labels, 0, True)
    fixed = [*match.params.values(), *match.real_features]
    assert not any(tensor.requires_grad for tensor in fixed)
    wanted = list(run.learnable.values())
    assert all(gradient.any() for gradient in torch.autograd.grad(match.terms["mim"].loss, wanted))


@pytest.mark.parametrize("base", ["mim", "random", "full"])
def test_mim_wraps_only_what_matches(base: str) -> None:
    with pytest.raises(
        KnobError, match=f"mim.base must be a method that matches real and synthetic images, got {base}"
    ):
        METHODS.build("mim", {"base": base})
    with pytest.raises(KnobError, match=r"mim\.base must be a method, got"):
        Mim(base=ConvNet())  # type: ignore[arg-type]


@pytest.mark.parametrize("wrapped", [False, True])
def test_run_that_diverges_says_so(wrapped: bool, digits: Splits, start: Start) -> None:
    # without a norm the distance grows with the square of the pixels, and so does the step
    network, base = ConvNet(width=8, norm="none"), DM(iterations=100, batch_real=8, lr=1e4)
    method: Method = Mim(base=base, embedding=16) if wrapped else base
    run = finished(start(method, network))
    assert 0 < run.diverged_at < run.iteration < 100
    assert run.finished
    assert run.diverged == f"the loss was not finite at iteration {run.diverged_at}"
    stopped = run.iteration
    run.advance(100)
    assert run.iteration == stopped
    resumed = reloaded(run, start(method, network))
    assert resumed.diverged_at == run.diverged_at
    with pytest.raises(FloatingPointError, match=f"diverged: .* at iteration {run.diverged_at}"):
        distill(digits.train, method=method, network=network, ipc=2)


def test_critic_shows_more_information_in_real_images_than_in_noise(digits: Splits, start: Start) -> None:
    run = start(RandomReal(), ipc=10)
    noise = torch.randn(pixels(run).shape, generator=torch_generator("test"))
    real, nothing = (
        Mim().critic_information(run.task, {}, images, run.labels, digits.validation) for images in (pixels(run), noise)
    )
    assert nothing < real < math.log(10)
    assert real > 0
