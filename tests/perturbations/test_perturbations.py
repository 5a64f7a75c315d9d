"""Perturbations by exact counts: same seed same bits, nested severities, inputs untouched."""

from __future__ import annotations

import numpy as np
import pytest

from mim4dd.data import load
from mim4dd.errors import InputError
from mim4dd.records import ImageData
from perturbations import ExponentialImbalance, SymmetricNoise, chain, parse_chain

TRAIN = load("digits").train


def balanced(per_class: int) -> ImageData:
    labels = np.repeat(np.arange(10), per_class)
    images = np.zeros((len(labels), 1, 1, 1), np.float32)
    return ImageData(images, labels, np.arange(len(labels)), tuple("0123456789"), "made/train")


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 0.9])
def test_symmetric_noise_flips_exactly_the_rounded_number_and_never_to_the_own_class(rate: float) -> None:
    before = TRAIN.labels.copy()
    noisy = SymmetricNoise(rate=rate)(TRAIN, seed=0)
    assert (noisy.data.labels != TRAIN.labels).sum() == round(rate * len(TRAIN)) == noisy.realised["flips"]
    assert (TRAIN.labels == before).all()
    assert noisy.data.images is TRAIN.images


def test_including_the_own_class_realises_the_lower_rate() -> None:
    data = balanced(5_000)
    noisy = SymmetricNoise(rate=0.4, include_own=True)(data, seed=0)
    assert noisy.realised["rate"] == pytest.approx(0.36, abs=0.005)


def test_new_labels_are_uniform_over_the_other_classes() -> None:
    transition = np.array(SymmetricNoise(rate=0.5)(balanced(5_000), seed=1).realised["transition"])
    assert transition.sum(1) == pytest.approx(np.ones(10))
    others = transition[~np.eye(10, dtype=bool)]
    # 5,000 images a class: the sampling error of 0.5 / 9 is 0.0032.
    assert np.abs(others - 0.5 / 9).max() < 4.5 * 0.0033


def test_flips_at_a_low_rate_are_among_those_at_a_high_one() -> None:
    low, high = (SymmetricNoise(rate=rate)(TRAIN, seed=3).data.labels for rate in (0.2, 0.4))
    flipped = low != TRAIN.labels
    assert (high[flipped] == low[flipped]).all()


def test_exponential_counts_are_those_of_the_formula() -> None:
    made = ExponentialImbalance(factor=100.0)(balanced(5_000), seed=0)
    assert made.data.counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


def test_a_random_order_permutes_the_same_counts() -> None:
    made = ExponentialImbalance(factor=10.0, order="random")(balanced(100), seed=0).data.counts
    assert sorted(made) == sorted(ExponentialImbalance(factor=10.0)(balanced(100), seed=0).data.counts)
    assert made.tolist() != sorted(made, reverse=True)


def test_controls_are_bit_identical_to_clean_data() -> None:
    same = chain(parse_chain(["exponential:factor=1", "symmetric:rate=0"]), TRAIN, seed=5)
    assert same.data.digest == TRAIN.digest


def test_the_order_is_fixed_and_the_error_names_it() -> None:
    with pytest.raises(InputError, match="give exponential, symmetric"):
        chain(parse_chain(["symmetric:rate=0.2", "exponential:factor=10"]), TRAIN, seed=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symetric:rate=0.2", "did you mean 'symmetric'"),
        ("symmetric:rate=1.2", r"must be in \[0, 0.9\]"),
        ("symmetric:rat=0.2", "did you mean 'rate'"),
        ("symmetric:0.2", "NAME:knob=value"),
        ("exponential:factor=0.5", r"must be in \[1, inf\)"),
    ],
)
def test_bad_chains_are_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_chain([text])


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    made = [SymmetricNoise(rate=0.4)(TRAIN, seed=seed).data.digest for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]
