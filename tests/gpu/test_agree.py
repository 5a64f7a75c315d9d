"""What only a GPU can show: it agrees with the CPU, resumes, and turns what its memory cannot hold into a row.

Agreement is the distance of two arrays over the length of the CPU's. TOLERANCES: of losses and of gradients, where
float32 products are exact to float32 (`ieee`) and where torch may round them to ten bits (`default`): a ReLU whose
input is near 0 then lets another share of the gradient pass. Each test also holds a case that must not agree.
The CPU's side works in the smallest pieces and groups, the other as the library's limits allow, here all at once.
`tests/gpu/check.sh` names the device; a CPU is then held against itself in pieces.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from limits import PLACES, using
from stage import precision

from mim4dd.configuration import configure
from mim4dd.data import load
from mim4dd.data.augment import augment_images, draw_siamese
from mim4dd.data.operations import SIAMESE
from mim4dd.evaluation import class_scores, tally, train_on
from mim4dd.information import train_reference
from mim4dd.methods import DC, DM, DSA, MTT, Method, Mim, RandomReal
from mim4dd.methods.loop import Distillation
from mim4dd.methods.task import DistillationTask, Preparation, Prepared, prepare_here
from mim4dd.networks import ConvNet
from mim4dd.records import ImageData
from mim4dd.seeding import generator
from mim4dd.train import Recipe
from perturbations import chain, parse_chain
from studies.engine.running import TrialRun, run_trial
from studies.engine.runs import Saved
from studies.engine.trial import Inputs, Outcome, Trial, failed

DEVICE = os.environ.get("MIM4DD_CHECK_DEVICE", "cuda")
ON_CPU = DEVICE == "cpu"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not ON_CPU and not torch.cuda.is_available(), reason="needs a CUDA device"),
]

TOLERANCES = {"ieee": (1e-4, 5e-3), "default": (2e-2, 0.15)}
# How much further apart than the tolerance is what must not agree.
APART = 3
PIECES = dict.fromkeys(PLACES, 1)
FEW = {"iterations": 10, "batch_real": 16}
MTT_FEW = MTT(iterations=10, batch_real=16, experts=1, expert_epochs=3, steps=5)
BASES: dict[str, Method] = {"dm": DM(**FEW), "dc": DC(**FEW), "dsa": DSA(**FEW), "mtt": MTT_FEW}
METHODS: dict[str, Method] = BASES | {f"mim on {name}": Mim(base=base) for name, base in BASES.items()}
SMALL = {"iterations": "20", "batch_real": "8", "width": "8", "epochs": "60", "networks": "2"}


def distance(found: Any, expected: Any) -> float:
    found, expected = (np.asarray(array, dtype=np.float64) for array in (found, expected))
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def agree(what: str, found: Any, expected: Any, tolerance: float) -> None:
    """Require that two arrays agree, and print how far they do: `pytest -rP` shows it."""
    apart = distance(found, expected)
    print(f"{what} agrees to {apart:.1e}, at most {tolerance:g}")
    assert apart <= tolerance, what


@cache
def experts() -> Prepared:
    """Those of a CPU: what matching does with them is compared, not what training them adds up to."""
    return prepare_here(MTT_FEW.preparation, task_of("cpu"))


def task_of(device: str, seed: int = 0, train: ImageData | None = None, standard: str = "channels") -> DistillationTask:
    def prepare(preparation: Preparation, task: DistillationTask) -> Prepared:
        return experts()

    data, network = train or load("digits").train, ConvNet(width=8)
    return DistillationTask(data, network, 2, seed, torch.device(device), prepare=prepare, standard=standard)


def update(method: Method, device: str, seed: int = 0) -> tuple[float, Any]:
    """The loss of a first update, and its gradient on the pixels."""
    task = task_of(device, seed)
    run = Distillation(task, method)
    step = next(iter(method.update_steps(task, run.learnable, run.labels, 0)))
    loss = torch.stack([term.weight * term.loss for term in step.terms.values()]).sum()
    (gradient,) = torch.autograd.grad(loss, run.learnable["pixels"])
    return loss.item(), gradient.cpu().numpy()


@cache
def expected(name: str, seed: int = 0) -> tuple[float, Any]:
    with using(PIECES):
        return update(METHODS[name], "cpu", seed)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", TOLERANCES)
def test_losses_and_gradients_agree(name: str, kind: str) -> None:
    with precision(kind):
        loss, gradient = update(METHODS[name], DEVICE)
    of_loss, of_gradient = TOLERANCES[kind]
    agree("loss", loss, expected(name)[0], of_loss)
    agree("gradient", gradient, expected(name)[1], of_gradient)
    assert distance(expected(name, seed=1)[1], gradient) > APART * of_gradient


@pytest.mark.parametrize("operation", SIAMESE.split("_"))
def test_augmented_images_agree(operation: str) -> None:
    images, rows = torch.rand((12, 3, 32, 32), generator=torch.Generator().manual_seed(0)), np.arange(12) % 4
    draws = [draw_siamese((operation,), 4, generator("check", operation, seed)) for seed in range(2)]
    found, other = (augment_images(images.to(DEVICE), draw, rows).cpu() for draw in draws)
    agree(operation, found, augment_images(images, draws[0], rows), 1e-4)
    assert distance(other, found) > APART * 1e-4
    assert distance(images, found) > APART * 1e-4


@pytest.mark.parametrize("standard", ["channels", "zca"])
def test_perturbed_images_and_their_batches_are_the_same(standard: str) -> None:
    noisy = parse_chain(["exponential:factor=5", "symmetric:rate=0.4", "gaussian_noise"])
    data, clean = (chain(each, load("digits").train, seed=0).data for each in (noisy, noisy[:1]))
    found, here = (task_of(device, 0, data, standard) for device in (DEVICE, "cpu"))
    assert torch.equal(found.images.cpu(), here.images)
    for batch, own in zip(found.real_batch(8, 3), here.real_batch(8, 3), strict=True):
        assert torch.equal(batch.cpu(), own)
    assert not torch.equal(found.real_batch(8, 4)[0].cpu(), here.real_batch(8, 3)[0])
    assert not torch.equal(found.images.cpu(), task_of("cpu", 0, clean, standard).images)
    assert (data.labels != clean.labels).any()


def scores(device: str, seed: int = 0) -> torch.Tensor:
    """Class scores, [networks, N, C], of networks trained on random images with an augmentation."""
    splits, network = load("digits"), ConvNet(width=8)
    synthetic = Distillation(task_of("cpu"), RandomReal()).synthetic()
    params = train_on(synthetic, network, Recipe(networks=4, epochs=100), seed=seed, device=device)
    return class_scores(params, network, synthetic, splits.validation).cpu()


@pytest.mark.parametrize("kind", TOLERANCES)
def test_evaluation_agrees(kind: str) -> None:
    with precision(kind):
        found = scores(DEVICE)
    with using(PIECES):
        here = scores("cpu")
    validation = load("digits").validation
    agree("scores", found, here, 0.02 if kind == "ieee" else 0.1)
    accuracies = [tally(each.argmax(2).numpy(), validation).accuracy for each in (found, here)]
    print(f"accuracies {accuracies}")
    assert np.abs(accuracies[0] - accuracies[1]).max() <= 0.03
    assert distance(scores("cpu", seed=1), found) > APART * 0.1


@cache
def inputs() -> Inputs:
    splits = load("digits")
    return Inputs(splits, train_reference(splits, ConvNet(width=8), steps=20))


def trial(ipc: int = 1, **assigned: str) -> Trial:
    configuration = configure(
        source="digits",
        method={"method": "mim"},
        network="convnet",
        protocol_name="digits",
        assigned={**SMALL, **assigned},
    )
    return Trial.of({"dataset": "digits", "ipc": ipc, "seed": 0, "interim": True, **configuration.flat})


def close(found: Outcome, here: Outcome, points: float) -> None:
    """Require accuracies, of networks on average, that differ by so many points at most."""
    for part, key in (("result", "validation_accuracy"), ("report_only", "test_accuracy")):
        pair = [100 * float(np.mean(getattr(outcome, part)[key])) for outcome in (found, here)]
        print(f"{key} {pair[0]:.2f}% and {pair[1]:.2f}%")
        assert abs(pair[0] - pair[1]) <= points


def test_a_trial_runs_on_its_device_and_ends_as_on_a_cpu() -> None:
    found = run_trial(trial(), inputs(), DEVICE)
    with using(PIECES):
        here = run_trial(trial(), inputs(), "cpu")
    assert found.result["status"] == "ok"
    assert found.measured["device"] == DEVICE
    assert found.measured["peak_bytes"] > 0
    close(found, here, 5.0)


class Stop(Exception):
    pass


@pytest.mark.parametrize("place", ["distilling, iteration 13 of 20", "evaluating, epoch 7 of 60"])
def test_a_stopped_trial_goes_on_where_it_was_and_ends_the_same(place: str) -> None:
    states: list[bytes] = []

    def stopping(run: TrialRun) -> None:
        # the interim evaluations have such an epoch too
        if run.progress == place and (run.distillation.finished or "distilling" in place):
            held = io.BytesIO()
            torch.save(run.state_dict(), held)
            states.append(held.getvalue())
            raise Stop

    with pytest.raises(Stop):
        run_trial(trial(), inputs(), DEVICE, on_step=stopping)
    saved, seen = Saved(torch.load(io.BytesIO(states[0]), map_location=DEVICE, weights_only=True)), list[str]()
    resumed = run_trial(trial(), inputs(), DEVICE, saved, lambda run: seen.append(run.progress))
    at, _, total = place.partition(" of ")
    kind, number = at.rsplit(" ", 1)
    assert seen[0] == f"{kind} {int(number) + 1} of {total}"
    whole = run_trial(trial(), inputs(), DEVICE)
    assert resumed.synthetic is not None
    assert whole.synthetic is not None
    agree("set", resumed.synthetic.images, whole.synthetic.images, 0.0 if ON_CPU else 0.01)
    close(resumed, whole, 0.0 if ON_CPU else 2.0)


@contextmanager
def scarce(room_bytes: int) -> Iterator[None]:
    """Let this process have so much more of the GPU's memory than it holds."""
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(DEVICE).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + room_bytes) / whole)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.skipif(ON_CPU, reason="a CPU's memory does not end so")
def test_a_trial_that_runs_out_of_memory_is_a_row_with_the_size_that_was_tried() -> None:
    large, began = trial(50, width="512"), time.time()
    with scarce(32 << 20), pytest.raises(torch.OutOfMemoryError) as caught:
        run_trial(large, inputs(), DEVICE)
    outcome = failed(large, caught.value, began)
    assert outcome.result["status"] == "error"
    assert outcome.result["reason"].startswith("out of GPU memory: tried to allocate ")
    assert "network.width 512" in outcome.result["reason"]
    assert run_trial(trial(), inputs(), DEVICE).result["status"] == "ok"  # the device is still of use
