"""Placebos of the MI term: a random direction of its length, labels at random, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from mim4dd.errors import KnobError
from mim4dd.methods import DC, DM, METHODS, Mim
from mim4dd.methods.loop import Distillation
from mim4dd.methods.mim import CRITICS, PLACEBOS
from mim4dd.registry import flatten
from mim4dd.seeding import torch_generator

Start = Callable[..., Distillation]
# Without momentum, a step of rate 1 is minus the gradient.
BASE = DM(iterations=4, batch_real=8, momentum=0.0, lr=1.0)
STRENGTHS = {"λ": {"weight": 8.0}, "ρ": {"weight": 2.0, "balance": "gradnorm"}}


def mim(**knobs: str | float | DM | DC) -> Mim:
    return Mim(embedding=16, **{"base": BASE, **knobs})  # type: ignore[arg-type]


def gradients(run: Distillation) -> tuple[torch.Tensor, torch.Tensor]:
    """The pixel gradients of base and term at the first update, before weighting."""
    (update,) = run.method.update_steps(run.task, run.learnable, run.labels, 0)
    one, other = (
        torch.autograd.grad(term.loss, run.learnable["pixels"], retain_graph=True)[0] for term in update.terms.values()
    )
    return one, other


def moved(run: Distillation, until: int = 1) -> torch.Tensor:
    """What an iteration takes from the pixels."""
    before = run.learnable["pixels"].detach().clone()
    run.advance(until)
    return before - run.learnable["pixels"].detach()


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()))


@pytest.mark.parametrize("strength", STRENGTHS.values(), ids=STRENGTHS)
def test_a_random_direction_is_as_long_as_the_terms_gradient(strength: dict[str, str | float], start: Start) -> None:
    run = start(mim(direction="random", **strength))
    of_base, of_term = gradients(run)
    weight = float(strength["weight"]) * (float(of_base.norm() / of_term.norm()) if "balance" in strength else 1)
    drawn = moved(run) - of_base
    assert float(drawn.norm()) == pytest.approx(weight * float(of_term.norm()), rel=1e-4)
    # 1,280 pixels: the cosine of independent directions has a standard deviation of 0.028.
    assert abs(cosine(drawn, of_term)) < 0.11
    assert abs(cosine(drawn, of_base)) < 0.11


def test_a_random_direction_is_that_of_its_names_and_of_no_other_update(start: Start) -> None:
    drawn = {}
    for seed in (0, 1):
        run = start(mim(direction="random", weight=100.0, base=replace(BASE, updates=2)), seed=seed)
        for iteration in (0, 1):
            for step, update in enumerate(run.method.update_steps(run.task, run.learnable, run.labels, iteration)):
                drawn[seed, iteration, step] = update.terms["mim"].stream
    assert len(set(drawn.values())) == 8
    again = start(mim(direction="random", weight=100.0))
    step = moved(again)
    assert torch.equal(moved(start(mim(direction="random", weight=100.0))), step)
    noise = torch.randn(step.shape, generator=torch_generator("random direction", 0, 0))
    assert cosine(step, noise) > 0.99
    # Its length is the term's, its direction is not: another critic draws the same.
    assert cosine(moved(start(mim(direction="random", weight=100.0, critic="infonce"))), noise) > 0.99


@pytest.mark.parametrize("critic", ["nce", "infonce", "triplet"])
def test_shuffled_labels_are_the_critic_on_permuted_labels(critic: str, start: Start) -> None:
    run = start(mim(pairs="shuffled", critic=critic, layers="last"))
    method = run.method
    assert isinstance(method, Mim)
    (update,) = method.update_steps(run.task, run.learnable, run.labels, 3)
    (block,) = method.embeddings(run.task, update, method.heads(run.task, run.learnable, 3))
    order = torch.randperm(len(update.y_real), generator=torch_generator("shuffled labels", 3, run.task.seed))
    assert not torch.equal(order, torch.arange(len(order)))
    expected, true = (
        CRITICS.get(critic)(block[1], update.y_synthetic, block[2], labels, method.temperature)
        for labels in (update.y_real[order], update.y_real)
    )
    assert torch.equal(update.terms["mim"].loss, expected)
    assert not torch.isclose(expected, true, rtol=1e-3)


def test_shuffled_labels_are_drawn_for_each_update_of_each_seed(start: Start) -> None:
    found: list[torch.Tensor] = []
    base = DC(iterations=2, outer=2, inner=1, batch_real=8)
    for seed in (0, 1):
        run = start(mim(pairs="shuffled", base=base), seed=seed)
        method = run.method
        assert isinstance(method, Mim)
        for iteration in (0, 1):
            for step, update in enumerate(method.update_steps(run.task, run.learnable, run.labels, iteration)):
                labels = method.real_labels(update, *((iteration, step) if step else (iteration,)), seed)
                assert torch.equal(labels.bincount(), update.y_real.bincount())  # as many of each class
                found.append(labels)
    assert len(found) == 8
    assert not [1 for k, one in enumerate(found) for other in found[:k] if torch.equal(one, other)]
    # Nothing of the class is left: the share of true labels is that of chance.
    true = torch.stack([(labels == update.y_real).double().mean() for labels in found]).mean()
    assert 0.05 < float(true) < 0.15


@pytest.mark.parametrize("pair", PLACEBOS)
def test_what_makes_a_placebo_makes_one_and_needs_the_term(pair: tuple[str, str]) -> None:
    name, value = pair
    assert METHODS.build("mim", {name: value}).placebo  # type: ignore[attr-defined]
    default = flatten(Mim(), "method").get(f"method.{name}", "class")
    with pytest.raises(KnobError, match=rf"mim\.{name} must be {default} where mim\.weight is 0, got {value}"):
        METHODS.build("mim", {name: value, "weight": 0})


def test_the_method_is_no_placebo_and_other_names_are_refused() -> None:
    assert not Mim().placebo
    assert not Mim(critic="infonce", balance="gradnorm").placebo
    for name, known in (("direction", "both, base, random"), ("pairs", "class, shuffled")):
        with pytest.raises(KnobError, match=rf"mim\.{name} must be one of {known}, got noise"):
            METHODS.build("mim", {name: "noise"})


def test_pairs_by_class_leave_no_trace_in_a_configuration() -> None:
    assert "method.pairs" not in flatten(Mim(), "method")
    shuffled = flatten(Mim(pairs="shuffled"), "method")
    assert shuffled["method.pairs"] == "shuffled"
    assert {key for key in shuffled if key not in flatten(Mim(), "method")} == {"method.pairs"}
