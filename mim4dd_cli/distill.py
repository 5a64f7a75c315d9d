"""`mim4dd distill`: perturb, distil, save."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mim4dd.errors import InputError
from mim4dd.methods.tails import IPC
from mim4dd.registry import Flat, check_value, unflatten
from mim4dd_cli.device import allocating, checked_device
from mim4dd_cli.output import require_writable, storing

if TYPE_CHECKING:
    from mim4dd.methods import Method
    from mim4dd.networks import Network
    from mim4dd.records import ImageData, Synthetic


# Entries of a perturbation's record that fill lines.
TABLES = ("transition", "asked", "cue_counts")


def distill(arguments: argparse.Namespace) -> int:
    """Run `mim4dd distill`; returns the exit status."""
    from mim4dd.configuration import assignments, configure
    from mim4dd.data import load
    from mim4dd.memory import keep_freed_memory
    from mim4dd.methods import METHODS
    from mim4dd.networks import NETWORKS
    from perturbations import chain, parse_chain, text_of

    check_value("ipc", IPC, arguments.ipc)
    perturbations = parse_chain(arguments.perturb)
    if arguments.quick and arguments.protocol:
        raise InputError("--quick is --protocol quick; give one of them")
    usual = "digits" if arguments.dataset == "digits" else "paper"
    protocol = "quick" if arguments.quick else arguments.protocol or usual
    configuration = configure(
        source=arguments.dataset.partition(":")[0],
        method={"method": arguments.method},
        network=arguments.network,
        protocol_name=protocol,
        assigned=assignments(arguments.assigned, "--set"),
    )
    flat = configuration.flat
    source = {key.partition(".")[2]: value for key, value in flat.items() if key.startswith("source.")}
    origin = _origin(arguments)
    splits = load(
        origin["dataset"],
        data_root=origin["data_root"],
        download=arguments.download,
        split_seed=origin["split_seed"],
        knobs=source,
        classes_as=origin["classes_as"],
    )
    for note in splits.notes:
        print(note)
    method, network = unflatten(METHODS, flat, "method"), unflatten(NETWORKS, flat, "network")
    file = arguments.out / "synthetic.safetensors"
    require_writable(f"--out {arguments.out}", file)
    if file.exists() and not arguments.overwrite:
        raise InputError(f"--out {arguments.out} holds a synthetic set; give another folder, or --overwrite")
    keep_freed_memory()
    perturbed = chain(perturbations, splits.train, seed=arguments.seed)
    for name, realised in perturbed.realised.items():
        print(f"{name}: {', '.join(f'{k} {_shown(v)}' for k, v in realised.items() if k not in TABLES)}")
    with allocating():
        synthetic = _distilled(perturbed.data, method, network, arguments)
    recipe = {key: value for key, value in flat.items() if key.startswith("evaluation")}
    origin |= {"data_digest": splits.digest, "protocol": protocol}
    origin |= {"perturb": text_of(perturbations), "realised": perturbed.realised}
    synthetic = replace(synthetic, config={**synthetic.config, **origin, **recipe, **_prefixed(source)})
    with storing(file):
        synthetic.save(file)
        for pattern in ("synthetic.png", "validation*.json", "test*.json"):
            for earlier in arguments.out.glob(pattern):
                earlier.unlink()
    print(f"{len(synthetic.labels)} images of {len(synthetic.classes)} classes in {file}")
    return 0


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _origin(arguments: argparse.Namespace) -> dict[str, Any]:
    """How the data set can be read again from any folder, as the set's configuration records it."""
    from mim4dd.data import located

    dataset, data_root = located(arguments.dataset, arguments.data_root)
    origin = {"dataset": dataset, "data_root": data_root, "classes_as": arguments.classes_as}
    return {**origin, "split_seed": arguments.split_seed}


def _distilled(train: ImageData, method: Method, network: Network, arguments: argparse.Namespace) -> Synthetic:
    """Distil, printing the progress every few seconds."""
    import time

    import torch

    from mim4dd.methods.catalogue import batch_shares, ipc_shares, real_images_a_batch, standard_of
    from mim4dd.methods.loop import Distillation
    from mim4dd.methods.task import DistillationTask
    from mim4dd.networks.precision import slower_note
    from mim4dd.registry import flatten

    tail = arguments.tail or ("repeat" if arguments.perturb else "")
    if not tail and ipc_shares(method) == "equal":
        DistillationTask(train, network, arguments.ipc, arguments.seed, torch.device("cpu"), "error")
    device, standard = torch.device(checked_device(arguments.device)), standard_of(method)
    if note := slower_note(flatten(method, "method"), device.type):
        print(note)
    task = DistillationTask(train, network, arguments.ipc, arguments.seed, device, tail or "repeat", standard=standard)
    of_set = arguments.ipc, ipc_shares(method), "images"
    of_batch = real_images_a_batch(method), batch_shares(method), "real images per batch"
    for wanted, shares, what in (of_set, of_batch):
        if short := task.shortfall(wanted, shares):
            print(f"tail {task.tail}: {wanted} {what} are drawn of each class; fewer are in {', '.join(short)}")
    run, began, reported = Distillation(task, method), time.monotonic(), 0.0
    while not run.finished:
        run.advance(run.iteration + run.every)
        passed = time.monotonic() - began
        if passed - reported > 5:
            reported, left = passed, passed * (method.iterations / max(1, run.iteration) - 1)
            losses = ", ".join(f"{k} {v:.4g}" for k, v in run.history[-1].items() if k.startswith("loss/"))
            print(f"iteration {run.iteration} of {method.iterations}, {losses}, {left:.0f} s left", flush=True)
    if run.diverged:
        raise FloatingPointError(f"the run diverged: {run.diverged}")
    return run.synthetic()


def _prefixed(source: Flat) -> dict[str, Any]:
    return {f"source_knob.{key}": value for key, value in source.items()}
