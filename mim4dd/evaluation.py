"""Scores a synthetic set: fresh networks are trained on it and classify real images that they have not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mim4dd.errors import InputError
from mim4dd.given import require_images
from mim4dd.networks import NETWORKS, Network
from mim4dd.networks.precision import multiplying
from mim4dd.records import ImageData, Integers, Score, Synthetic
from mim4dd.resolving import chosen
from mim4dd.train import RECIPES, Recipe, Streams, Training, fresh_networks

if TYPE_CHECKING:
    from torch import Tensor

    from mim4dd.networks.stacked import Params


def train_on(synthetic: Synthetic, network: Network, recipe: Recipe, *, seed: int = 0, device: str = "cpu") -> Params:
    """Train `recipe.networks` fresh networks on the set; returns their parameters, stacked.

    Their initial weights and orders depend on `seed` alone: every method's set is scored with the same networks.
    """
    training = training_on(synthetic, network, recipe, seed=seed, device=device)
    training.advance(training.epochs)
    return training.params


def training_on(
    synthetic: Synthetic, network: Network, recipe: Recipe, *, seed: int = 0, device: str = "cpu"
) -> Training:
    """Return the training that `train_on` runs, before its first epoch.

    Raises: InputError for a set that diverged: its images are not finite.
    """
    import torch

    if not np.isfinite(synthetic.images).all():
        raise InputError("the synthetic images must be finite to train on, as those of a run that diverged are not")
    shape, torch_device = synthetic.images.shape[1:], torch.device(device)
    streams = Streams.first("evaluation", seed, recipe.networks)
    params = fresh_networks(network, shape, len(synthetic.classes), streams, torch_device)
    targets = synthetic.labels if synthetic.soft is None else synthetic.soft
    images, labels = (torch.tensor(array, device=torch_device) for array in (synthetic.images, targets))
    source = str(synthetic.config.get("source", ""))
    return Training(network, params, images, labels, recipe, streams, source)


def class_scores(params: Params, network: Network, synthetic: Synthetic, real: ImageData) -> Tensor:
    """The class scores of each trained network for each real image, standardised like the set, [networks, N, C].

    Raises: InputError when the images or classes differ from the synthetic set's.
    """
    import torch

    from mim4dd.networks.chunks import predict

    require_images(real, "real")
    if real.shape != synthetic.images.shape[1:] or real.classes != synthetic.classes:
        raise InputError(
            f"the synthetic set has {len(synthetic.classes)} classes of {list(synthetic.images.shape[1:])} images, "
            f"{real.source} has {len(real.classes)} of {list(real.shape)}"
        )
    device = next(iter(params.values())).device
    return predict(network, params, torch.from_numpy(synthetic.standard(real.images)).to(device))


def classify(params: Params, network: Network, synthetic: Synthetic, real: ImageData) -> Integers:
    """The class that each trained network predicts for each real image, [networks, N]; see `class_scores`."""
    return np.asarray(class_scores(params, network, synthetic, real).argmax(2).cpu().numpy())


def require_finite(scores: Tensor) -> None:
    """Raises: FloatingPointError where networks diverged: the first class would count as what they predict.

    scores: [networks, N, C], of `class_scores`.
    """
    import torch

    lost = int((~torch.isfinite(scores).flatten(1).all(1)).sum())
    if lost:
        raise FloatingPointError(
            f"{lost} of {len(scores)} networks diverged: their class scores are not finite; lower evaluation.lr, or "
            "mend the network"
        )


def tally(predictions: Integers, real: ImageData) -> Score:
    """Accuracy and recall of each network's predictions, [networks, N], against the labels of `real`."""
    right = predictions == real.labels
    member = np.eye(len(real.classes))[real.labels]
    with np.errstate(invalid="ignore"):
        recall = right @ member / member.sum(0)
    return Score(real.source, right.mean(1), recall)


def score(params: Params, network: Network, synthetic: Synthetic, real: ImageData) -> Score:
    """Accuracy and recall of each trained network on real images; see `classify` and `tally`."""
    return tally(classify(params, network, synthetic, real), real)


def evaluate(
    synthetic: Synthetic,
    real: ImageData,
    *,
    network: Network | str = "convnet",
    recipe: Recipe | str = "standard",
    seed: int = 0,
    device: str = "cpu",
) -> Score:
    """Train fresh networks on the synthetic set and score them on one split of real images.

    network, recipe: a component, or its name with knobs, `resnet18`, `convnet:width=32`, `standard:epochs=300`.
    Raises: InputError, UnknownNameError or KnobError for a name or knob that does not exist, and where the set or the
    images do not fit; FloatingPointError where networks diverge.
    """
    trained, by = chosen(NETWORKS, network, "network"), chosen(RECIPES, recipe, "recipe")
    params = train_on(synthetic, trained, by, seed=seed, device=device)
    with multiplying(by.precision):
        scores = class_scores(params, trained, synthetic, real)
    require_finite(scores)
    return tally(scores.argmax(2).cpu().numpy(), real)
