"""What methods need prepared, as a study shares it: as made alone, kept on disk, mended when damaged."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mim4dd.data import load
from mim4dd.information import train_reference
from mim4dd.methods import MTT
from mim4dd.methods.loop import Distillation
from mim4dd.methods.preparations import Experts, TrainedNetwork
from mim4dd.methods.task import DistillationTask, Preparation, Prepared, prepare_here
from mim4dd.networks import ConvNet
from mim4dd.plugins import Plugins
from mim4dd.registry import flatten
from perturbations import chain, parse_chain
from studies.engine.running import TrialRun
from studies.engine.trial import Inputs, Trial
from studies.engine.tuning.cache import MAX_BYTES, InputCache, given_or_made, read, store
from studies.engine.tuning.sharing import prepared, unpacked

NETWORK = ConvNet(width=4)
NOISE = "symmetric:rate=0.4"


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    splits = load("digits")
    return Inputs(splits, train_reference(splits, NETWORK, steps=5), perturbations={NOISE: tuple(parse_chain([NOISE]))})


@pytest.mark.parametrize("preparation", [Experts(2, 2, 0.01, 256, "none"), TrainedNetwork(2, 10)])
@pytest.mark.parametrize("text", ["", NOISE])
def test_what_a_task_makes_and_packs_is_what_a_trial_would_make_itself(
    preparation: Preparation, text: str, inputs: Inputs
) -> None:
    threads = torch.get_num_threads()
    packed = prepared(Plugins(), inputs, preparation, text, 3, flatten(NETWORK, "network"), "cpu", 1, None)
    train = chain(inputs.chain(text), inputs.splits.train, seed=3).data
    alone = prepare_here(preparation, DistillationTask(train, NETWORK, 1, 3, torch.device("cpu")))
    torch.set_num_threads(threads)
    found = unpacked(packed)
    assert found.arrays.keys() == alone.arrays.keys()
    assert all(np.array_equal(found.arrays[name], array) for name, array in alone.arrays.items())
    assert found.seconds > 0


def test_experts_of_noisy_labels_are_not_those_of_clean_ones(inputs: Inputs) -> None:
    flat, preparation = flatten(NETWORK, "network"), Experts(1, 1, 0.01, 256, "none")
    clean, noisy = (prepared(Plugins(), inputs, preparation, text, 0, flat, "cpu", 1, None) for text in ("", NOISE))
    first, last = (unpacked(packed).arrays["head.weight"] for packed in (clean, noisy))
    assert np.array_equal(first[:, 0], last[:, 0])
    assert not np.array_equal(first[:, 1], last[:, 1])


def test_experts_of_whitened_images_are_made_in_that_space(inputs: Inputs) -> None:
    flat, preparation = flatten(NETWORK, "network"), Experts(1, 1, 0.01, 256, "none")
    packed = prepared(Plugins(), inputs, preparation, "", 0, flat, "cpu", 1, None, "zca")
    task = DistillationTask(inputs.splits.train, NETWORK, 1, 0, torch.device("cpu"), standard="zca")
    alone, plain = (
        prepare_here(preparation, task),
        prepared(Plugins(), inputs, preparation, "", 0, flat, "cpu", 1, None),
    )
    whitened, usual = (unpacked(one).arrays["head.weight"] for one in (packed, plain))
    assert np.array_equal(whitened, alone.arrays["head.weight"])
    assert not np.array_equal(whitened[:, 1], usual[:, 1])


def test_what_was_dear_to_make_is_read_again_and_made_again_only_when_damaged(tmp_path: Path) -> None:
    path, asked = tmp_path / "inputs" / "prepared.bin", []

    def make(word: str) -> bytes:
        asked.append(word)
        return word.encode()

    def fetched(word: str) -> bytes:
        """As the cache's tasks do it, where they may be on three machines."""
        content = given_or_made(read(path), make, word)
        store(path, content)
        return content

    store(path, b"earlier")
    assert fetched("never") == b"earlier"
    path.write_bytes(path.read_bytes()[:-1])
    assert fetched("again") == b"again"
    assert fetched("never") == b"again"
    assert asked == ["again"]


