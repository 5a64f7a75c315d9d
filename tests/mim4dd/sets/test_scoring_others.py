"""The proof: a set that plain torch wrote as DC's and MTT's code do scores here as plain torch itself scores it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_convnet import PlainConvNet, train_plain
from torch import Tensor

import mim4dd
from mim4dd.evaluation import evaluate
from mim4dd.records import Splits
from mim4dd.train import Recipe, Streams, fresh_networks

NETWORK = mim4dd.ConvNet(width=16)
RECIPE = Recipe(networks=3, epochs=60, augment="none")
MEAN, STD = 0.3053, 0.3760


@pytest.fixture(scope="module")
def digits() -> Splits:
    return mim4dd.load("digits")


@pytest.fixture(scope="module")
def distilled(digits: Splits) -> Tensor:
    """Pixels of two images a class that dm has learned, [20, 1, 8, 8]."""
    made = mim4dd.distill(digits.train, method=mim4dd.DM(iterations=30, batch_real=32), network=NETWORK, ipc=2)
    return torch.tensor(made.pixels)


def plain_zca(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, matrix) as MTT's code whitens: float32, of the pixels, an eps of 0.1."""
    flat = pixels.flatten(1)
    centred = flat - flat.mean(0, keepdim=True)
    vectors, values, _ = torch.linalg.svd(centred.T @ centred / (len(flat) - 1))
    return flat.mean(0, keepdim=True), vectors @ torch.diag((values + 0.1).rsqrt()) @ vectors.T


def plain_accuracy(images: Tensor, labels: Tensor, test: Tensor, truth: Tensor) -> float:
    """The mean accuracy of networks that plain torch trains one by one, from the weights that the evaluation draws."""
    start = fresh_networks(NETWORK, (1, 8, 8), 10, Streams.first("evaluation", 0, 3), torch.device("cpu"))
    right = []
    for g in range(RECIPE.networks):
        network = PlainConvNet(1, 16, 2, 4, 10).take(start, g)
        train_plain(network, images, labels, RECIPE, lambda epoch: torch.arange(len(images)))
        with torch.no_grad():
            right.append((network(test).argmax(1) == truth).float().mean().item())
    return float(np.mean(right))


@pytest.mark.parametrize("layout", ["DC", "MTT", "MTT with ZCA"])
def test_it_scores_as_plain_torch_scores_it(layout: str, distilled: Tensor, digits: Splits, tmp_path: Path) -> None:
    labels, held_out = torch.arange(10).repeat_interleave(2), digits.test
    real = torch.tensor(held_out.images)
    given: dict[str, Any] = {}
    if layout == "MTT with ZCA":
        mean, matrix = plain_zca(torch.tensor(digits.train.images))
        images, test = (((one.flatten(1) - mean) @ matrix).view(one.shape) for one in (distilled, real))
        given["standard"] = "zca-pixels"
    else:
        images, test = ((one - MEAN) / STD for one in (distilled, real))
        given["standard"] = f"{MEAN}/{STD}"
    if layout == "DC":
        path = tmp_path / "res_DM_digits_ConvNet_2ipc.pt"
        torch.save(
            {"data": [[images * 0, labels], [images, labels]], "accs_all_exps": {"ConvNet": [np.float64(1)]}}, path
        )
    else:
        path = tmp_path / "images_best.pt"
        torch.save(images, path)
        torch.save(labels, tmp_path / "labels_best.pt")
    synthetic, _ = mim4dd.read_set(path, data=digits, **given)
    ours = evaluate(synthetic, held_out, network=NETWORK, recipe=RECIPE).mean
    theirs = plain_accuracy(images, labels, test, torch.tensor(held_out.labels))
    assert theirs > 0.6
    assert abs(ours - theirs) < 0.006
