"""The same numbers from other people's libraries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mim4dd.records import ImageData
from perturbations import ExponentialImbalance, MatrixNoise, SymmetricNoise

Make = Callable[..., ImageData]


def test_imbalanced_learn_keeps_as_many_images(make: Make) -> None:
    datasets = pytest.importorskip("imblearn.datasets", reason="imbalanced-learn is a development dependency")
    data = make([300] * 6)
    wanted = {k: int(300 * 30 ** (-k / 5) + 1e-9) for k in range(6)}
    _, labels = datasets.make_imbalance(data.images[:, 0, 0], data.labels, sampling_strategy=wanted, random_state=0)
    made = ExponentialImbalance(factor=30.0)(data, seed=0)
    assert np.bincount(labels).tolist() == made.data.counts.tolist()


def test_cleanlab_makes_as_many_of_each_label(make: Make) -> None:
    noise = pytest.importorskip("cleanlab.benchmarking.noise_generation", reason="cleanlab is a development dependency")
    transition = np.array([[0.7, 0.2, 0.1], [0.05, 0.8, 0.15], [0.3, 0.0, 0.7]])
    data = make([500, 400, 300])
    np.random.seed(0)  # noqa: NPY002 - cleanlab draws from it
    # Its matrix has true classes as columns.
    theirs = noise.generate_noisy_labels(data.labels, transition.T)
    ours = MatrixNoise.of(transition)(data, seed=0)
    table = np.array([np.bincount(theirs[data.labels == k], minlength=3) for k in range(3)])
    assert np.abs(table / data.counts[:, None] - ours.realised["transition"]).max() <= 1.01 / 300


def test_cleanlab_reads_our_transition_matrix_and_finds_the_true_shares(make: Make) -> None:
    algebra = pytest.importorskip("cleanlab.internal.latent_algebra", reason="cleanlab is a development dependency")
    counting = pytest.importorskip("cleanlab.count", reason="cleanlab is a development dependency")
    data = make([400, 300, 200, 100])
    made = SymmetricNoise(rate=0.3)(data, seed=0)
    realised = np.array(made.realised["transition"])
    given, true, inverse = algebra.compute_ps_py_inv_noise_matrix(made.data.labels, realised.T)
    assert given == pytest.approx(np.array(made.realised["counts"]) / 1000)
    assert true == pytest.approx(data.counts / 1000)
    assert inverse.sum(0) == pytest.approx(np.ones(4))
    # Told the truth, confident learning counts our confusion matrix: given labels as rows.
    certain = np.eye(4)[data.labels]
    joint = counting.compute_confident_joint(made.data.labels, certain, calibrate=False)
    assert (joint.T == realised * data.counts[:, None]).all()
