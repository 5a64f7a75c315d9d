"""The check of a GPU, run on a CPU: what it packs and chooses, that it goes on, and all of it at the smallest sizes."""

from __future__ import annotations

import gc
import json
import mmap
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cells
import numpy as np
import pack
import pytest
import torch
from limits import PLACES, choose, using
from stage import NO_TIME, Repeats, Stage, repeated, tried
from timings import PAPER, method_of

from mim4dd.complexity import iteration_operations
from mim4dd.data import load
from mim4dd.data.catalogue import Contents
from mim4dd.errors import DataError
from mim4dd.methods import DM, DSA
from mim4dd.methods.loop import Distillation
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import ConvNet
from mim4dd.records import ImageData, Synthetic
from mim4dd.train import Recipe, Streams, Training, fresh_networks
from studies.engine.running import run_trial

SCRIPT = Path(__file__).with_name("check.sh")
# What a machine with a GPU need not have.
ABSENT = ("ray", "optuna", "mlflow", "xarray", "jinja2", "pydantic", "torchvision")


def part(source: str, shape: tuple[int, int, int], of_class: int) -> ImageData:
    """Noise at the levels of a byte; a class's images lie apart."""
    rng, count = np.random.default_rng(of_class), 10 * of_class
    images = (rng.integers(0, 256, (count, *shape)) / np.float32(255)).astype(np.float32)
    return ImageData(images, np.arange(count) % 10, 3 * np.arange(count), tuple("abcdefghij"), source)


