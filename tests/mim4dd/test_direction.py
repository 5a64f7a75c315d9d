"""The base with steps as long as base and term make together: its gradient by hand, and what stays the base's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mim4dd.methods import DM, MTT, Mim
from mim4dd.methods.loop import Distillation

Start = Callable[..., Distillation]
# Without momentum, a step of rate 1 is minus the gradient.
STEP = {"iterations": 4, "batch_real": 8, "momentum": 0.0, "lr": 1.0}
BASES = {
    "dm": DM(**STEP),
    "mtt": MTT(**STEP, experts=1, expert_epochs=2, steps=2, lr_rate=1e-3),
    "mtt through its end": MTT(**STEP, experts=1, expert_epochs=2, steps=2, lr_rate=1e-3, through="end"),
}
STRENGTHS = {"λ": {"weight": 8.0}, "ρ": {"weight": 2.0, "balance": "gradnorm"}}


def mim(base: str, **knobs: str | float) -> Mim:
    return Mim(base=BASES[base], embedding=16, **{"direction": "base", **knobs})  # type: ignore[arg-type]


def moved(run: Distillation) -> dict[str, torch.Tensor]:
    """What one iteration takes from everything learnable."""
    before = {name: tensor.detach().clone() for name, tensor in run.learnable.items()}
    run.advance(1)
    return {name: before[name] - tensor.detach() for name, tensor in run.learnable.items()}


@pytest.mark.parametrize("strength", STRENGTHS.values(), ids=STRENGTHS)
@pytest.mark.parametrize("base", BASES)
def test_the_update_has_the_bases_direction_and_the_length_of_both(
    base: str, strength: dict[str, str | float], start: Start
) -> None:
    run = start(mim(base, **strength))
    (update,) = run.method.update_steps(run.task, run.learnable, run.labels, 0)
    of_base, of_term = (
        torch.autograd.grad(term.loss, run.learnable["pixels"], retain_graph=True)[0].double()
        for term in update.terms.values()
    )
    weight = float(strength["weight"])
    if "balance" in strength:
        weight *= (of_base.norm() / of_term.norm()).item()
    length = (of_base + weight * of_term).norm()
    step = moved(run)["pixels"].double()
    assert (step.norm() / length).item() == pytest.approx(1, rel=1e-4)
    torch.testing.assert_close(step / length, of_base / of_base.norm(), rtol=1e-3, atol=1e-5)
    # Longer than the base's own: otherwise the test would not see the scaling.
    assert length / of_base.norm() > 1.2


@pytest.mark.parametrize("strength", STRENGTHS.values(), ids=STRENGTHS)
def test_it_is_as_long_as_the_methods_own_update_at_the_same_state(
    strength: dict[str, str | float], start: Start
) -> None:
    one, other = (moved(start(mim("dm", direction=way, **strength)))["pixels"] for way in ("base", "both"))
    assert (one.norm() / other.norm()).item() == pytest.approx(1, rel=1e-5)
    assert not torch.allclose(one, other, rtol=0.1)


@pytest.mark.parametrize("way", ["base", "random"])
@pytest.mark.parametrize("strength", STRENGTHS.values(), ids=STRENGTHS)
def test_what_else_the_base_learns_keeps_the_bases_gradient(
    strength: dict[str, str | float], way: str, start: Start
) -> None:
    name = "mtt through its end"  # there the term has a gradient on the student's rate
    rates = {one: moved(start(mim(name, direction=one, **strength)))["rate"].item() for one in (way, "both")}
    alone = moved(start(BASES[name]))["rate"].item()
    assert rates[way] == pytest.approx(alone, rel=1e-5)
    assert rates["both"] != pytest.approx(alone, rel=1e-3)


@pytest.mark.parametrize("way", ["base", "random"])
@pytest.mark.parametrize("strength", STRENGTHS.values(), ids=STRENGTHS)
def test_heads_learn_as_with_the_term(strength: dict[str, str | float], way: str, start: Start) -> None:
    def gradients(direction: str) -> dict[str, torch.Tensor]:
        run = start(mim("dm", head="learned", direction=direction, **strength))
        run.advance(1)
        return {name: tensor.grad for name, tensor in run.learnable.items() if name.startswith("head")}

    one, other = gradients(way), gradients("both")
    assert sorted(one) == ["head0.0", "head1.0"]
    for name, gradient in one.items():
        assert gradient.any()
        torch.testing.assert_close(gradient, other[name], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("direction", ["both", "base", "random"])
def test_records_hold_the_ratio_and_the_weight_that_it_amounts_to(direction: str, start: Start) -> None:
    def history(**strength: str | float) -> list[dict[str, float]]:
        run = start(mim("dm", direction=direction, **strength))
        run.advance(4)
        assert len(run.history) == 4
        return run.history

    for record in history(**STRENGTHS["ρ"]):
        weight = 2 * record["gradient_norm/dm"] / record["gradient_norm/mim"]
        assert record["effective_weight/mim"] == pytest.approx(weight, rel=1e-6)
        assert record["gradient_ratio/mim"] == 2
    for record in history(**STRENGTHS["λ"]):
        ratio = 8 * record["gradient_norm/mim"] / record["gradient_norm/dm"]
        assert record["gradient_ratio/mim"] == pytest.approx(ratio, rel=1e-6)
        assert record["effective_weight/mim"] == 8
    alone = start(BASES["dm"])
    alone.advance(1)
    assert not [name for name in alone.history[0] if name.startswith(("gradient_ratio", "effective_weight"))]
