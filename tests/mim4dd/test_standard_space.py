"""The space of the images as a value: ZCA against its formula, there and back, and through a whole run."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mim4dd.data import channel_statistics, fit_standard, load
from mim4dd.errors import DataError, InputError, KnobError
from mim4dd.evaluation import evaluate, training_on
from mim4dd.methods import DM, METHODS, MTT, Mim, RandomReal
from mim4dd.methods.loop import Distillation, distill
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import ConvNet
from mim4dd.records import Floats, Splits, Synthetic
from mim4dd.registry import flatten
from mim4dd.standard import BLOCK, Standard, Whitening
from mim4dd.train import Recipe

NETWORK = ConvNet(width=8)


@pytest.fixture(scope="module")
def digits() -> Splits:
    return load("digits")


def images(count: int = 40, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).random((count, 3, 4, 5), dtype=np.float32)


@pytest.mark.parametrize("kind", ["zca", "zca-pixels"])
def test_zca_is_its_formula_by_singular_values(kind: str) -> None:
    pixels = images()
    standard = fit_standard(pixels, kind)
    mean, std = channel_statistics(pixels) if kind == "zca" else (np.zeros(3), np.ones(3))
    rows = ((pixels - mean[:, None, None]) / std[:, None, None]).reshape(40, 60).astype(np.float64)
    centred = rows - rows.mean(0)
    vectors, values, _ = np.linalg.svd(centred.T @ centred / 39)
    forward = vectors @ np.diag(1 / np.sqrt(values + 0.1)) @ vectors.T
    inverse = vectors @ np.diag(np.sqrt(values + 0.1)) @ vectors.T
    assert standard.whitening is not None
    np.testing.assert_allclose(standard.whitening.forward, forward, atol=1e-5)
    np.testing.assert_allclose(standard.whitening.inverse, inverse, atol=1e-5)
    np.testing.assert_allclose(standard(pixels).reshape(40, 60), centred @ forward, atol=1e-4)


def test_more_images_than_a_block_are_whitened_alike_and_come_back() -> None:
    pixels = images(BLOCK + 3)
    standard = fit_standard(pixels, "zca")
    before = pixels.copy()
    white = standard(pixels)
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_allclose(white[-3:], standard(pixels[-3:]), atol=1e-5)
    kept = white.copy()
    np.testing.assert_allclose(standard.inverse(white), pixels, atol=1e-4)
    np.testing.assert_array_equal(white, kept)
    again = fit_standard(pixels, "zca")
    assert again.whitening is not None
    assert standard.whitening is not None
    np.testing.assert_array_equal(again.whitening.forward, standard.whitening.forward)
    turned = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(standard(turned), white, atol=1e-5)


def test_zca_that_would_not_fit_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"zca takes images of at most 12,288 numbers, got 3 x 64 x 65 = 12,480; shrink"
    ):
        fit_standard(np.zeros((2, 3, 64, 65), np.float32), "zca")
    with pytest.raises(DataError, match="zca needs at least two images, got 1"):
        fit_standard(images(1), "zca")
    with pytest.raises(InputError, match="whitening must have an inverse"):
        _ = Whitening(np.zeros(2, np.float32), np.zeros((2, 2), np.float32)).inverse


def test_the_inverse_does_not_travel() -> None:
    whitening = fit_standard(images(), "zca").whitening
    assert whitening is not None
    size = len(pickle.dumps(whitening))
    _ = whitening.inverse
    assert len(pickle.dumps(whitening)) == size
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(whitening)).forward, whitening.forward)


def test_a_whitened_soft_set_survives_its_file(tmp_path: Path) -> None:
    standard = fit_standard(images(), "zca")
    soft = np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)
    made = Synthetic(
        images(2, 1), np.array([0, 1]), ("a", "b"), standard.mean, standard.std, {}, "3", standard.whitening, soft
    )
    made.save(tmp_path / "set")
    found = Synthetic.load(tmp_path / "set")
    assert found.soft is not None
    np.testing.assert_array_equal(found.soft, soft)
    np.testing.assert_array_equal(found.pixels, made.pixels)
    np.testing.assert_allclose(found.standard(found.pixels), made.images, atol=1e-4)
    plain = replace(made, whitening=None, soft=None)
    assert b"whitening" not in plain.to_bytes()
    assert b"soft" not in plain.to_bytes()


@pytest.mark.parametrize(
    ("soft", "message"),
    [
        (np.full((2, 2), 0.4, np.float32), "soft must be probabilities, each row of sum 1"),
        (np.array([[1.5, -0.5], [0.5, 0.5]], np.float32), "soft must be probabilities"),
        (np.full((2, 2), np.nan, np.float32), "soft must be probabilities"),
        (np.full((2, 3), 1 / 3, np.float32), r"soft must be float32 \[2, 2\], got float32 \[2, 3\]"),
        (np.array([[0.4, 0.6], [0.5, 0.5]], np.float32), "labels must be the most probable classes of soft"),
    ],
)
def test_soft_labels_that_do_not_fit_are_refused(soft: Floats, message: str) -> None:
    one = np.ones(3, np.float32)
    with pytest.raises(InputError, match=message):
        Synthetic(images(2), np.array([0, 1]), ("a", "b"), one, one, soft=soft)
    with pytest.raises(InputError, match=r"whitening_centre must be float32 \[60\]"):
        Synthetic(
            images(2),
            np.array([0, 1]),
            ("a", "b"),
            one,
            one,
            whitening=Whitening(np.zeros(2, np.float32), np.eye(2, dtype=np.float32)),
        )


def test_the_default_stays_out_of_records() -> None:
    for name in METHODS.names():
        assert not [key for key in flatten(METHODS.build(name), "method") if key.endswith("standard")]
    assert flatten(METHODS.build("mim", {"base.standard": "zca"}), "method")["method.base.standard"] == "zca"
    assert METHODS.build("full", {"standard": "zca-pixels"})
    with pytest.raises(KnobError, match=r"dm\.standard must be one of channels, zca, zca-pixels, got zac"):
        DM(standard="zac")


@pytest.mark.parametrize(
    "method",
    [
        RandomReal(standard="zca"),
        Mim(base=DM(iterations=3, batch_real=8, standard="zca")),
        MTT(iterations=2, experts=1, expert_epochs=2, steps=2, standard="zca-pixels"),
    ],
    ids=["random", "mim", "mtt"],
)
def test_a_method_works_in_its_space_to_the_end(method: RandomReal | Mim | MTT, digits: Splits) -> None:
    made = distill(digits.train, method=method, network=NETWORK, ipc=2)
    assert made.whitening is not None
    base = getattr(method, "base", method)
    np.testing.assert_array_equal(made.mean, fit_standard(digits.train.images, base.standard).mean)
    if isinstance(method, RandomReal):
        plain = distill(digits.train, method=RandomReal(), network=NETWORK, ipc=2)
        np.testing.assert_allclose(made.pixels, plain.pixels, atol=1e-4)
    score = evaluate(made, digits.validation, network=NETWORK, recipe=Recipe(networks=2, epochs=60, augment="none"))
    assert score.mean > 0.3


def test_a_task_and_its_method_share_their_space(digits: Splits) -> None:
    task = DistillationTask(digits.train, NETWORK, 1, 0, torch.device("cpu"))
    with pytest.raises(KnobError, match="the task's standard must be the method's, zca, got channels"):
        Distillation(task, DM(standard="zca"))
    with pytest.raises(KnobError, match="standard must be one of channels, zca, zca-pixels, got white"):
        DistillationTask(digits.train, NETWORK, 1, 0, torch.device("cpu"), standard="white")


def test_taken_images_are_those_of_the_whole_split(digits: Splits) -> None:
    task = DistillationTask(digits.train, NETWORK, 1, 0, torch.device("cpu"), standard="zca")
    rows = np.array([5, 900, 5])
    torch.testing.assert_close(task.take(rows), task.images[torch.tensor(rows)], rtol=0, atol=0)


@pytest.mark.parametrize("augment", ["none", "crop_rotate"])
@pytest.mark.parametrize("batch", [256, 7])
def test_certain_soft_labels_train_as_hard_ones(augment: str, batch: int, digits: Splits) -> None:
    hard = distill(digits.train, method=RandomReal(), network=NETWORK, ipc=2)
    soft = replace(hard, soft=np.eye(10, dtype=np.float32)[hard.labels])
    recipe = Recipe(networks=2, epochs=3, augment=augment, batch=batch)
    weights = []
    for made in (hard, soft):
        training = training_on(made, NETWORK, recipe)
        training.advance(3)
        weights.append(training.weights)
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-4, atol=1e-5)


def test_uncertain_labels_are_those_of_a_plain_loss(digits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    hard = distill(digits.train, method=RandomReal(), network=NETWORK, ipc=2)
    soft = 0.3 * np.random.default_rng(0).dirichlet(np.ones(10), 20) + 0.7 * np.eye(10)[hard.labels]
    made = replace(hard, soft=soft.astype(np.float32))
    recipe = Recipe(networks=1, epochs=1, augment="none", momentum=0, weight_decay=0, lr=0.1)
    training = training_on(made, NETWORK, recipe)
    before = {name: tensor[0].clone().requires_grad_() for name, tensor in training.weights.items()}
    stacked = {name: tensor[None] for name, tensor in before.items()}
    logits = NETWORK.logits(stacked, NETWORK.features(stacked, torch.tensor(made.images)))[0]
    loss = -(torch.tensor(made.soft) * logits.log_softmax(1)).sum(1).mean()
    gradients = torch.autograd.grad(loss, list(before.values()))
    training.piece = 3
    training.advance(1)
    for (name, tensor), gradient in zip(before.items(), gradients, strict=True):
        torch.testing.assert_close(training.weights[name][0], tensor - 0.1 * gradient, rtol=1e-4, atol=1e-6)


def test_the_standard_without_whitening_keeps_its_bits() -> None:
    pixels, mean, std = images(), np.array([0.1, 0.2, 0.3], np.float32), np.array([0.5, 2, 4], np.float32)
    standard = Standard(mean, std)
    expected = (pixels - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_array_equal(standard(pixels), expected)
    np.testing.assert_array_equal(standard.inverse(expected), expected * std[:, None, None] + mean[:, None, None])