def contents(data: str, train: int, test: int) -> Contents:
    shape = (3, 32, 32) if data == "cifar10" else (1, 28, 28)
    return Contents(part(f"{data}/train", shape, train), part(f"{data}/test", shape, test))


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as `pack.py` writes it, of few images under the names of many."""
    folder = tmp_path / "data"
    folder.mkdir()
    for data, subset in list(pack.SUBSETS.items()):
        name = pack.file_of(data)
        with monkeypatch.context() as few:
            few.setitem(pack.SUBSETS, data, replace(subset, train=6, test=2))
            (folder / name).write_bytes(pack.packed(data, contents(data, 7, 3)))
    return folder


def test_a_packed_subset_is_read_back_as_the_first_images_of_each_class(packed: Path) -> None:
    splits, whole = load(f"npz:{packed / pack.file_of('mnist')}"), contents("mnist", 7, 3)
    assert splits.train.source == "mnist/train"
    assert splits.classes == whole.train.classes
    read = {**dict(zip(splits.train.index, splits.train.images, strict=True))}
    read |= dict(zip(splits.validation.index, splits.validation.images, strict=True))
    assert sorted(read) == list(whole.train.index[:60])
    assert all((read[3 * row] == whole.train.images[row]).all() for row in range(60))
    assert (splits.test.images == whole.test.images[:20]).all()


def test_a_class_with_too_few_images_is_refused() -> None:
    with pytest.raises(DataError, match="mnist/train: every class must have 1000 images, got 7"):
        pack.packed("mnist", contents("mnist", 7, 3))


def test_files_that_are_too_large_together_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Reader:
        def read(self, where: Path) -> Contents:
            return contents("cifar10" if where.suffix else "mnist", 7, 3)

    monkeypatch.setattr(pack.DATASETS, "build", lambda name: Reader())
    monkeypatch.setattr(pack, "SUBSETS", dict.fromkeys(pack.SUBSETS, pack.Subset(6, 2)))
    monkeypatch.setattr(sys, "argv", ["pack.py", "--data-root", str(tmp_path), "--out", str(tmp_path / "out")])
    assert pack.main() == 0
    files = list((tmp_path / "out").iterdir())
    assert sorted(file.name for file in files) == ["cifar10_6.npz", "fashion_mnist_6.npz", "mnist_6.npz"]
    for file in files:
        file.unlink()
    monkeypatch.setattr(pack, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match="at most 1000 bytes"):
        pack.main()
    assert list((tmp_path / "out").iterdir()) == []


def rows(limit: str, seconds: dict[str, dict[int, float | None]]) -> list[dict[str, Any]]:
    """Rows of a sweep; None: it failed."""
    return [
        {"limit": limit, "workload": workload, "value": value}
        | ({"failed": "out of GPU memory"} if one is None else {"seconds": one})
        for workload, of in seconds.items()
        for value, one in of.items()
    ]


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"a": {1: 2.0, 4: 1.04, 16: 1.0}}, {"X": 4}),
        ({"a": {1: 2.0, 4: 1.04, 16: 1.0}, "b": {1: 2.0, 4: 1.2, 16: 1.0}}, {"X": 16}),
        ({"a": {1: 2.0, 4: 1.0, 16: 0.5}, "b": {1: 1.0, 4: 1.0, 16: None}}, {"X": 4}),
        ({"a": {1: 1.0, 4: 2.0}, "b": {1: 3.0, 4: 1.0}}, {"X": 4}),
        ({"a": {1: None}}, {}),
    ],
)
def test_the_smallest_limit_that_slows_nothing_is_chosen(
    seconds: dict[str, dict[int, float | None]], chosen: dict[str, int]
) -> None:
    assert choose(rows("X", seconds)) == chosen


class Counted(ConvNet):
    """Counts its passes."""

    def features(self, params: dict[str, torch.Tensor], images: torch.Tensor) -> list[torch.Tensor]:
        passes.append(len(images))
        return super().features(params, images)


passes: list[int] = []


def computations(limit: str) -> int:
    """How many computations the work takes that a limit divides."""
    passes.clear()
    network, train = Counted(width=4), load("digits").train
    if limit == "STEP_NUMBERS":
        streams = Streams.first("check", 0, 4)
        params = fresh_networks(network, train.shape, 10, streams, torch.device("cpu"))
        images, labels = torch.from_numpy(train.images[:10]), torch.from_numpy(train.labels[:10])
        return len(Training(network, params, images, labels, Recipe(augment="none"), streams, "check").groups)
    method = (DM if limit == "WITHOUT_GRADIENTS" else DSA)(iterations=9, batch_real=16)
    Distillation(DistillationTask(train, network, 1, 0, torch.device("cpu")), method).advance(1)
    return len(passes)


@pytest.mark.parametrize("limit", PLACES)
def test_the_library_works_under_the_limits_that_it_is_given(limit: str) -> None:
    own = computations(limit)
    with using({limit: 1}):
        assert computations(limit) > own
    with using({limit: 10**9}):
        assert computations(limit) <= own
    assert computations(limit) == own


@pytest.mark.parametrize("base", ["dc", "dsa"])
@pytest.mark.parametrize("ipc", [10, 50])
def test_a_long_iteration_is_put_together_from_one_and_two_updates(base: str, ipc: int) -> None:
    one, two, whole = (
        iteration_operations(method_of(base, PAPER, updates=updates), ConvNet(), (3, 32, 32), 10, ipc).flops
        for updates in (1, 2, 0)
    )
    updates = DSA().loops(ipc)[0]
    assert updates in (10, 50)
    assert one + (updates - 1) * (two - one) == whole


def test_repeats_tell_their_median_range_and_memory() -> None:
    held: list[mmap.mmap] = []

    def work() -> None:  # pages of its own: malloc may have kept as much of what earlier tests freed
        held.append(mmap.mmap(-1, 40 << 20))
        held[-1].write(bytes(40 << 20))

    gc.collect()  # what a collection frees meanwhile would hide what `work` takes
    found = repeated(work, "cpu", window=0.0)
    assert len(held) == 1 + len(found.seconds)
    assert found.peak_bytes > 32 << 20
    entries = Repeats((3.0, 1.0, 2.0), 5).entries
    assert [entries[key] for key in ("seconds", "fastest_seconds", "slowest_seconds", "repeats")] == [2.0, 1.0, 3.0, 3]


def test_what_no_time_or_no_memory_is_left_for_says_so(tmp_path: Path) -> None:
    def fail() -> dict[str, Any]:
        raise torch.OutOfMemoryError("Tried to allocate 2.50 GiB.")

    stage = Stage(tmp_path, "cpu", True, float("inf"))
    assert tried(stage, lambda: {"seconds": 1.0}) == {"seconds": 1.0}
    assert tried(stage, fail) == {"failed": "out of GPU memory: tried to allocate 2.50 GiB"}
    assert tried(replace(stage, ends=0.0), fail) == {"failed": NO_TIME}


def test_a_cell_that_time_ends_after_every_step_goes_on_to_the_same_row(packed: Path, tmp_path: Path) -> None:
    stage = Stage(tmp_path, "cpu", True, 0.0, packed)
    cell = next(one for one in cells.CELLS if (one.data, one.method) == ("mnist", "dm"))
    trial = cells.trial_of(cell, packed / pack.file_of("mnist"), small=True)
    inputs = cells.inputs_of(packed / pack.file_of("mnist"), trial, stage)
    places = []
    while (entry := cells.run_cell(stage, cell, trial, inputs, {"WITHOUT_GRADIENTS": 10**9}))["status"] == "going on":
        places.append(entry["progress"])
    # an interim evaluation after a quarter and after half of the iterations
    evaluating = [f"evaluating, epoch {epoch} of 4" for epoch in (1, 2, 3, 4)]
    distilling = [f"distilling, iteration {iteration} of 4" for iteration in (1, 2, 3, 4)]
    assert places == [*distilling[:1], *evaluating, *distilling[1:2], *evaluating, *distilling[2:], *evaluating]
    whole = run_trial(trial, inputs)
    assert entry["row"]["result"] == whole.result
    assert entry["limits"] == {"WITHOUT_GRADIENTS": 10**9}
    with zipfile.ZipFile(tmp_path / "sets.zip") as archive:
        (name,) = archive.namelist()
        archive.extract(name, tmp_path)
    assert whole.synthetic is not None
    assert (Synthetic.load(tmp_path / name).images == whole.synthetic.images).all()


def test_a_cell_that_raises_is_an_entry_and_the_stage_fails(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise ValueError("a fault")

    stage = Stage(tmp_path, "cpu", True, float("inf"), packed)
    monkeypatch.setattr(cells, "CELLS", cells.CELLS[1:2])
    monkeypatch.setattr(cells, "run_trial", fail)
    assert cells.main(stage) == 1
    (entry,) = json.loads((tmp_path / "cells.json").read_text())["cells"]
    assert (entry["status"], entry["row"]["result"]["reason"]) == ("error", "ValueError: a fault")
    monkeypatch.undo()
    monkeypatch.setattr(cells, "CELLS", cells.CELLS[1:2])
    assert cells.main(stage) == 0
    (entry,) = json.loads((tmp_path / "cells.json").read_text())["cells"]
    assert entry["status"] == "ok"


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The script, in a Python without the libraries that a machine with a GPU need not have."""
    without = tmp_path / "without"
    without.mkdir(exist_ok=True)
    (without / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({ABSENT!r}))\n")
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(without), "OMP_NUM_THREADS": "1"}
    return subprocess.run([str(SCRIPT), *words], capture_output=True, text=True, env=environment, timeout=500)


