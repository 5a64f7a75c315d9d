"""The worker's side of the cache: perturbed data, prepared networks and the reference, made once for all trials."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

import ray

from mim4dd.origins import plugin_of
from mim4dd.plugins import Plugins
from mim4dd.records import Floats
from mim4dd.registry import Flat, flatten, unflatten
from studies.engine.trial import Inputs
from studies.engine.tuning.context import ExecutionContext
from studies.engine.tuning.session import WorkerSession

if TYPE_CHECKING:
    from mim4dd.information import Reference
    from mim4dd.methods.task import DistillationTask, Preparation, Prepared
    from perturbations import Perturbed

# The size that the cache assumes for a preparation until it is made.
PREPARED_BYTES = 64 << 20
REFERENCE = "reference network"


def shared_inputs(context: ExecutionContext, session: WorkerSession) -> Inputs:
    """The study's inputs, with `reference`, `variant` and `provide` that use the cache.

    A reference that is not trained yet is trained from here on, beside what this worker does until it needs it; a trial
    that is measured on its own waits for it here.
    """
    inputs: Inputs = ray.get(context.inputs)
    node, devices = session.worker.node, os.environ.get("CUDA_VISIBLE_DEVICES")
    known = _references.get(context.inputs)
    reference = REFERENCE, 0, trained_reference, (inputs.plugins, context.inputs, devices), node
    if callable(inputs.reference) and known is None:
        context.cache.get.remote(*reference)

    def fetched(progress: str, *request: Any) -> Any:
        """What the cache has or makes; asked for once more if the cache has died with what it made."""
        try:
            return waited_for(progress, *request)
        except ray.exceptions.ObjectLostError:
            return waited_for(progress, *request)

    def waited_for(progress: str, *request: Any) -> Any:
        (reference,) = ray.get(context.cache.get.remote(*request))
        session.wait_for(reference, progress)
        try:
            return ray.get(reference)
        except ray.exceptions.RayError:
            context.cache.forget.remote(request[0])
            raise

    def variant(text: str, seed: int) -> Perturbed:
        key = f"{inputs.splits.digest} {text} {seed}"
        size, arguments = inputs.splits.train.images.nbytes, (context.inputs, text, seed)
        split: Perturbed = fetched("waiting for perturbed data", key, size, perturbed, arguments, node)
        return split if split.data.images.size else with_images(split, inputs.splits.train.images)

    def provide(preparation: Preparation, task: DistillationTask, text: str) -> Prepared:
        network, device = flatten(task.network, "network"), context.resources.device
        content = [inputs.splits.digest, text, task.seed, network, type(preparation).__name__, _settings(preparation)]
        content += filter(None, [plugin_of(type(preparation))])
        content += [task.standard] if task.standard != "channels" else []  # keys from before there were others stay
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        threads = context.resources.threads
        # The plug-ins first: the preparation may be of one of their classes.
        shared = (inputs.plugins, context.inputs, preparation, text, task.seed, network, device, threads, devices)
        arguments = (*shared, task.standard)
        file, progress = f"inputs/prepared-{key}.bin", f"waiting for {type(preparation).__name__}"
        made: bytes = fetched(progress, key, PREPARED_BYTES, prepared, arguments, node, file)
        context.cache.weigh.remote(key, len(made))
        return unpacked(made)

    def trained() -> Reference:
        found: Reference = fetched("waiting for the reference network", *reference)
        _references[context.inputs] = found
        return found

    shared = replace(inputs, variant=variant, provide=provide)
    if callable(inputs.reference):
        shared = replace(shared, reference=known or trained)
    if context.resources.exclusive and inputs.reference is not None:
        return replace(shared, reference=shared.trained_reference())
    return shared


# That of each study whose trials this process has run, by its inputs.
_references: dict[Any, Reference] = {}


def trained_reference(plugins: Plugins, inputs: Inputs, devices: str | None) -> Reference:
    """Train the study's reference network; runs as a Ray task. plugins, devices: see `prepared`."""
    if devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices
    set_up(1)
    return inputs.trained_reference()


def reference_made(cache: Any) -> Reference | None:
    """The reference network that workers have had trained; None while none is ready.

    Nor where training it failed, or Ray is lost: the trials that wait for it say so, and who watches Ray.
    """
    try:
        held = ray.get(cache.held.remote(REFERENCE))
        if not held or not ray.wait(held, timeout=0)[0]:
            return None
        reference: Reference = ray.get(held[0])
    except ray.exceptions.RayError:
        return None
    return reference


def _settings(preparation: Preparation) -> dict[str, Any]:
    """What is set of a preparation; a default that came later leaves the keys of before as they are."""
    defaults = {item.name: item.default for item in fields(preparation)}
    return {name: value for name, value in asdict(preparation).items() if value != defaults[name]}


def prepared(
    plugins: Plugins,
    inputs: Inputs,
    preparation: Preparation,
    text: str,
    seed: int,
    network: Flat,
    device: str,
    threads: int,
    devices: str | None,
    standard: str = "channels",
) -> bytes:
    """Make what a method needs before its first iteration, as the bytes of a safetensors file; runs as a Ray task.

    plugins: installed where they are unpickled; devices: the CUDA_VISIBLE_DEVICES of the worker that waits for the
    result, None if unset; standard: the space of the images, that of the method.
    """
    if devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices
    import torch
    from safetensors.numpy import save

    from mim4dd.methods.task import DistillationTask, prepare_here
    from mim4dd.networks import NETWORKS

    set_up(threads)
    train = inputs.perturbed(text, seed).data
    built = unflatten(NETWORKS, network, "network")
    task = DistillationTask(train, built, 1, seed, torch.device(device), standard=standard)
    result = prepare_here(preparation, task)
    return save(dict(result.arrays), {"seconds": repr(result.seconds)})


def unpacked(content: bytes) -> Prepared:
    """The preparation whose bytes `prepared` returned."""
    from safetensors.numpy import load

    from mim4dd.methods.task import Prepared

    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return Prepared(load(content), float(header["__metadata__"]["seconds"]))


def perturbed(inputs: Inputs, text: str, seed: int) -> Perturbed:
    """Make a variant of the training split; runs as a Ray task. Images equal to the clean split's are left out."""
    variant = inputs.perturbed(text, seed)
    clean_images = variant.data.images is inputs.splits.train.images
    return with_images(variant, variant.data.images[:, :0]) if clean_images else variant


def with_images(variant: Perturbed, images: Floats) -> Perturbed:
    """The same labels with other images."""
    return replace(variant, data=replace(variant.data, images=images))


def set_up(threads: int) -> None:
    """Set the number of threads of this worker, and let it keep the memory that it frees."""
    import torch

    from mim4dd.memory import keep_freed_memory

    keep_freed_memory()
    # For every unit: workers are reused, and OpenMP stores the number per thread.
    torch.set_num_threads(threads)
