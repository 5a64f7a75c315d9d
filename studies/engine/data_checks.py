"""Checks that a study's data fit its plan, on the driver, before any worker starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mim4dd.errors import DataError, InputError
from mim4dd.methods.catalogue import METHODS, Method, standard_of
from mim4dd.networks import NETWORKS, Network
from mim4dd.records import ImageData, Splits
from mim4dd.registry import Flat, origin_of, unflatten
from studies.engine.conditions import Condition
from studies.engine.judging import JUDGES, judges_of, refusing
from studies.engine.options import Options
from studies.engine.problems import COST
from studies.engine.sizes import Size
from studies.engine.trial import Trial


def require_conditions(conditions: Sequence[Condition], splits: Splits, options: Options[Any], flat: Flat) -> None:
    """Apply every perturbation to the data, except pixel corruptions, and in a dry run cleanings, which take time.

    Raises: InputError for one that does not fit the data (no semantic map, other clean labels), or that leaves a class
    too few images under `--tail error`.
    """
    from perturbations import chain, label_noise, stage_of

    drawn = max([options.ipc, *(int(value) for key, value in flat.items() if key.endswith(".batch_real"))])
    for condition in conditions:
        stages = [(each, stage_of(each)) for each in condition.perturbations]
        perturbations = [
            each for each, stage in stages if not stage.of_pixels and not (stage.cleans and options.dry_run)
        ]
        try:
            smallest = int(chain(perturbations, splits.train, seed=options.seeds[0]).data.counts.min())
            chain(label_noise(perturbations), splits.validation, seed=options.seeds[0])
        except InputError as error:
            raise InputError(f"{condition.label}: {error}") from error
        if options.tail == "error" and smallest < drawn:
            raise InputError(
                f"{condition.label}: --tail error needs {drawn} images in every class, and the smallest class has "
                f"{smallest}; give --tail repeat or --tail cap"
            )


def require_images(splits: Splits, ipc: int) -> None:
    """Raises: DataError for more synthetic images per class than the smallest class has real ones."""
    counts = splits.train.counts
    smallest = int(counts.argmin())
    if counts[smallest] < ipc:
        raise DataError(
            f"--ipc must be at most the training images of the smallest class: '{splits.classes[smallest]}' has "
            f"{counts[smallest]}, got {ipc}"
        )


def require_size(conditions: Sequence[Condition], options: Options[Any], size: Size) -> None:
    """What can be known of a named data set without reading it.

    Raises: InputError for more synthetic images per class than it has on average, or a cue that its images cannot show.
    """
    if options.tail is None and options.ipc * size.classes > size.images:
        raise DataError(
            f"--ipc must be at most the training images of the smallest class: {options.dataset} has "
            f"{size.images // size.classes} of a class on average, got {options.ipc}"
        )
    labels = np.arange(2 * size.classes) % size.classes
    blank = ImageData(
        images=np.zeros((len(labels), *size.shape), np.float32),
        labels=labels,
        index=np.arange(len(labels)),
        classes=tuple(map(str, range(size.classes))),
        source=f"{options.dataset}/train",
    )
    for condition in conditions:
        if condition.cue is not None:
            condition.cue(blank, seed=0)


def require_networks(trials: Sequence[Trial], splits: Splits) -> None:
    """Raises: InputError for a network that cannot take the images, or does not give a score for each class."""
    configs = {_of_networks(trial.config): trial.config for trial in trials}
    needed = dict[tuple[Network, bool], None]()
    for config in configs.values():
        own = unflatten(NETWORKS, config, "network")
        # The blocks of the network that a set is distilled on enter the MI term; evaluating needs none. Costs are
        # measured on images of other shapes too.
        if origin_of(own) and COST not in config:
            needed[own, bool(config.get("method.weight"))] = None
        if JUDGES in config:
            needed |= {(judge.network, False): None for judge in judges_of(config).values()}
    for network, blocks in needed:
        _require_network(network, splits, blocks=blocks)


def require_bases(trials: Sequence[Trial], splits: Splits) -> None:
    """Ask each plug-in's method that is under the MI term for its first update, on two images a class.

    Raises: InputError for one that the term refuses. What else it raises may be due to this machine, which need not be
    one that runs trials: there it becomes a row's reason.
    """
    configs = {
        trial.config["method.base"]: trial.config
        for trial in trials
        if "method.base.plugin" in trial.config and trial.config["method.weight"] and COST not in trial.config
    }
    for config in configs.values():
        method = unflatten(METHODS, config, "method")
        if method.preparation is None:
            try:
                _first_update(method, unflatten(NETWORKS, config, "network"), splits)
            except InputError:
                raise
            except Exception:  # noqa: BLE001
                pass


def _first_update(method: Method, network: Network, splits: Splits) -> None:
    import torch

    from mim4dd.methods.task import DistillationTask

    labels, classes = splits.train.labels, range(len(splits.classes))
    few = splits.train.take(np.concatenate([np.flatnonzero(labels == label)[:2] for label in classes]))
    task = DistillationTask(few, network, 1, 0, torch.device("cpu"), "cap", standard=standard_of(method))
    pixels, y = method.initial(task)
    learnable = {"pixels": pixels.clone().requires_grad_(), **method.learnable(task)}
    next(iter(method.update_steps(task, learnable, y, 0)))


def _of_networks(config: Flat) -> tuple[object, ...]:
    """What of a trial's configuration `require_networks` reads."""
    network = tuple(sorted((key, value) for key, value in config.items() if f"{key}.".startswith("network.")))
    return network, config.get(JUDGES), bool(config.get("method.weight"))


def _require_network(network: Network, splits: Splits, *, blocks: bool) -> None:
    shape = splits.train.shape
    with refusing(network):
        if blocks or not origin_of(network):
            network.block_shapes(shape)
        if origin_of(network):  # ours give as many scores as there are classes
            import torch

            draws = [torch.Generator().manual_seed(0)]
            network.initial(shape, len(splits.classes), draws, torch.device("cpu"))
