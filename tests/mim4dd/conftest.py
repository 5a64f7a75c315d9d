"""What the library's tests share: the embedded digits, and a task small enough to distil in a moment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mim4dd.data import load
from mim4dd.methods import Method
from mim4dd.methods.loop import Distillation
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import ConvNet, Network
from mim4dd.records import Splits


@pytest.fixture(scope="session")
def digits() -> Splits:
    return load("digits")


@pytest.fixture(scope="session")
def start(digits: Splits) -> Callable[..., Distillation]:
    """start(method, network=, ipc=, seed=, few=): a run on digits, or on few of them, that has not yet taken a step."""
    of_each = np.concatenate([np.flatnonzero(digits.train.labels == c)[:3] for c in range(10)])

    def begin(
        method: Method, network: Network | None = None, ipc: int = 2, seed: int = 0, *, few: bool = False
    ) -> Distillation:
        train = digits.train.take(of_each) if few else digits.train
        task = DistillationTask(train, network or ConvNet(width=8), ipc, seed, torch.device("cpu"))
        return Distillation(task, method)

    return begin