def test_the_script_passes_its_linter() -> None:
    linter = Path(sys.executable).with_name("shellcheck")
    ran = subprocess.run([str(linter), str(SCRIPT)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--out must name a folder"),
        (["--out", "{out}"], "--data must be a folder"),
        (["--out", "{out}", "--minutes", "0"], "--minutes must be a whole number above 0, got '0'"),
        (["--out", "{out}", "--stages", "tests,all"], "got 'all'"),
        (["--out"], "--out needs a value"),
        (["--fast"], "unknown argument '--fast'"),
    ],
)
def test_wrong_arguments_are_one_line(words: list[str], told: str, tmp_path: Path) -> None:
    ran = run(tmp_path, *(word.format(out=tmp_path / "out") for word in words))
    assert ran.returncode == 2
    assert told in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_stage_that_fails_is_told_and_the_table_is_printed(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = run(tmp_path, "--data", str(empty), "--out", str(tmp_path / "out"), "--device", "cpu", "--stages", "cells")
    assert ran.returncode == 1
    assert "| cells | failed (exit status 1) |" in ran.stdout


@pytest.mark.slow
def test_everything_runs_at_the_smallest_sizes_and_a_later_run_goes_on(packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = run(tmp_path, "--data", str(packed), "--out", str(out), "--device", "cpu")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for stage in ("tests", "timings", "limits", "cells"):
        assert f"| {stage} | ok |" in ran.stdout
    for title in ("Iterations", "An epoch of 3 networks", "Limits", "The smallest schedules"):
        assert f"### {title}" in ran.stdout
    assert "failed" not in ran.stdout
    first = json.loads((out / "cells.json").read_text())["cells"]
    assert {entry["status"] for entry in first} == {"ok"}
    assert len(first) == len(cells.CELLS)
    again = run(tmp_path, "--data", str(packed), "--out", str(out), "--device", "cpu", "--stages", "cells")
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads((out / "cells.json").read_text())["cells"] == first
    assert sorted(file.name for file in out.iterdir()) == [
        *("cells.json", "limits.json", "sets.zip", "stages.tsv", "tests.txt", "timings.json")
    ]
