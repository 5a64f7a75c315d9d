"""Test images that are training images too are counted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from mim4dd.data import load
from mim4dd.data.overlap import overlap_notes

IMAGES = np.random.default_rng(0).integers(0, 256, size=(40, 6, 5), dtype=np.uint8)
LABELS = np.arange(40) % 4


def test_they_are_counted_whatever_their_labels(tmp_path: Path) -> None:
    test = np.concatenate([IMAGES[:3], 255 - IMAGES[:5]])
    np.savez(
        tmp_path / "toy.npz", train_images=IMAGES, train_labels=LABELS, test_images=test, test_labels=LABELS[:8][::-1]
    )
    assert load(f"npz:{tmp_path}/toy.npz").notes == (
        "test images that are also training images, pixel for pixel: 3 of 8; accuracy on them says nothing about new "
        "images",
    )


def test_a_set_without_any_has_no_note() -> None:
    splits = load("digits")
    assert splits.notes == ()
    assert overlap_notes(splits.train, splits.test) == []
    assert overlap_notes(splits.train, splits.train)[0].endswith(
        "1100 of 1100; accuracy on them says nothing about new images"
    )


def test_it_takes_less_than_a_second_for_mnist() -> None:
    root = os.environ.get("MIM4DD_DATA", "")
    if not root or not (Path(root) / "MNIST" / "raw").is_dir():
        pytest.skip("MIM4DD_DATA names no folder with MNIST/raw")
    splits = load("mnist", data_root=root)
    began = time.perf_counter()
    assert overlap_notes(splits.train, splits.test) == []
    # measured 0.2 s; the limit allows for a busy machine
    assert time.perf_counter() - began < 1
