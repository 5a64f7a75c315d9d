"""`load(train=...)`: people's own parts become the splits that a named set would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import mim4dd
from mim4dd import ImageData, load

LEVELS = np.random.default_rng(0).integers(0, 256, size=(60, 6, 5), dtype=np.uint8)
LABELS = np.arange(60) % 4
TRAIN, TEST, VALIDATION = ((LEVELS[rows], LABELS[rows]) for rows in (slice(40), slice(40, 48), slice(48, 60)))
Refusal = Callable[[Callable[[], object]], str]


def test_pairs_are_split_as_the_same_arrays_in_an_archive(tmp_path: Path) -> None:
    for test in (None, TEST):
        arrays = dict(zip(("train_images", "train_labels"), TRAIN, strict=True))
        if test:
            arrays |= dict(zip(("test_images", "test_labels"), test, strict=True))
        np.savez(tmp_path / "toy.npz", **arrays)
        for seed in (0, 1):
            archive = load(f"npz:{tmp_path}/toy.npz", split_seed=seed)
            assert load(train=TRAIN, test=test, name="toy", split_seed=seed).digest == archive.digest
    splits = load(train=TRAIN)
    assert (splits.name, splits.train.source, splits.test.source) == ("arrays", *["arrays:arrays/train"] * 2)
    assert splits.test.digest != load(train=TRAIN, name="toy").test.digest
    assert load(train=TRAIN, test=TEST, name="toy").test.source == "arrays:toy/test"


def test_parts_of_every_kind_are_one_set() -> None:
    pair = load(train=TRAIN, test=TEST)
    tensors = TensorDataset(torch.from_numpy(TRAIN[0]), torch.from_numpy(TRAIN[1]))
    record = ImageData.from_arrays(*TEST)
    for train in (TRAIN, tensors, ImageData.from_arrays(*TRAIN)):
        for test in (TEST, list(zip(*TEST, strict=True)), record):
            assert load(train=train, test=test).digest == pair.digest


def test_a_validation_part_is_kept_and_none_is_cut() -> None:
    splits = load(train=TRAIN, test=TEST, validation=VALIDATION)
    np.testing.assert_array_equal(splits.train.labels, TRAIN[1])
    np.testing.assert_array_equal(splits.validation.images[:, 0], VALIDATION[0] / np.float32(255))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [40, 12, 8]
    cut = load(train=TRAIN, validation=VALIDATION)
    assert [len(part) for part in (cut.train, cut.validation, cut.test)] == [32, 12, 8]
    assert splits.notes == ()


def test_images_that_are_in_two_parts_are_told() -> None:
    mixed = tuple(np.concatenate([a[:3], b]) for a, b in zip(TRAIN, TEST, strict=True))
    line = "images that are also training images, pixel for pixel: 3 of 11; accuracy on them says nothing about new"
    assert load(train=TRAIN, test=mixed).notes == (f"test {line} images",)
    assert load(train=TRAIN, test=TEST, validation=mixed).notes == (f"validation {line} images",)


def test_classes_of_train_hold_for_parts_without_names() -> None:
    train = ImageData.from_arrays(*TRAIN, classes=list("abcd"))
    few = (TEST[0][:3], TEST[1][:3])
    splits = load(train=train, test=few, validation=list(zip(*VALIDATION, strict=True)))
    assert splits.test.classes == splits.validation.classes == splits.classes == ("a", "b", "c", "d")


def test_the_splits_distil_and_are_scored() -> None:
    splits = load(train=(LEVELS.repeat(2, axis=1).repeat(2, axis=2), LABELS))
    network = mim4dd.ConvNet(width=4, depth=1)
    synthetic = mim4dd.distill(splits.train, method=mim4dd.RandomReal(), network=network)
    score = mim4dd.evaluate(synthetic, splits.validation, network=network, recipe=mim4dd.Recipe(epochs=1))
    assert 0 <= score.mean <= 1


NAMED = ImageData.from_arrays(*TEST, classes=list("abcd"))
SPEC = "load needs a spec such as 'digits', or your own images as train=, and not both; got"
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({}, f"{SPEC} neither"),
    "test alone": ({"test": TEST}, f"{SPEC} neither"),
    "both": ({"spec": "digits", "train": TRAIN}, f"{SPEC} both"),
    "a named set's test": ({"spec": "digits", "test": TEST}, "test goes with train=: leave it out"),
    "a named set's name": ({"spec": "digits", "name": "mine"}, "name goes with train=: leave it out"),
    "a data root": ({"train": TRAIN, "data_root": "data"}, "data_root goes with a spec: leave it out"),
    "knobs": ({"train": TRAIN, "knobs": {"size": 8}}, "knobs goes with a spec: leave it out"),
    "a name": ({"train": TRAIN, "name": "a\nb"}, r"name must be printable UTF-8, got 'a\nb'"),
    "no name": ({"train": TRAIN, "name": ""}, "name must be a text that names your set, got ''"),
    "images alone": ({"train": TRAIN[0]}, "arrays:arrays/train: item 0 must be a pair (image, label), got ndarray"),
    "three": ({"train": (*TRAIN, 1)}, "train must be a pair (images, labels), got 3 entries"),
    "a text": ({"train": "digits"}, "train must be an ImageData, a torch data set or a pair (images, labels), got str"),
    "a number": ({"train": TRAIN, "test": 3}, "test must be an ImageData, a torch data set or a pair"),
    "splits": ({"train": load("digits")}, "train must be an ImageData, a torch data set or a pair"),
    "no images": ({"train": NAMED.take(np.arange(0))}, "train must have images, got none"),
    "other classes": (
        {"train": TRAIN, "test": NAMED},
        "test must have the classes of train, 4 (0, 1, 2, ...), got 4 (a, b, c, ...); give both the same with classes=",
    ),
    "a new class": (
        {"train": TRAIN, "test": (TEST[0], TEST[1] + 1)},
        "arrays:arrays/test: labels must be in [0, 3], as there are 4 classes, got 4",
    ),
    "another shape": (
        {"train": TRAIN, "validation": (VALIDATION[0][:, :4], VALIDATION[1])},
        "validation must be like train, [1, 6, 5] as [channels, H, W], got [1, 4, 5]",
    ),
    "one class": ({"train": (TRAIN[0], TRAIN[1] * 0)}, "arrays must have at least two classes, got 1"),
    "a class without images": (
        {"train": replace(NAMED, labels=NAMED.labels // 2), "test": TEST, "validation": NAMED},
        "arrays: every class needs a training image, got none of c, d",
    ),
    "few images": ({"train": (TRAIN[0][:4], TRAIN[1][:4])}, "4 images in 4 classes are too few to set 1 of them aside"),
}


@pytest.mark.parametrize("case", BAD)
def test_parts_that_cannot_be_used(case: str, refusal: Refusal) -> None:
    given, line = BAD[case]
    assert line in refusal(lambda: load(**given))


def test_many_classes_need_memory(monkeypatch: pytest.MonkeyPatch, refusal: Refusal) -> None:
    train = (np.zeros((4000, 1, 1), np.uint8), np.arange(4000) % 1000)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10**7))
    assert "a network's scores of 800 images in 1,000 classes would take 28 MB" in refusal(lambda: load(train=train))
