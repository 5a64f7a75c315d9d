"""Knobs that are remedies: batches as the data are, experts that see all classes alike, a term's weight or prior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mim4dd import distill
from mim4dd.contrastive import log_prior, logit_adjusted, nce_positives, scores
from mim4dd.coresets import density
from mim4dd.data import load
from mim4dd.errors import DataError, InputError, KnobError
from mim4dd.methods import DC, DM, DSA, MTT, Herding, Mim, RandomReal
from mim4dd.methods.loop import Distillation
from mim4dd.methods.preparations import LabelPosterior, Rarity
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import ConvNet
from mim4dd.train import Recipe, Streams, Training, _batches, fresh_networks
from perturbations import ColourCue, ExponentialImbalance, SymmetricNoise, chain
from perturbations.cues.planting import values_of

SMALL = ConvNet(width=8)
TRAIN = load("digits").train
TAIL = chain([ExponentialImbalance(factor=20)], TRAIN, seed=0).data
CPU = torch.device("cpu")


def task(data: object = TAIL, tail: str = "repeat") -> DistillationTask:
    return DistillationTask(data, SMALL, 1, 0, CPU, tail=tail)  # type: ignore[arg-type]


# Weights of a class's images


def test_images_that_a_cue_leaves_rare_are_drawn_more_often_and_every_class_as_often() -> None:
    cue = ColourCue(correlation=0.95)
    conflicting = TRAIN.labels != values_of(cue, TRAIN, 0)
    drawn = task(cue(TRAIN, seed=0).data)
    rarity = drawn.prepared(Rarity()).arrays["probabilities"]
    assert [rarity[rows].sum() for rows in drawn.rows] == pytest.approx([1] * 10)
    share = rarity[conflicting].sum() / 10
    assert 0.04 < conflicting.mean() < 0.06
    assert 0.25 < share < 0.5
    assert all(rarity[rows].max() / rarity[rows].min() <= len(rows) for rows in drawn.rows)
    odd = {image.numpy().tobytes() for image in drawn.take(np.flatnonzero(conflicting))}
    found = {}
    for name, weights in (("equal", None), ("rare", rarity)):
        batches = [drawn.real_batch(16, k, weights=weights) for k in range(10)]
        assert all(np.bincount(labels.numpy()).tolist() == [16] * 10 for _, labels in batches)
        found[name] = np.mean([image.numpy().tobytes() in odd for images, _ in batches for image in images])
    assert found["equal"] == pytest.approx(conflicting.mean(), abs=0.02)
    assert found["rare"] > 3 * found["equal"]


def test_the_density_of_equal_images_is_equal() -> None:
    twice = density(np.repeat(np.eye(3), [1, 2, 5], axis=0), 1)
    assert twice[1] == twice[2]
    assert np.ptp(twice[3:]) == 0
    assert twice[0] < twice[1] < twice[3] <= 1
    assert density(np.zeros((1, 4)), 1).tolist() == [1.0]


def test_images_with_doubtful_labels_are_drawn_less_often_and_every_class_as_often() -> None:
    noisy = SymmetricNoise(rate=0.4, include_own=False)(TRAIN, seed=0).data
    wrong = noisy.labels != TRAIN.labels
    drawn = task(noisy)
    likely = drawn.prepared(LabelPosterior()).arrays["probabilities"]
    assert [likely[rows].sum() for rows in drawn.rows] == pytest.approx([1] * 10)
    assert wrong.mean() == pytest.approx(0.4, abs=0.01)
    assert likely[wrong].sum() / 10 < 0.15
    rows = [drawn.real_batch(16, k, weights=likely)[1] for k in range(3)]
    assert all(np.bincount(labels.numpy()).tolist() == [16] * 10 for labels in rows)


def test_a_label_that_no_classifier_has_seen_leaves_its_images_alike() -> None:
    lone = TRAIN.take(np.flatnonzero((TRAIN.labels != 3) | (np.cumsum(TRAIN.labels == 3) <= 1)))
    likely = task(lone).prepared(LabelPosterior()).arrays["probabilities"]
    assert likely[lone.labels == 3].tolist() == [1.0]
    assert np.isfinite(likely).all()


def test_the_sham_of_the_posterior_has_its_weights_at_random_within_classes() -> None:
    found, sham = (
        task(TRAIN).prepared(LabelPosterior(shuffled=shuffled)).arrays["probabilities"] for shuffled in (False, True)
    )
    for label in range(10):
        own, others = found[TRAIN.labels == label], sham[TRAIN.labels == label]
        np.testing.assert_allclose(np.sort(own), np.sort(others), rtol=1e-12)
        assert not np.allclose(own, others)


@pytest.mark.parametrize(
    ("weights", "preparation"), [("rare", Rarity), ("posterior", LabelPosterior), ("shuffled", LabelPosterior)]
)
@pytest.mark.parametrize(
    "method",
    [
        DM(iterations=3, batch_real=8),
        DC(iterations=2, batch_real=8, outer=2, inner=2),
        Mim(base=DM(iterations=3, batch_real=8)),
    ],
)
def test_weights_change_what_is_distilled_by_any_method_that_draws_batches(
    method: DM | DC | Mim, weights: str, preparation: type[Rarity | LabelPosterior]
) -> None:
    base = getattr(method, "base", method)
    weighted = replace(base, batch_weights=weights)
    other = replace(method, base=weighted) if isinstance(method, Mim) else weighted
    pixels = [distill(TRAIN, method=one, network=SMALL, ipc=1).images for one in (method, other, other)]
    assert not np.array_equal(pixels[0], pixels[1])
    assert np.array_equal(pixels[1], pixels[2])
    assert isinstance(other.preparation, preparation)
    assert method.preparation is None


# Shares of a batch


def test_a_proportional_batch_has_each_class_in_its_share() -> None:
    counts = task().drawn(16, "proportional")
    assert counts.sum() == pytest.approx(160, abs=5)
    assert np.abs(counts - 160 * TAIL.counts / TAIL.counts.sum()).max() <= 0.5 + 1e-9
    assert counts.min() >= 1
    _, labels = task().real_batch(16, 3, shares="proportional")
    assert np.bincount(labels.numpy(), minlength=10).tolist() == counts.tolist()
    assert task().drawn(16).tolist() == [16] * 10


def test_a_rare_class_keeps_one_image_and_an_absent_one_none() -> None:
    rare = TRAIN.take(np.flatnonzero(TRAIN.labels != 9)[:900])
    held = rare.take(np.flatnonzero((rare.labels != 8) | (np.arange(len(rare)) < 12)))
    counts = task(held).drawn(2, "proportional")
    assert counts[9] == 0
    assert counts[8] == 1


@pytest.mark.parametrize("base", [DM(iterations=3, batch_real=8), DC(iterations=2, batch_real=8, outer=2, inner=2)])
def test_shares_change_what_is_distilled_where_classes_differ(base: DM | DC) -> None:
    other = replace(base, batch_shares="proportional")
    pixels = [distill(TAIL, method=one, network=SMALL, ipc=1).images for one in (base, other, other)]
    assert not np.array_equal(pixels[0], pixels[1])
    assert np.array_equal(pixels[1], pixels[2])


def test_a_proportional_batch_larger_than_the_data_is_refused_where_nothing_may_repeat() -> None:
    with pytest.raises(DataError, match="batch_real must be at most"):
        task(tail="error").real_batch(200, 0, shares="proportional")
    task(tail="error").real_batch(16, 0, shares="proportional")


def test_no_class_is_short_of_a_batch_that_has_its_share() -> None:
    assert task().shortfall(16)
    assert task().shortfall(16, "proportional") == []


# Shares of the set


def test_a_proportional_set_is_as_large_and_has_each_class_in_its_share() -> None:
    ten = DistillationTask(TAIL, SMALL, 10, 0, CPU)
    counts = ten.synthetic_counts("proportional")
    quotas = 100 * TAIL.counts / TAIL.counts.sum()
    assert counts.sum() == 100
    assert counts.min() >= 1
    assert np.abs(counts - quotas)[quotas >= 1].max() < 1
    assert np.bincount(ten.labels("proportional").numpy()).tolist() == counts.tolist()
    assert len(ten.random_rows("proportional")) == 100
    assert ten.synthetic_counts().tolist() == [10] * 10
    assert task().synthetic_counts("proportional").tolist() == [1] * 10


@pytest.mark.parametrize(
    "method",
    [
        DM(iterations=3, batch_real=8),
        DSA(iterations=2, batch_real=8, outer=2, inner=2),
        MTT(iterations=2, experts=1, expert_epochs=2, steps=2),
        RandomReal(),
        Herding(epochs=1),
        Mim(base=DM(iterations=3, batch_real=8)),
    ],
)
def test_every_method_takes_images_per_class_by_count(method: DM | DSA | MTT | RandomReal | Herding | Mim) -> None:
    base = getattr(method, "base", method)
    shared = replace(base, ipc_shares="proportional")
    made = distill(
        TAIL, method=replace(method, base=shared) if isinstance(method, Mim) else shared, network=SMALL, ipc=5
    )
    counts = DistillationTask(TAIL, SMALL, 5, 0, CPU).synthetic_counts("proportional")
    assert np.bincount(made.labels).tolist() == counts.tolist()
    assert np.isfinite(made.images).all()


# Balanced epochs


def drawn(sampling: str) -> torch.Tensor:
    recipe = Recipe(networks=3, batch=64, augment="none", sampling=sampling)
    labels = torch.tensor(TAIL.labels)
    images = torch.arange(len(TAIL)).float().reshape(-1, 1, 1, 1)
    batches = _batches(images, labels, recipe, Streams.first("test", 0, 3), "digits", 0)
    seen = [(images, labels) for images, labels in batches]
    assert all(torch.equal(labels[b.flatten().long()], of.flatten()) for b, of in seen)
    return torch.cat([of for _, of in seen], 1)


def test_a_balanced_epoch_is_as_long_and_has_all_classes_alike() -> None:
    plain, balanced = drawn("uniform"), drawn("balanced")
    assert plain.shape == balanced.shape == (3, len(TAIL))
    assert torch.bincount(plain[0], minlength=10).tolist() == TAIL.counts.tolist()
    shares = torch.bincount(balanced.flatten(), minlength=10) / balanced.numel()
    deviation = 5 * np.sqrt(0.1 * 0.9 / balanced.numel())
    assert (shares - 0.1).abs().max() < deviation
    assert not torch.equal(balanced[0], balanced[1]), "each network has its own order"


def test_labels_that_are_probabilities_have_no_class_to_balance() -> None:
    streams = Streams.first("test", 0, 1)
    params = fresh_networks(SMALL, TRAIN.shape, 10, streams, CPU)
    soft = torch.full((4, 10), 0.1)
    with pytest.raises(InputError, match="sampling=balanced draws images by their class"):
        Training(SMALL, params, torch.zeros(4, 1, 8, 8), soft, Recipe(sampling="balanced"), streams, "digits")


def test_experts_that_see_all_classes_alike_recall_the_rare_ones() -> None:
    """On the real images that they were trained on, of the three smallest classes."""
    recalls = {}
    for sampling in ("uniform", "balanced"):
        method = MTT(experts=2, expert_epochs=12, ahead=1, lr_expert=0.05, batch_expert=32, expert_sampling=sampling)
        made = task()
        arrays = method.preparation.make(made)
        last = {name: torch.tensor(array[:, -1]) for name, array in arrays.items()}
        with torch.no_grad():
            logits = SMALL.logits(last, SMALL.features(last, made.images))
        labels = torch.tensor(TAIL.labels)
        rare = torch.tensor(np.isin(TAIL.labels, np.argsort(TAIL.counts)[:3]))
        recalls[sampling] = (logits.argmax(-1) == labels)[:, rare].float().mean().item()
    assert recalls["balanced"] > recalls["uniform"] + 0.2


# A weight that falls


def test_the_weight_falls_linearly_from_all_to_its_last_share() -> None:
    falling = Mim(base=DM(iterations=11), weight=2.0, last_weight=0.25)
    assert [falling.weight_at(i) for i in (0, 5, 10)] == pytest.approx([2.0, 1.25, 0.5])
    assert Mim(base=DM(iterations=1), weight=2.0, last_weight=0.0).weight_at(0) == 2.0
    with pytest.raises(KnobError, match="last_weight"):
        Mim(last_weight=1.5)


@pytest.mark.parametrize("balance", ["none", "gradnorm"])
def test_a_weight_that_falls_to_nothing_ends_with_a_step_of_the_base(balance: str) -> None:
    """Of two iterations the first has the whole term; the second is, to the bit, the base's own step from there."""
    base = DM(iterations=2, batch_real=8, momentum=0.0)
    falling = Distillation(task(TRAIN), Mim(base=base, weight=1.0, balance=balance, last_weight=0.0))
    whole = Distillation(task(TRAIN), Mim(base=base, weight=1.0, balance=balance))
    alone = Distillation(task(TRAIN), base)
    for run in (falling, whole, alone):
        run.advance(1)
    assert torch.equal(falling.learnable["pixels"], whole.learnable["pixels"])
    assert not torch.equal(falling.learnable["pixels"], alone.learnable["pixels"])
    with torch.no_grad():
        alone.learnable["pixels"].copy_(falling.learnable["pixels"])
    for run in (falling, whole, alone):
        run.advance(2)
    assert torch.equal(falling.learnable["pixels"], alone.learnable["pixels"])
    assert not torch.equal(falling.learnable["pixels"], whole.learnable["pixels"])


