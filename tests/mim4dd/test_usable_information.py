"""Usable information against known answers: closed forms, a plain loop with scipy's search, networks on digits."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from mim4dd.data import standardise
from mim4dd.data.standard import channel_statistics
from mim4dd.evaluation import class_scores, train_on
from mim4dd.information import _second_half, usable_information_nats
from mim4dd.networks import ConvNet
from mim4dd.records import Integers, Splits, Synthetic
from mim4dd.train import Recipe

Scores = npt.NDArray[np.float64]


def usable(scores: Scores, labels: Integers) -> float:
    """Usable information of a single network."""
    (nats,) = usable_information_nats(torch.tensor(scores[None]), labels)
    return float(nats)


def channel(counts: list[int], right: list[float], factor: float = 1.0) -> tuple[Scores, Integers]:
    """Scores of one size, and how often they are right for each class; wrong ones go evenly to the other classes."""
    classes, scores, labels = len(counts), [], []
    for label, (count, rate) in enumerate(zip(counts, right, strict=True)):
        others = [c for c in range(classes) if c != label]
        guesses = [label] * round(count * rate)
        guesses += [others[i % len(others)] for i in range(count - len(guesses))]
        scores.append(factor * np.eye(classes)[guesses])
        labels += [label] * count
    return np.concatenate(scores), np.array(labels)


def channel_nats(classes: int, right: float) -> float:
    """The mutual information of a symmetric channel with equally likely inputs."""
    return math.log(classes) + right * math.log(right) + (1 - right) * math.log((1 - right) / (classes - 1))


def test_scores_that_are_always_right_are_worth_log_c() -> None:
    scores, labels = channel([100] * 10, [1.0] * 10)
    assert math.log(10) - 0.005 < usable(scores, labels) <= math.log(10)


def test_shuffled_labels_are_worth_nothing() -> None:
    scores, labels = channel([400] * 10, [1.0] * 10)
    assert -0.01 < usable(scores, np.random.default_rng(0).permutation(labels)) < 0.005


@pytest.mark.parametrize("factor", [0.01, 1.0, 300.0])
@pytest.mark.parametrize(("classes", "right"), [(10, 0.8), (3, 0.6), (2, 0.97)])
def test_a_symmetric_channel_is_worth_its_mutual_information(classes: int, right: float, factor: float) -> None:
    scores, labels = channel([2000] * classes, [right] * classes, factor)
    assert usable(scores, labels) == pytest.approx(channel_nats(classes, right), abs=0.002)


def test_classes_count_equally_whatever_their_images() -> None:
    # The best temperature then belongs to the mean rate, 0.7; weighted by images, it would belong to 0.89.
    scores, labels = channel([9000, 1000], [0.9, 0.5])
    assert usable(scores, labels) == pytest.approx(channel_nats(2, 0.7), abs=0.002)


def test_only_classes_with_images_enter_the_entropy() -> None:
    scores, labels = channel([100, 0, 100], [1.0] * 3)
    assert math.log(2) - 0.01 < usable(scores, labels) <= math.log(2)


def test_posteriors_known_image_by_image_are_worth_their_expected_log() -> None:
    rng = np.random.default_rng(0)
    posteriors = rng.dirichlet(np.full(4, 0.5), 40_000)
    labels = (posteriors.cumsum(1) < rng.random((40_000, 1))).sum(1)
    expected = math.log(4) + (posteriors * np.log(posteriors)).sum(1).mean()
    assert usable(5 * np.log(posteriors) + 3, labels) == pytest.approx(expected, abs=0.015)


def plain(scores: Scores, labels: Integers) -> float:
    """The definition as a loop over halves, images and classes, with scipy's search for the temperature."""
    classes, second = sorted(set(labels.tolist())), _second_half(labels)
    score = {c: 0.0 for c in classes}
    for scored in (second, ~second):
        fitted, known = scores[~scored], labels[~scored]
        certain = len(known) / (len(known) + 1)

        def loss(log_t: float, fitted: Scores = fitted, known: Integers = known, certain: float = certain) -> float:
            log_p = log_softmax(fitted / math.exp(log_t), axis=1)
            images = certain * log_p[np.arange(len(known)), known] + (1 - certain) * log_p.mean(1)
            return -float(np.mean([images[known == c].mean() for c in set(known.tolist())]))

        temperature = math.exp(minimize_scalar(loss, bounds=(-8, 8), method="bounded", options={"xatol": 1e-9}).x)
        for row, label in zip(scores[scored], labels[scored], strict=True):
            score[label] += log_softmax(row / temperature)[label] / (labels == label).sum()
    return math.log(len(classes)) + sum(score.values()) / len(classes)


