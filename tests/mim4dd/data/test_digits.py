"""The embedded digits: counts, cuts and what reading them costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mim4dd.data import load
from mim4dd.records import Splits

# the cuts are a promise: every result on digits rests on them
DIGEST = "e63841ece4fdcf20"


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load("digits")


def test_counts_are_exact_and_stratified(splits: Splits) -> None:
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == [1100, 300, 397]
    whole = sum(part.counts for part in parts)
    assert whole.sum() == 1797
    for part in parts:
        # two cuts by largest remainder, each off by less than one
        assert np.abs(part.counts - whole * len(part) / 1797).max() < 2


def test_splits_are_disjoint_and_complete(splits: Splits) -> None:
    index = np.concatenate([splits.train.index, splits.validation.index, splits.test.index])
    np.testing.assert_array_equal(np.sort(index), np.arange(1797))


def test_pixels_and_names(splits: Splits) -> None:
    assert splits.name == splits.train.source == "digits"
    assert splits.classes == tuple("0123456789")
    assert splits.train.shape == (1, 8, 8)
    for part in (splits.train, splits.validation, splits.test):
        assert part.images.dtype == np.float32
        assert part.images.flags.c_contiguous
        assert part.labels.dtype == part.index.dtype == np.int64
        assert (part.images.min(), part.images.max()) == (0, 1)
        assert set(np.unique(part.images * 16)) <= set(range(17))


def test_index_finds_the_image_in_the_published_order(splits: Splits) -> None:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    for part in (splits.train, splits.validation, splits.test):
        np.testing.assert_array_equal(part.images.reshape(-1, 64) * 16, images[part.index])
        np.testing.assert_array_equal(part.labels, labels[part.index])


def test_same_bits_in_another_process(splits: Splits) -> None:
    code = "from mim4dd.data import load; print(load('digits').digest)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == splits.digest == DIGEST


def test_split_seed_moves_validation_only(splits: Splits) -> None:
    other = load("digits", split_seed=1)
    assert other.test.digest == splits.test.digest
    assert set(other.validation.index) != set(splits.validation.index)
    np.testing.assert_array_equal(other.validation.counts, splits.validation.counts)


def test_neither_import_nor_reading_needs_a_heavy_library() -> None:
    code = (
        "import sys, numpy, time; start = time.perf_counter(); import mim4dd.data as d; d.load('digits');"
        "heavy = {'torch', 'torchvision', 'sklearn', 'scipy', 'PIL'} & set(sys.modules);"
        "print(time.perf_counter() - start, *heavy)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert output[1:] == []
    # measured 0.06; the limit allows for a busy machine
    assert float(output[0]) < 0.5