# The prior of the classes, added to the critic's scores


def critic_inputs(counts: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Normalised embeddings of one synthetic image a class, and of as many real ones as the counts say."""
    draw = torch.Generator().manual_seed(0)
    y_T = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    z_S, z_T = (torch.randn(n, 16, generator=draw) for n in (len(counts), len(y_T)))
    return (*map(torch.nn.functional.normalize, (z_S, z_T)), torch.arange(len(counts)), y_T)


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_the_scores_of_a_class_have_the_log_of_its_prior_added(tau: float) -> None:
    counts = np.array([60, 30, 10])
    z_S, z_T, _, y_T = critic_inputs(counts)
    prior = log_prior(torch.from_numpy(counts))
    torch.testing.assert_close(prior, torch.tensor([1.8, 0.9, 0.3]).log())
    adjusted = scores(*logit_adjusted(z_S, z_T, y_T, prior, tau), tau)
    torch.testing.assert_close(adjusted, scores(z_S, z_T, tau) + prior[y_T])


@pytest.mark.parametrize("counts", [[7, 7, 7], [7, 7, 0], [0, 1, 0]])
def test_classes_of_one_size_have_no_prior_whether_or_not_others_have_images(counts: list[int]) -> None:
    assert log_prior(torch.tensor(counts)).tolist() == [0.0, 0.0, 0.0]


def test_the_prior_has_positives_of_rare_classes_pulled_harder_by_a_critic_that_is_not_saturated() -> None:
    counts = np.array([60, 30, 10])
    z_S, z_T, y_S, y_T = critic_inputs(counts)
    pulls = []
    for adjust in (False, True):
        anchor = z_S.clone().requires_grad_()
        sides = logit_adjusted(anchor, z_T, y_T, log_prior(torch.from_numpy(counts)) * adjust, 1.0)
        nce_positives(sides[0], y_S, sides[1], y_T, 1.0).backward()
        assert anchor.grad is not None
        pulls.append(anchor.grad.norm(dim=1))
    ratio = pulls[1] / pulls[0]
    assert ratio[2] > ratio[1] > ratio[0]


@pytest.mark.parametrize("critic", ["nce", "infonce", "triplet"])
def test_a_prior_changes_what_is_distilled_where_classes_differ_in_size(critic: str) -> None:
    base = DM(iterations=2, batch_real=8)
    plain, added = (Mim(base=base, weight=50.0, critic=critic, prior=prior) for prior in ("none", "added"))
    balanced = TRAIN.take(np.concatenate([np.flatnonzero(TRAIN.labels == c)[:50] for c in range(10)]))
    for data, differs in ((TAIL, True), (balanced, False)):
        pixels = [distill(data, method=one, network=SMALL, ipc=1).images for one in (plain, added)]
        assert np.allclose(*pixels, atol=1e-4) != differs


def probed(method: Mim) -> dict[str, float]:
    """What the probe of the first update says of the critic."""
    run = Distillation(task(), method)
    update = next(iter(method.update_steps(run.task, run.learnable, run.task.labels(), 0)))
    assert update.probe is not None
    return {key: value for key, value in update.probe().items() if key.startswith("critic/")}


@pytest.mark.parametrize("pairs", ["class", "shuffled"])
def test_the_prior_is_that_of_the_labels_that_make_pairs_and_no_part_of_what_is_probed(
    pairs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def critic(z_S: torch.Tensor, y_S: torch.Tensor, z_T: torch.Tensor, y_T: torch.Tensor, tau: float) -> torch.Tensor:
        seen.append((z_T[:, -1] / tau, y_T))
        return z_S.sum()

    plain, added = (Mim(base=DM(iterations=1, batch_real=8), pairs=pairs, prior=prior) for prior in ("none", "added"))
    expected = probed(plain)
    monkeypatch.setattr("mim4dd.contrastive.nce", critic)
    assert probed(added) == expected
    assert seen
    for coordinate, labels in seen:
        torch.testing.assert_close(coordinate, task().log_prior[labels])


def test_knobs_at_their_defaults_leave_hashes_as_they_were() -> None:
    from mim4dd.configuration import configure

    flat = configure(
        source="digits", method={"method": "mim"}, network="convnet", protocol_name="digits", assigned={}
    ).flat
    of_base = {f"method.base.{knob}" for knob in ("batch_shares", "batch_weights", "ipc_shares")}
    assert not (of_base | {"method.last_weight", "method.prior", "evaluation.sampling"}) & set(flat)
