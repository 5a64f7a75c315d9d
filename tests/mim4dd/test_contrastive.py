"""The critics against loops over pairs, their known limits, and the bound."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mim4dd import contrastive
from mim4dd.contrastive import (
    donsker_varadhan_nats,
    infonce,
    layer_weights,
    nce,
    nce_negatives,
    nce_positives,
    nce_raw,
    supcon,
    triplet,
)
from mim4dd.errors import InputError
from mim4dd.methods.mim import CRITICS

PRECISIONS = [(torch.float32, 2e-5), (torch.float64, 1e-12)]
# Unbalanced on both sides; class 3 has no real image, so its anchor has no positive.
Y_S = torch.tensor([0, 0, 1, 2, 3])
Y_T = torch.tensor([0, 1, 1, 1, 2, 2, 0, 0, 0])


def unit(rows: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    drawn = torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(drawn, dim=1).to(dtype)


def similarities(z_S: Tensor, z_T: Tensor, tau: float) -> list[list[float]]:
    return [[float(a @ b) / tau for b in z_T] for a in z_S]


def usable(y_S: Tensor, y_T: Tensor) -> list[int]:
    return [i for i, a in enumerate(y_S) if any(a == b for b in y_T) and any(a != b for b in y_T)]


def loop_summands(
    z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float, z_normaliser: Tensor | None = None
) -> tuple[float, float]:
    """What nce attracts with, and what it repels with.

    z_normaliser: the embeddings whose scores give the normaliser, which no gradient sees."""
    s, anchors = similarities(z_S, z_T, tau), usable(y_S, y_T)
    fixed = s if z_normaliser is None else similarities(z_normaliser, z_T, tau)
    pairs = [(i, j) for i in anchors for j in range(len(y_T))]
    normaliser = sum(math.exp(fixed[i][j]) for i, j in pairs) / len(pairs)
    positives = [(i, j) for i, j in pairs if y_S[i] == y_T[j]]
    negatives = [(i, j) for i, j in pairs if y_S[i] != y_T[j]]
    n = len(negatives) / len(positives)
    r = {(i, j): math.exp(s[i][j]) / normaliser for i, j in pairs}
    pull = sum(-math.log(r[p] / (r[p] + n)) for p in positives) / len(positives)
    push = sum(-math.log(n / (r[p] + n)) for p in negatives) / len(negatives)
    return pull, n * push


def loop_nce(
    z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float, z_normaliser: Tensor | None = None
) -> float:
    return sum(loop_summands(z_S, y_S, z_T, y_T, tau, z_normaliser))


def loop_infonce(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> float:
    s, losses = similarities(z_S, z_T, tau), []
    for i in usable(y_S, y_T):
        against = sum(math.exp(s[i][j]) for j in range(len(y_T)) if y_S[i] != y_T[j])
        own = [j for j in range(len(y_T)) if y_S[i] == y_T[j]]
        losses.append(sum(-math.log(math.exp(s[i][j]) / (math.exp(s[i][j]) + against)) for j in own) / len(own))
    return sum(losses) / len(losses)


def loop_nce_raw(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> float:
    s, pairs = similarities(z_S, z_T, tau), [(i, j) for i in usable(y_S, y_T) for j in range(len(y_T))]
    positives = [(i, j) for i, j in pairs if y_S[i] == y_T[j]]
    negatives = [(i, j) for i, j in pairs if y_S[i] != y_T[j]]
    n = len(negatives) / len(positives)
    h = {(i, j): math.exp(s[i][j]) / (math.exp(s[i][j]) + n / len(y_T)) for i, j in pairs}
    pull = sum(-math.log(h[p]) for p in positives) / len(positives)
    # 1 - h loses its digits near 1.
    push = sum(math.log1p(math.exp(s[i][j]) * len(y_T) / n) for i, j in negatives) / len(negatives)
    return pull + n * push


def loop_supcon(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> float:
    s, losses = similarities(z_S, z_T, tau), []
    for i in usable(y_S, y_T):
        every = sum(math.exp(s[i][j]) for j in range(len(y_T)))
        own = [j for j in range(len(y_T)) if y_S[i] == y_T[j]]
        losses.append(sum(-math.log(math.exp(s[i][j]) / every) for j in own) / len(own))
    return sum(losses) / len(losses)


def loop_triplet(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> float:
    s, losses = similarities(z_S, z_T, tau), []
    for i in usable(y_S, y_T):
        own, others = ([j for j in range(len(y_T)) if (y_S[i] == y_T[j]) == same] for same in (True, False))
        every = [math.log1p(math.exp(s[i][n] - s[i][p])) for p in own for n in others]
        losses.append(sum(every) / len(every))
    return sum(losses) / len(losses)


LOOPS: dict[str, Callable[..., float]] = {
    "nce": loop_nce,
    "nce_positives": lambda *given: loop_summands(*given)[0],
    "nce_negatives": lambda *given: loop_summands(*given)[1],
    "nce_raw": loop_nce_raw,
    "infonce": loop_infonce,
    "supcon": loop_supcon,
    "triplet": loop_triplet,
}


def test_method_offers_every_critic() -> None:
    assert set(CRITICS) == set(LOOPS)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("tau", [0.07, 0.5, 10.0])
@pytest.mark.parametrize("name", sorted(CRITICS))
def test_critic_equals_a_loop_over_pairs(name: str, tau: float, dtype: torch.dtype, tolerance: float) -> None:
    z_S, z_T = unit(5, dtype), unit(9, dtype, seed=1)
    found = CRITICS.get(name)(z_S, Y_S, z_T, Y_T, tau)
    assert found.dtype == dtype
    assert float(found) == pytest.approx(LOOPS[name](z_S.double(), Y_S, z_T.double(), Y_T, tau), rel=tolerance)


def test_nce_starts_near_log_of_1_plus_n_plus_1() -> None:
    classes, y = 10, torch.arange(10).repeat(3)
    z, n = torch.ones(30, 4, dtype=torch.float64) / 2, classes - 1
    found = float(nce(z, y, z, y, 0.1))
    assert found == pytest.approx(math.log(1 + n) + n * math.log(1 + 1 / n), rel=1e-12)
    assert found == pytest.approx(math.log(1 + n) + 1, abs=0.06)


@pytest.mark.parametrize(("summand", "same"), [(nce_positives, True), (nce_negatives, False)])
def test_a_summand_of_nce_pulls_or_pushes_at_one_kind_of_pairs(summand: Callable[..., Tensor], same: bool) -> None:
    y_S, y_T = torch.tensor([0, 0]), torch.tensor([0, 1, 1, 0, 2])
    z_S, z_T = unit(2).requires_grad_(), unit(5, seed=1).requires_grad_()
    of_synthetic, of_real = torch.autograd.grad(summand(z_S, y_S, z_T, y_T, 0.5), (z_S, z_T))
    assert of_real.any(1).tolist() == ((y_T == 0) == same).tolist()
    # Positives attract, negatives repel: along each of them the loss falls.
    own = z_T.detach()[(y_T == 0) == same].mean(0)
    assert ((of_synthetic @ own) * (-1 if same else 1) > 0).all()
    whole = torch.autograd.grad(nce(z_S, y_S, z_T, y_T, 0.5), z_S)[0]
    other = nce_negatives if same else nce_positives
    rest = torch.autograd.grad(other(z_S, y_S, z_T, y_T, 0.5), z_S)[0]
    torch.testing.assert_close(whole, of_synthetic + rest)


def test_infonce_of_equal_similarities_is_a_log_count() -> None:
    z = torch.ones(5, 4, dtype=torch.float64) / 2
    y_S, y_T = torch.tensor([0, 1]), torch.tensor([0, 0, 1, 1, 1])
    assert float(infonce(z[:2], y_S, z, y_T, 0.1)) == pytest.approx((math.log(1 + 3) + math.log(1 + 2)) / 2, rel=1e-12)


@pytest.mark.parametrize("name", sorted(CRITICS))
def test_loss_falls_towards_0_for_a_perfect_critic(name: str) -> None:
    y, z = torch.arange(4), torch.eye(4, dtype=torch.float64)
    losses = [float(CRITICS.get(name)(z, y, z, y, tau)) for tau in (1.0, 0.3, 0.1)]
    assert losses == sorted(losses, reverse=True)
    assert float(infonce(z, y, z, y, 0.02)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("critic", [nce, triplet])
def test_loss_means_the_same_at_every_batch_size(critic: Callable[..., Tensor]) -> None:
    z_S, z_T = unit(5), unit(9, seed=1)
    doubled = critic(z_S, Y_S, z_T.repeat(2, 1), Y_T.repeat(2), 0.1)
    assert float(doubled) == pytest.approx(float(critic(z_S, Y_S, z_T, Y_T, 0.1)), rel=1e-12)


def test_supcon_of_one_positive_is_infonce_and_of_equal_similarities_the_log_of_all() -> None:
    y, z_S, z_T = torch.arange(4), unit(4), unit(4, seed=1)
    assert float(supcon(z_S, y, z_T, y, 0.1)) == pytest.approx(float(infonce(z_S, y, z_T, y, 0.1)), rel=1e-12)
    equal = torch.ones(9, 4, dtype=torch.float64) / 2
    assert float(supcon(equal[:5], Y_S, equal, Y_T, 0.1)) == pytest.approx(math.log(9), rel=1e-12)
    assert float(triplet(equal[:5], Y_S, equal, Y_T, 0.1)) == pytest.approx(math.log(2), rel=1e-12)


def test_triplet_tends_to_the_margin_of_0_as_it_hardens() -> None:
    z_S, z_T = unit(5), unit(9, seed=1)
    hard = []
    for i in usable(Y_S, Y_T):
        cosines = (z_T @ z_S[i]).tolist()
        own, others = (
            [c for c, y in zip(cosines, Y_T, strict=True) if (y == Y_S[i]) == same] for same in (True, False)
        )
        hard.append(sum(max(0.0, n - p) for p in own for n in others) / len(own) / len(others))
    assert 1e-4 * float(triplet(z_S, Y_S, z_T, Y_T, 1e-4)) == pytest.approx(sum(hard) / len(hard), rel=1e-3)


def test_triplets_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    z_S, z_T = unit(5).requires_grad_(), unit(9, seed=1)
    whole = triplet(z_S, Y_S, z_T, Y_T, 0.1)
    monkeypatch.setattr(contrastive, "TRIPLETS", 1)
    pieces = triplet(z_S, Y_S, z_T, Y_T, 0.1)
    assert pieces.item() == pytest.approx(whole.item(), rel=1e-12)
    ours, theirs = (torch.autograd.grad(loss, z_S)[0] for loss in (pieces, whole))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", sorted(CRITICS))
@pytest.mark.parametrize("tau", [0.01, 10.0])
def test_loss_and_gradient_are_finite_at_both_ends_of_tau(name: str, tau: float) -> None:
    z_S, z_T = unit(5, torch.float32).requires_grad_(), unit(9, torch.float32, seed=1)
    loss = CRITICS.get(name)(z_S, Y_S, z_T, Y_T, tau)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, z_S)[0]).all()


@pytest.mark.parametrize("name", sorted(CRITICS))
def test_order_of_the_images_does_not_matter(name: str) -> None:
    z_S, z_T = unit(5), unit(9, seed=1)
    a, b = torch.tensor([3, 1, 4, 0, 2]), torch.tensor([8, 2, 5, 0, 7, 1, 3, 6, 4])
    found = CRITICS.get(name)(z_S[a], Y_S[a], z_T[b], Y_T[b], 0.1)
    assert float(found) == pytest.approx(float(CRITICS.get(name)(z_S, Y_S, z_T, Y_T, 0.1)), rel=1e-12)


@pytest.mark.parametrize("name", sorted(CRITICS))
def test_anchor_without_positive_is_skipped(name: str) -> None:
    z_S, z_T = unit(5).requires_grad_(), unit(9, seed=1)
    loss = CRITICS.get(name)(z_S, Y_S, z_T, Y_T, 0.1)
    assert loss.item() == CRITICS.get(name)(z_S[:4], Y_S[:4], z_T, Y_T, 0.1).item()
    (gradient,) = torch.autograd.grad(loss, z_S)
    assert not gradient[4].any()
    assert gradient[:4].any(1).all()


@pytest.mark.parametrize("name", sorted(CRITICS))
@pytest.mark.parametrize(("y_S", "y_T"), [([0, 0], [0, 0, 0]), ([0, 1], [2, 2, 3])], ids=["no negative", "no positive"])
def test_no_usable_anchor_is_an_error(name: str, y_S: list[int], y_T: list[int]) -> None:
    with pytest.raises(InputError, match="both a positive and a negative"):
        CRITICS.get(name)(unit(2), torch.tensor(y_S), unit(3, seed=1), torch.tensor(y_T), 0.1)


@pytest.mark.parametrize("critic", [infonce, supcon, triplet, nce_raw])
def test_gradient_is_the_numerical_one(critic: Callable[..., Tensor]) -> None:
    z_S, z_T = unit(5).requires_grad_(), unit(9, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: critic(a, Y_S, b, Y_T, 0.5), (z_S, z_T))


def test_nce_gradient_is_the_numerical_one_with_the_normaliser_held() -> None:
    z_S, z_T, step = unit(5).requires_grad_(), unit(9, seed=1), 1e-6
    (found,) = torch.autograd.grad(nce(z_S, Y_S, z_T, Y_T, 0.5), z_S)
    held = z_S.detach()
    for i in range(5):
        for d in range(6):
            move = torch.zeros_like(held)
            move[i, d] = step
            ends = [loop_nce(held + sign * move, Y_S, z_T, Y_T, 0.5, held) for sign in (1, -1)]
            assert float(found[i, d]) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-7)


@pytest.mark.parametrize("tau", [0.01, 1e-3])
@pytest.mark.parametrize("name", sorted(CRITICS))
def test_small_temperatures_stay_finite(name: str, tau: float) -> None:
    z_S, z_T = unit(5, torch.float32).requires_grad_(), unit(9, torch.float32, seed=1)
    loss = CRITICS.get(name)(z_S, Y_S, z_T, Y_T, tau)
    (gradient,) = torch.autograd.grad(loss, z_S)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()
    assert gradient.any()


def test_bound_shows_log_c_for_a_perfect_critic() -> None:
    y, z = torch.arange(7).repeat(3), torch.eye(7).repeat(3, 1)
    assert float(donsker_varadhan_nats(z, y, z, y, 0.02)) == pytest.approx(math.log(7), rel=1e-9)


def test_bound_shows_nothing_for_a_constant_critic() -> None:
    z_S, z_T = torch.ones(5, 4) / 2, torch.ones(9, 4) / 2
    assert float(donsker_varadhan_nats(z_S, Y_S, z_T, Y_T, 0.1)) == pytest.approx(0, abs=1e-12)


def test_bound_is_negative_for_a_critic_that_errs() -> None:
    y, z = torch.arange(4), torch.eye(4)
    assert float(donsker_varadhan_nats(z, y, z.roll(1, 0), y, 0.1)) < -1


def test_bound_equals_a_loop_over_pairs_with_equal_classes() -> None:
    z_S, z_T, tau, shared = unit(5), unit(9, seed=1), 0.4, [0, 1, 2]
    s = similarities(z_S, z_T, tau)
    of_S, of_T = ({c: [i for i, y in enumerate(labels) if y == c] for c in shared} for labels in (Y_S, Y_T))
    joint = product = 0.0
    for a in shared:
        for b in shared:
            cells = [s[i][j] for i in of_S[a] for j in of_T[b]]
            product += sum(map(math.exp, cells)) / len(cells) / 9
            joint += sum(cells) / len(cells) / 3 if a == b else 0
    found = float(donsker_varadhan_nats(z_S, Y_S, z_T, Y_T, tau))
    assert found == pytest.approx(joint - math.log(product), rel=1e-10)


def test_last_block_weighs_1_and_earlier_ones_less() -> None:
    assert layer_weights(3, 2.0) == [0.25, 0.5, 1.0]
    assert layer_weights(3, 0.5) == [4.0, 2.0, 1.0]
    assert layer_weights(4, 1.0) == [1.0] * 4
    assert layer_weights(1, 8.0) == [1.0]