def test_a_trial_asks_the_study_by_its_own_data_and_counts_what_it_got(inputs: Inputs) -> None:
    asked: list[tuple[Preparation, str, int]] = []

    def provide(preparation: Preparation, task: DistillationTask, text: str) -> Prepared:
        asked.append((preparation, text, task.seed))
        time.sleep(0.5)
        return replace_seconds(prepare_here(preparation, task))

    method = MTT(iterations=1, experts=1, expert_epochs=2, steps=1)
    config = {
        **flatten(method, "method"),
        **flatten(NETWORK, "network"),
        **{
            "evaluation": "standard",
            "evaluation.epochs": 1,
            "evaluation.networks": 1,
            "seed": 5,
            "ipc": 1,
            "perturb": NOISE,
        },
    }
    run = TrialRun(Trial.of(config), replace(inputs, provide=provide))
    run.advance(1)
    assert asked == [(method.preparation, NOISE, 5)]
    assert run.task.prepared_seconds == 11.0
    measured = run.finish().measured
    assert measured["waited_seconds"] >= 0.5  # which is no part of distilling: others may have had to wait instead
    parts = [measured[f"{part}_seconds"] for part in ("waited", "distil", "evaluate")]
    assert measured["seconds"] == pytest.approx(sum(parts))
    assert run.state_dict()["waited_seconds"] == measured["waited_seconds"]


def test_the_order_in_which_arrays_arrive_moves_no_bit(inputs: Inputs) -> None:
    method = MTT(iterations=3, experts=1, expert_epochs=2, steps=2, lr=1.0)
    found = []
    for turn in (1, -1):

        def provide(preparation: Preparation, task: DistillationTask, turn: int = turn) -> Prepared:
            made = prepare_here(preparation, task)
            return Prepared(dict(list(made.arrays.items())[::turn]), made.seconds)

        task = DistillationTask(inputs.splits.train, ConvNet(width=32), 1, 0, torch.device("cpu"), prepare=provide)
        run = Distillation(task, method)
        run.advance(3)
        found.append((run.history[-1]["loss/mtt"], run.learnable["pixels"].detach().clone()))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])


def replace_seconds(made: Prepared) -> Prepared:
    return Prepared(made.arrays, 11.0)


class Making(InputCache):
    """Counts what it makes."""

    def __init__(self) -> None:
        super().__init__("nowhere")
        self.made: list[str] = []

    def _start_making(self, make: Any, arguments: tuple[Any, ...], node: str, file: str) -> str:
        self.made.append(make)
        return f"{make}, {len(self.made)}"


def test_the_oldest_is_let_go_but_never_what_all_trials_must_share() -> None:
    cache, third = Making(), MAX_BYTES // 3
    for name, size in (("reference", 0), ("a", third), ("b", third), ("c", third), ("d", third)):
        cache.get(name, size, name, (), "node")  # type: ignore[arg-type]
    assert list(cache.entries) == ["reference", "b", "c", "d"]
    assert cache.held("reference") == ["reference, 1"]
    assert cache.held("a") == []
    cache.get("large", 2 * MAX_BYTES, "large", (), "node")  # type: ignore[arg-type]
    assert list(cache.entries) == ["reference", "large"], "what was asked for stays, however large"


def test_what_is_made_counts_as_many_bytes_as_it_has() -> None:
    cache = Making()
    for name in ("reference", "experts", "others", "latest"):
        cache.get(name, 0 if name == "reference" else 1, name, (), "node")  # type: ignore[arg-type]
    cache.weigh("others", MAX_BYTES - 2)
    assert list(cache.entries) == ["reference", "experts", "others", "latest"]
    cache.weigh("others", MAX_BYTES - 1)
    assert list(cache.entries) == ["reference", "others", "latest"], "the oldest makes room"
    cache.weigh("experts", MAX_BYTES)
    assert list(cache.entries) == ["reference", "others", "latest"], "what is gone weighs nothing"


def test_what_could_not_be_made_is_made_again_for_who_asks_next() -> None:
    cache = Making()
    assert cache.get("a", 1, "a", (), "node") == cache.get("a", 1, "a", (), "node") == ["a, 1"]  # type: ignore[arg-type]
    cache.forget("a")
    cache.forget("never asked for")
    assert cache.get("a", 1, "a", (), "node") == ["a, 2"]  # type: ignore[arg-type]