def some_scores(networks: int = 3) -> tuple[Scores, Integers]:
    """Scores of networks of different skill and scale, of classes of 7 to 60 images."""
    rng, labels = np.random.default_rng(1), np.repeat(np.arange(5), [60, 40, 25, 13, 7])
    skill = np.array([0.3, 2.0, 40.0])[:networks, None, None]
    return skill * np.eye(5)[labels] + np.maximum(skill, 1) * rng.normal(size=(networks, len(labels), 5)), labels


def test_all_networks_at_once_are_a_loop_with_scipys_search() -> None:
    scores, labels = some_scores()
    together = usable_information_nats(torch.tensor(scores), labels)
    assert together == pytest.approx([plain(one, labels) for one in scores], abs=1e-7)
    assert len(set(np.round(together, 3))) == 3
    single = usable_information_nats(torch.tensor(scores, dtype=torch.float32), labels)
    assert single == pytest.approx(together, abs=1e-5)


@pytest.mark.parametrize("factor", [1e-4, 0.5, 30.0, 1e4])
def test_a_factor_and_a_shift_of_the_scores_change_nothing(factor: float) -> None:
    scores, labels = some_scores()
    shift = np.random.default_rng(2).normal(size=(3, len(labels), 1))
    changed = usable_information_nats(torch.tensor(factor * (scores + shift)), labels)
    assert changed == pytest.approx(usable_information_nats(torch.tensor(scores), labels), abs=1e-7)


def test_a_reversed_network_is_worth_nothing_and_not_less() -> None:
    scores, labels = channel([200] * 4, [0.9] * 4)
    assert -0.01 < usable(-scores, labels) <= 0


def test_one_error_among_many_images_is_no_catastrophe() -> None:
    # The half without the error has no best temperature by its own log loss: the surer, the better.
    scores, labels = channel([30] * 10, [1.0] * 10)
    scores[3] = np.eye(10)[7]
    assert 2.1 < usable(scores, labels) < channel_nats(10, 299 / 300)


def test_a_network_without_finite_scores_has_none_and_the_others_theirs() -> None:
    scores, labels = some_scores()
    broken = scores.copy()
    broken[1, 4, 2] = np.inf
    before, after = (usable_information_nats(torch.tensor(one), labels) for one in (scores, broken))
    assert math.isnan(after[1])
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    equal = usable_information_nats(torch.full((1, len(labels), 5), 0.3), labels)
    assert equal == pytest.approx([0.0], abs=1e-9)
    assert np.isnan(usable_information_nats(torch.zeros(2, 1, 5), labels[:1])).tolist() == [True, True]


def test_halves_share_each_class_and_depend_on_the_labels_alone() -> None:
    labels = np.random.default_rng(3).permutation(np.repeat(np.arange(5), [60, 41, 25, 13, 1]))
    second = _second_half(labels)
    assert abs(second.sum() - (~second).sum()) <= 1
    for c in range(5):
        assert abs((second & (labels == c)).sum() - (~second & (labels == c)).sum()) <= 1
    np.testing.assert_array_equal(second, _second_half(labels.copy()))
    assert len(np.unique(np.diff(np.flatnonzero(second)))) > 2  # drawn, not every other image


def test_networks_trained_on_right_labels_are_worth_more_than_on_shuffled_ones(digits: Splits) -> None:
    train = digits.train
    mean, std = channel_statistics(train.images)
    rows = np.concatenate([np.flatnonzero(train.labels == c)[:10] for c in range(10)])
    images, labels = standardise(train.images[rows], mean, std), train.labels[rows]
    network, recipe = ConvNet(width=8), Recipe(networks=2, epochs=60, augment="none")
    nats = []
    for told in (labels, np.random.default_rng(0).permutation(labels)):
        synthetic = Synthetic(images, told, train.classes, mean, std)
        scores = class_scores(train_on(synthetic, network, recipe), network, synthetic, digits.test)
        assert scores.shape == (2, len(digits.test), 10)
        nats.append(usable_information_nats(scores, digits.test.labels))
    right, shuffled = nats
    assert right.min() > 1
    assert right.max() < math.log(10)
    assert np.abs(shuffled).max() < 0.1
