"""Fewer positives for each anchor: which stay, that wrong labels seldom do, and that the base sees all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mim4dd.contrastive import fewer_positives
from mim4dd.data import load
from mim4dd.errors import KnobError
from mim4dd.methods import DC, DM, Mim
from mim4dd.methods.catalogue import UpdateStep
from mim4dd.methods.loop import Distillation
from mim4dd.methods.task import DistillationTask, within
from mim4dd.networks import ConvNet
from mim4dd.registry import flatten
from perturbations import SymmetricNoise

TRAIN = load("digits").train
SMALL = ConvNet(width=8)
LABELS = torch.tensor([0, 1, 0, 1, 0, 2, 0, 1])


def run_of(method: Mim | DM, data: object = TRAIN, seed: int = 0) -> Distillation:
    return Distillation(DistillationTask(data, SMALL, 1, seed, torch.device("cpu")), method)  # type: ignore[arg-type]


def test_of_each_class_a_share_stays_rounded_up_those_of_the_largest_numbers() -> None:
    order = torch.tensor([0.1, 0.9, 0.4, 0.2, 0.3, 0.0, 0.2, 0.5])
    z = torch.zeros(3, 1), torch.arange(3), torch.zeros(8, 1), LABELS
    assert fewer_positives(*z, 0.5, order).tolist() == [1, 2, 4, 5, 7]
    assert fewer_positives(*z, 0.01, order).tolist() == [1, 2, 5]
    assert fewer_positives(*z, 1.0, order).tolist() == list(range(8))


@pytest.mark.parametrize(("share", "images", "kept"), [(0.07, 100, 7), (0.14, 50, 7), (0.28, 25, 7), (0.55, 100, 55)])
def test_a_share_that_makes_a_whole_number_is_not_rounded_up(share: float, images: int, kept: int) -> None:
    z = torch.zeros(1, 1), torch.zeros(1).long(), torch.zeros(images, 1), torch.zeros(images).long()
    assert len(fewer_positives(*z, share, torch.arange(images).float())) == kept


def test_by_similarity_those_stay_that_are_most_like_the_anchors_of_their_class() -> None:
    angle = torch.tensor([0.0, 1.6, 1.0, 1.5, 0.1, 0.7, 2.0, 0.2])
    z_T = torch.stack([angle.cos(), angle.sin()], 1).requires_grad_()
    z_S = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)  # class 2 has no anchor: its image stays
    rows = fewer_positives(z_S, torch.tensor([0, 1]), z_T, LABELS, 0.5, None)
    assert rows.tolist() == [0, 1, 3, 4, 5]
    twice = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [-1.0, 0.0]])
    labels = torch.tensor([0, 1, 0, 0])
    assert fewer_positives(twice, labels, z_T, LABELS, 0.5, None).tolist() == [1, 2, 3, 5, 6], "the mean over anchors"


def kept(run: Distillation, iteration: int) -> list[tuple[UpdateStep, torch.Tensor]]:
    """Each update of an iteration, with the rows of its real batch that the term sees."""
    method, found = run.method, []
    assert isinstance(method, Mim)
    for step, update in enumerate(method.update_steps(run.task, run.learnable, run.labels, iteration)):
        blocks = method.embeddings(run.task, update, method.heads(run.task, run.learnable, iteration))
        numbers = (0.0, blocks[0][1], torch.arange(len(update.y_real))[:, None])
        at = (*within(iteration, step), run.task.seed)
        (_, _, rows), *seen = method.kept(update, [numbers, *blocks], update.y_real, *at)[0]
        assert all(torch.equal(z_T[rows[:, 0]], own) for (_, _, z_T), (_, _, own) in zip(blocks, seen, strict=True))
        labels = update.y_real[rows[:, 0]]
        assert torch.equal(update.terms["mim"].loss, method.term(run.task, update, seen, labels))
        found.append((update, rows[:, 0]))
    return found


@pytest.mark.parametrize("base", [DM(iterations=2, batch_real=8), DC(iterations=2, batch_real=8, outer=2, inner=1)])
def test_each_update_draws_its_own_half_of_every_class(base: DM | DC) -> None:
    runs = [run_of(Mim(base=base, positives="drawn"), seed=seed) for seed in (0, 1)]
    found = [one for run in runs for iteration in (0, 1) for one in kept(run, iteration)]
    assert all(update.y_real[rows].bincount().tolist() == [4] * 10 for update, rows in found)
    assert len({tuple(rows.tolist()) for _, rows in found}) == len(found)


def test_wrong_labels_are_seldom_among_the_most_similar() -> None:
    noisy = SymmetricNoise(rate=0.4, include_own=False)(TRAIN, seed=0).data
    wrong = np.flatnonzero(noisy.labels != TRAIN.labels)
    shares = {}
    for by in ("drawn", "similar"):
        run = run_of(Mim(base=DM(iterations=60, batch_real=16), positives=by), noisy)
        run.advance(40)
        doubtful = {image.numpy().tobytes() for image in run.task.take(wrong)}
        hits = [
            image.numpy().tobytes() in doubtful
            for iteration in range(40, 60)
            for _, rows in kept(run, iteration)
            for image in run.task.real_batch(16, iteration)[0][rows]
        ]
        shares[by] = np.mean(hits)
    assert shares["drawn"] == pytest.approx(0.4, abs=0.06)
    assert shares["similar"] < shares["drawn"] / 2


def test_the_base_matches_the_whole_batch_and_a_share_of_all_is_the_term_as_it_is() -> None:
    def pixels(method: Mim | DM) -> torch.Tensor:
        run = run_of(method)
        run.advance(2)
        return run.learnable["pixels"].detach()

    base = DM(iterations=2, batch_real=8)
    whole = Mim(base=base)
    assert torch.equal(pixels(Mim(base=base, weight=0, positives="drawn")), pixels(base))
    assert torch.equal(pixels(Mim(base=base, positives="similar", positives_share=1.0)), pixels(whole))
    assert not torch.equal(pixels(Mim(base=base, positives="drawn")), pixels(whole))
    run = run_of(whole)
    losses = []
    for method in (whole, Mim(base=base, positives="drawn")):
        (update,) = method.update_steps(run.task, run.learnable, run.labels, 0)
        losses.append({name: float(term.loss.detach()) for name, term in update.terms.items()})
    assert losses[0].keys() == losses[1].keys() > {"mim"}
    assert {name for name in losses[0] if losses[0][name] != losses[1][name]} == {"mim"}


def test_hashes_stay_as_they_were_and_no_positives_at_all_are_refused() -> None:
    assert not {key for key in flatten(Mim(), "method") if "positives" in key}
    with pytest.raises(KnobError, match="positives_share"):
        Mim(positives="drawn", positives_share=0.0)
