"""The decoder's estimate: limits, a loop over pairs, and a reference trained on digits."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mim4dd.data import standardise
from mim4dd.errors import InputError
from mim4dd.information import FLOOR, Reference, label_agreement, label_agreement_nats, train_reference
from mim4dd.networks import ConvNet
from mim4dd.records import Splits, Synthetic


@pytest.fixture(scope="module")
def reference(digits: Splits) -> Reference:
    return train_reference(digits, ConvNet(width=16))


def test_perfect_posteriors_show_log_c() -> None:
    labels = np.arange(7).repeat(3)
    assert label_agreement_nats(np.eye(7)[labels], labels, np.eye(7), np.arange(7)) == pytest.approx(math.log(7))


def test_uniform_posteriors_show_nothing() -> None:
    labels, flat = np.arange(5), np.full((5, 5), 0.2)
    assert label_agreement_nats(flat, labels, np.eye(5), labels) == pytest.approx(0, abs=1e-12)
    assert label_agreement_nats(np.eye(5), labels, flat, labels) == pytest.approx(0, abs=1e-12)


def test_posteriors_that_are_the_same_for_all_classes_show_nothing() -> None:
    labels, biased = np.arange(4), np.tile([0.7, 0.1, 0.1, 0.1], (4, 1))
    assert label_agreement_nats(biased, labels, biased, labels) == pytest.approx(0, abs=1e-12)


def test_posteriors_that_err_show_less_than_nothing() -> None:
    labels, sure = np.arange(4), np.full((4, 4), 0.01) + 0.96 * np.eye(4)
    assert label_agreement_nats(sure[[1, 2, 3, 0]], labels, sure, labels) < -1


def test_estimate_equals_a_loop_over_pairs_of_unbalanced_classes() -> None:
    rng, classes = np.random.default_rng(0), 4
    y_S, y_T = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 1, 2, 3, 3])
    p_S, p_T = rng.dirichlet(np.ones(4), 6), rng.dirichlet(np.ones(4), 7)
    shared, joint, q_S, q_T = [0, 1, 2], 0.0, np.zeros(4), np.zeros(4)
    for c in shared:
        pairs = [(i, j) for i in range(6) for j in range(7) if y_S[i] == y_T[j] == c]
        for i, j in pairs:
            met = sum(p_T[j][y] * p_S[i][y] / (1 / classes) for y in range(classes))
            joint += math.log(met) / len(pairs) / len(shared)
        q_S += np.mean([p_S[i] for i in range(6) if y_S[i] == c], axis=0) / len(shared)
        q_T += np.mean([p_T[j] for j in range(7) if y_T[j] == c], axis=0) / len(shared)
    product = math.log(sum(q_T[y] * q_S[y] / (1 / classes) for y in range(classes)))
    assert label_agreement_nats(p_S, y_S, p_T, y_T) == pytest.approx(joint - product, rel=1e-12)


def test_reference_knows_digits_and_is_calibrated(reference: Reference, digits: Splits) -> None:
    held = digits.validation
    posteriors = reference.posteriors(held.images)
    np.testing.assert_array_equal(posteriors, reference.held_out)
    assert reference.accuracy > 0.95
    assert (posteriors.argmax(1) == held.labels).mean() == reference.accuracy
    np.testing.assert_allclose(posteriors.sum(1), 1)
    assert posteriors.min() >= FLOOR / (1 + 10 * FLOOR)

    def loss(temperature: float) -> float:
        found = replace(reference, temperature=temperature).posteriors(held.images)
        return float(-np.log(found[np.arange(len(held)), held.labels]).mean())

    fitted = loss(reference.temperature)
    assert all(fitted < loss(reference.temperature * factor) for factor in (0.7, 0.9, 1.1, 1.4))


def test_reference_is_saved_and_loaded(reference: Reference, digits: Splits, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "reference.safetensors"
    reference.save(path)
    found = Reference.load(path, digits)
    assert (found.network, found.temperature, found.accuracy) == (
        reference.network,
        reference.temperature,
        reference.accuracy,
    )
    np.testing.assert_array_equal(found.posteriors(digits.test.images), reference.posteriors(digits.test.images))


def test_file_that_is_no_reference_is_refused(reference: Reference, digits: Splits, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    garbage, foreign, tampered = (tmp_path / name for name in ("garbage", "foreign", "tampered"))
    garbage.write_text("nothing of the kind")
    for changed, message in (
        ({"temperature": -1.0}, "temperature must be above 0"),
        ({"accuracy": math.nan}, "accuracy in [0, 1], got"),
        ({"mean": np.zeros(3, np.float32)}, "mean must be float32 [1], got float32 [3]"),
        ({"held_out": reference.held_out[1:]}, "held_out must be float64 [300, 10], got float64 [299, 10]"),
        ({"held_out": np.full_like(reference.held_out, np.nan)}, "held_out must be finite"),
        (
            {"params": {"head.weight": np.zeros((2, 3))}},
            "params/head.weight must be float32 [1, 3], got float64 [2, 3]",
        ),
        ({"data": "of another"}, "it was trained on other images than those of digits"),
    ):
        replace(reference, **changed).save(tampered)
        with pytest.raises(InputError) as caught:
            Reference.load(tampered, digits)
        assert str(caught.value).startswith(f"{tampered} is no reference network written by mim4dd: ")
        assert message in str(caught.value)
    save_file({"params/head.weight": np.zeros(2)}, foreign, metadata={"reference": '{"network": "convnet"}'})
    for path in (garbage, foreign, tmp_path / "missing"):
        with pytest.raises(InputError, match="is no reference network written by mim4dd"):
            Reference.load(path, digits)


def test_real_images_tell_more_than_noise(reference: Reference, digits: Splits) -> None:
    train, mean, std = digits.train, reference.mean, reference.std
    rows = np.concatenate([np.flatnonzero(train.labels == c)[:5] for c in range(10)])
    labels = np.arange(10).repeat(5)
    noise = np.random.default_rng(0).standard_normal((50, 1, 8, 8), dtype=np.float32)
    real, nothing = (
        label_agreement(reference, Synthetic(images, labels, train.classes, mean, std), digits)
        for images in (standardise(train.images[rows], mean, std), noise)
    )
    assert nothing < 0.2
    assert 0.8 * math.log(10) < real <= math.log(10)
