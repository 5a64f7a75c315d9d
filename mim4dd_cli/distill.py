"""`mim4dd distill`: perturb, distil, save."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mim4dd.errors import InputError
from mim4dd.registry import Flat, unflatten
from mim4dd_cli.device import checked_device

if TYPE_CHECKING:
    from mim4dd.methods import Method
    from mim4dd.networks import Network
    from mim4dd.records import ImageData, Synthetic


def distill(given: argparse.Namespace) -> int:
    """Run the verb; the exit status."""
    from mim4dd.configuration import assignments, configure
    from mim4dd.data import load
    from mim4dd.memory import keep_freed_memory
    from mim4dd.methods import METHODS
    from mim4dd.networks import NETWORKS
    from perturbations import chain, parse_chain, text_of

    perturbations = parse_chain(given.perturb)
    if given.quick and given.protocol:
        raise InputError("--quick is --protocol quick; give one of them")
    protocol = "quick" if given.quick else given.protocol or ("digits" if given.dataset == "digits" else "paper")
    configuration = configure(
        source=given.dataset.partition(":")[0],
        method={"method": given.method},
        network=given.network,
        protocol_name=protocol,
        assigned=assignments(given.assigned, "--set"),
    )
    flat = configuration.flat
    source = {key.partition(".")[2]: value for key, value in flat.items() if key.startswith("source.")}
    splits = load(
        given.dataset,
        data_root=given.data_root,
        download=given.download,
        split_seed=given.split_seed,
        knobs=source,
        classes_as=given.classes_as,
    )
    method, network = unflatten(METHODS, flat, "method"), unflatten(NETWORKS, flat, "network")
    _make_folder(given.out)
    keep_freed_memory()
    perturbed = chain(perturbations, splits.train, seed=given.seed)
    for name, realised in perturbed.realised.items():
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in realised.items() if k not in ('transition', 'asked'))}")
    synthetic = _watched(perturbed.data, method, network, given)
    recipe = {key: value for key, value in flat.items() if key.startswith("evaluation")}
    where = {
        "perturb": text_of(perturbations),
        "realised": perturbed.realised,
        "dataset": str(given.dataset),
        "classes_as": given.classes_as,
        "split_seed": given.split_seed,
        "protocol": protocol,
    }
    synthetic = replace(synthetic, config={**synthetic.config, **where, **recipe, **_prefixed(source)})
    synthetic.save(given.out / "synthetic.safetensors")
    print(
        f"{len(synthetic.labels)} images of {len(synthetic.classes)} classes in {given.out / 'synthetic.safetensors'}"
    )
    return 0


def _watched(train: ImageData, method: Method, network: Network, given: argparse.Namespace) -> Synthetic:
    """Distil, saying now and then how far it is."""
    import time

    import torch

    from mim4dd.methods.catalogue import real_images_a_batch
    from mim4dd.methods.loop import Distillation
    from mim4dd.methods.task import DistillationTask

    tail = given.tail or ("repeat" if given.perturb else "")
    if not tail:
        DistillationTask(train, network, given.ipc, given.seed, torch.device("cpu"), "error")
    task = DistillationTask(
        train, network, given.ipc, given.seed, torch.device(checked_device(given.device)), tail or "repeat"
    )
    for wanted, what in ((given.ipc, "images"), (real_images_a_batch(method), "real images a batch")):
        short = task.shortfall(wanted)
        if short:
            print(f"tail {task.tail}: {wanted} {what} are drawn of each class, fewer are in {', '.join(short)}")
    run, began, said = Distillation(task, method), time.monotonic(), 0.0
    while not run.finished:
        run.advance(run.iteration + run.every)
        passed = time.monotonic() - began
        if passed - said > 5:
            said, left = passed, passed * (method.iterations / max(1, run.iteration) - 1)
            losses = ", ".join(f"{k} {v:.4g}" for k, v in run.history[-1].items() if k.startswith("loss/"))
            print(f"iteration {run.iteration} of {method.iterations}, {losses}, {left:.0f} s left", flush=True)
    if run.diverged:
        raise FloatingPointError(f"the run diverged: {run.diverged}")
    return run.synthetic()


def _prefixed(source: Flat) -> dict[str, Any]:
    return {f"source_knob.{key}": value for key, value in source.items()}


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {path} cannot be written: {error.strerror}") from error
