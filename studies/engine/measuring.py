"""The measurements in a trial's row: its training data, scores, information, and measures of its synthetic set."""

from __future__ import annotations

import math
import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mim4dd.registry import Flat
from perturbations.cues.planting import cue_in
from studies.engine.problems import COST
from studies.engine.trial import Inputs, Trial

if TYPE_CHECKING:
    import torch

    from mim4dd.methods import Method
    from mim4dd.methods.loop import Distillation
    from mim4dd.methods.task import DistillationTask
    from mim4dd.networks import Network
    from mim4dd.networks.stacked import Params
    from mim4dd.records import ImageData, Integers, Score, Splits, Synthetic
    from perturbations import Perturbed, PlantedCue

# Transition matrices of more classes are left out: they would make rows long and figures unreadable.
LARGEST_MATRIX = 20


def training_data(task: DistillationTask, perturbed: Perturbed, method: Method) -> dict[str, Any]:
    """The perturbed training split: images of each class, realised perturbations, classes with too few images."""
    from mim4dd.methods.catalogue import batch_shares, ipc_shares, real_images_a_batch

    counts = perturbed.data.counts
    steps = {name: {**realised} for name, realised in perturbed.realised.items()}
    for step in steps.values():
        for key in ("transition", "asked"):
            if len(counts) > LARGEST_MATRIX:
                step.pop(key, None)
            elif step.get(key) is not None:
                step[key] = [[round(value, 5) for value in row] for row in step[key]]
    return {
        "classes": list(perturbed.data.classes),
        "train_counts": counts.tolist(),
        # By true class: label noise adds other classes' images to a small class, which hides that it is small.
        "clean_counts": np.bincount(perturbed.clean_labels, minlength=len(counts)).tolist(),
        "wrong_labels": float(perturbed.flipped.mean()),
        "perturbed": steps,
        "tail": {
            "policy": task.tail,
            "short_of_ipc": task.shortfall(task.ipc, ipc_shares(method)),
            "short_of_batch": task.shortfall(real_images_a_batch(method), batch_shares(method)),
            "absent": task.shortfall(1),
        },
    }


def validated(
    params: Params, network: Network, synthetic: Synthetic, clean: ImageData, noisy: ImageData | None
) -> dict[str, Any]:
    """Accuracy, recall and usable information on clean validation labels; with noisy labels, accuracy on these too."""
    from mim4dd.evaluation import tally

    predictions, scores = scored(params, network, synthetic, clean, "validation")
    if noisy is not None:
        scores["noisy_validation_accuracy"] = tally(predictions, noisy).accuracy.tolist()
        scores["noisy_validation_wrong_labels"] = float((noisy.labels != clean.labels).mean())
    return scores


def scored(
    params: Params, network: Network, synthetic: Synthetic, real: ImageData, split: str
) -> tuple[Integers, dict[str, Any]]:
    """The predictions of each network, [networks, N], with its accuracy, recall and usable information for JSON."""
    from mim4dd.evaluation import class_scores, tally
    from mim4dd.information import usable_information_nats

    scores = class_scores(params, network, synthetic, real)
    predictions = scores.argmax(2).cpu().numpy()
    accuracy, recall = plain(tally(predictions, real))
    nats = finite(usable_information_nats(scores, real.labels).tolist())
    measured = {f"{split}_accuracy": accuracy, f"{split}_recall": recall, "usable_information_nats": nats}
    return predictions, measured


def set_measures(
    trial: Trial,
    network: Network,
    inputs: Inputs,
    perturbed: Perturbed,
    params: Params,
    synthetic: Synthetic,
    cue: PlantedCue | None,
) -> dict[str, float]:
    """The measures of the synthetic set and its networks that failure detectors read; of `full`, only the networks'.

    With a planted cue, those by the reference are left out: it knows no such images.
    """
    from studies.engine.failures.measures import flipped_agreement, synthetic_measures

    measures = flipped_agreement(params, network, synthetic, perturbed)
    if trial.config["method"] == "full" or cue is not None:
        return measures
    return synthetic_measures(synthetic, inputs.trained_reference(), inputs.splits.train) | measures


def reads_reference(config: Flat) -> bool:
    """Whether a trial that distils reads the reference network: not to measure a stage, nor with a planted cue.

    The reference knows no images with a cue.
    """
    return COST not in config and cue_in(str(config.get("perturb", ""))) is None


def information(
    task: DistillationTask,
    method: Method,
    distillation: Distillation,
    splits: Splits,
    inputs: Inputs,
    cue: PlantedCue | None,
) -> dict[str, float | None]:
    """The reference network's agreement with the labels of the set, and the bound of the MI term's critic, in nats.

    splits: as the trial sees them. With a planted cue there is no agreement: the reference knows no such images.
    """
    from mim4dd.information import label_agreement
    from mim4dd.methods import Mim

    synthetic = distillation.synthetic()
    agreement = label_agreement(inputs.trained_reference(), synthetic, splits) if cue is None else None
    nats: dict[str, float | None] = {"label_agreement_nats": agreement}
    if isinstance(method, Mim):
        pixels: torch.Tensor = distillation.learnable["pixels"].detach()
        nats["critic_information_nats"] = method.critic_information(
            task, distillation.learnable, pixels, distillation.labels, splits.validation
        )
    return nats


def machine(device: str) -> dict[str, Any]:
    """The node, device and threads of this process."""
    import torch

    return {
        "node": platform.node(),
        "device": device,
        "processor": processor(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


@cache
def processor(device: str) -> str:
    """The model of the processor or GPU that computes; "" where the system does not tell."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def plain(score: Score) -> tuple[list[float], list[list[float | None]]]:
    """Accuracies [networks] and recalls [networks, classes] for JSON; the recall of a class without images is None."""
    return score.accuracy.tolist(), [finite(row) for row in score.recall.tolist()]


def finite(values: list[float]) -> list[float | None]:
    """The values for JSON, None for those that are not finite."""
    return [value if math.isfinite(value) else None for value in values]
