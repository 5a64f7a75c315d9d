"""People's own files on Ray: methods, networks, data and sets that no node has; wrong ones end at once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from local_cluster import LocalCluster, can_hide, local_cluster

pytestmark = [pytest.mark.ray, pytest.mark.slow]
HOUSE = Path(__file__).parents[2]
SMALL = ["--protocol", "quick", "--offline"]
for assigned in ("iterations=4", "width=8", "evaluation.epochs=5", "evaluation.networks=2", "batch_real=8"):
    SMALL += ["--set", assigned]
# A network of torchvision, a data set and a noise in one file, which needs another beside it.
EXTRAS = """
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from mim4dd.data import DATASETS, Contents, DataSet
from mim4dd.networks import NETWORKS, ModuleNetwork
from mim4dd.records import ImageData
from mim4dd.registry import knob
from perturbations import PERTURBATIONS, Perturbed
from beside import bars


@NETWORKS.add("tv_resnet18")
@dataclass(frozen=True, kw_only=True)
class Torchvision(ModuleNetwork):
    blocks: ClassVar = ("layer1", "layer4")

    def module(self, shape, classes):
        import torchvision

        return torchvision.models.resnet18(num_classes=classes)


@DATASETS.add("bars")
@dataclass(frozen=True, kw_only=True)
class Bars(DataSet):
    def read(self, where: Path, *, download: bool = False) -> Contents:
        images, labels = bars()
        whole = ImageData.from_arrays(images, labels, source="bars")
        return Contents(whole.take(slice(0, 120)), whole.take(slice(120, 200)))


@PERTURBATIONS.add("merge")
@dataclass(frozen=True, kw_only=True)
class Merge:
    stage: ClassVar[str] = "label noise"
    share: float = knob(0.5, low=0, high=1)

    def __call__(self, train, *, seed):
        labels = train.labels.copy()
        rows = (labels == 1).nonzero()[0]
        labels[rows[: round(self.share * len(rows))]] = 0
        return Perturbed(replace(train, labels=labels), train.labels, {"rate": self.share})
"""
BESIDE = """
import numpy as np


def bars():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 4
    images = 0.3 * rng.random((200, 8, 8, 1), dtype=np.float32)
    images[np.arange(200), :, labels, 0] += 0.5
    return images, labels
"""
UNPICKLABLE = EXTRAS.replace(
    "    share: float = knob(0.5, low=0, high=1)\n",
    "    share: float = knob(0.5, low=0, high=1)\n\n"
    "    def __post_init__(self):\n        import threading\n\n"
    "        object.__setattr__(self, 'lock', threading.Lock())\n",
)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[LocalCluster]:
    with local_cluster() as cluster:
        yield cluster


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a stranger: the method of docs/own/methods.md, the files above, and a distilled set."""
    page = (HOUSE / "docs" / "own" / "methods.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "moments.py").write_text(blocks[0], encoding="utf-8")
    (tmp_path / "of_the_page.py").write_text(blocks[1], encoding="utf-8")
    (tmp_path / "extras.py").write_text(EXTRAS, encoding="utf-8")
    (tmp_path / "beside.py").write_text(BESIDE, encoding="utf-8")
    (tmp_path / "unpicklable.py").write_text(UNPICKLABLE, encoding="utf-8")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", images=rng.random((10, 8, 8), dtype=np.float32), labels=np.arange(10))
    return tmp_path


def study(name: str, *words: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | (env or {})
    return subprocess.run(
        [sys.executable, str(HOUSE / "studies" / f"{name}.py"), *words],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def rows(out: Path) -> list[dict[str, dict[str, object]]]:
    found = [json.loads(line) for line in (out / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["result"]["status"] for row in found} == {"ok"}
    return found


def test_the_method_of_the_page_is_studied_by_its_own_knobs(folder: Path) -> None:
    words = ["--import", "moments.py", "--method", "moments", "--settings", "4", "--seeds", "0-1", *SMALL]
    ended = study("sensitivity", *words, "--out", "out", cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = [row["config"] for row in rows(folder / "out") if row["config"]["method"] == "moments"]
    assert len({config["method.squares"] for config in found}) == 5
    assert {str(config["method.plugin"]).partition("@")[0] for config in found} == {"moments"}
    assert "gain of moments" in ended.stdout
    assert json.loads((folder / "out" / "study.json").read_text())["title"] == (
        "How sensitive is moments to its hyperparameters?"
    )


def test_the_second_file_of_the_page_runs_too(folder: Path) -> None:
    words = ["--import", "of_the_page.py", "--dataset", "bars", "--condition", "merge:share=0.5", "--seeds", "0"]
    words += SMALL
    ended = study("noisy_labels", *words, "--out", "out", cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert {row["config"]["source.plugin"].partition("@")[0] for row in rows(folder / "out")} == {"of_the_page"}  # type: ignore[attr-defined]


@pytest.mark.skipif(not can_hide(), reason="processes may not have mounts of their own here")
def test_everything_of_a_stranger_runs_on_nodes_that_have_none_of_it(two_nodes: LocalCluster, folder: Path) -> None:
    joined = ["--address", two_nodes.address, "--import", "moments.py", "--import", "extras.py", *SMALL]
    words = ["--dataset", "bars", "--base", "moments", "--condition", "merge:share=0.5", "--seeds", "0-1"]
    ended = study("noisy_labels", *joined, *words, "--out", "noise", cwd=folder, env=two_nodes.env)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = rows(folder / "noise")
    assert len({row["measured"]["node"] for row in found}) >= 1
    assert any("merge" in str(row["config"].get("perturb")) for row in found)
    words = ["mine.npz", "--address", two_nodes.address, "--import", "extras.py", "--quick", "--seeds", "0-1"]
    words += ["--network", "tv_resnet18", "--recipe", "none", "--corrupt", "none", "--offline"]
    for assigned in ("width=8", "evaluation.epochs=5", "evaluation.networks=2"):
        words += ["--set", assigned]
    ended = study("score", *words, "--out", "score", cwd=folder, env=two_nodes.env)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    judged = rows(folder / "score")[0]["report_only"]["judged"]
    assert [view.partition("@")[0] for view in judged] == ["tv_resnet18:plugin=extras"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("plugin", "told"),
    [
        ("def f(:\n", "plug-in wrong.py, line 1: invalid syntax"),
        ("import no_such_library\n", "No module named 'no_such_library'"),
        (EXTRAS.replace('"merge"', '"symmetric"'), "perturbation 'symmetric' is registered already"),
    ],
)
def test_a_wrong_one_ends_the_command_before_ray_starts(plugin: str, told: str, folder: Path) -> None:
    (folder / "wrong.py").write_text(plugin, encoding="utf-8")
    ended = study("noisy_labels", "--import", "wrong.py", *SMALL, "--out", "out", cwd=folder)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert told in ended.stderr
    assert "Ray" not in ended.stdout
    assert not (folder / "out").exists()


def test_what_cannot_be_sent_to_workers_ends_the_command_before_any_trial(folder: Path) -> None:
    words = ["--import", "unpicklable.py", "--condition", "merge:share=0.5", "--seeds", "0", *SMALL, "--out", "out"]
    ended = study("noisy_labels", *words, cwd=folder)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "perturbation merge cannot be sent to workers" in ended.stderr
    assert not (folder / "out" / "rows.jsonl").exists() or not (folder / "out" / "rows.jsonl").read_text()


@pytest.mark.skipif(not can_hide(), reason="processes may not have mounts of their own here")
def test_a_library_that_a_node_lacks_is_told_before_any_trial(two_nodes: LocalCluster, folder: Path) -> None:
    """The driver finds the library beside its own path; a node does not."""
    (folder / "libraries" / "only_here").mkdir(parents=True)
    (folder / "libraries" / "only_here" / "__init__.py").write_text("VALUE = 1\n", encoding="utf-8")
    moments = (folder / "moments.py").read_text(encoding="utf-8").replace('"moments"', '"needing"')
    (folder / "needing.py").write_text(f"import only_here\n{moments}", encoding="utf-8")
    env = {**two_nodes.env, "PYTHONPATH": str(folder / "libraries")}
    words = ["--address", two_nodes.address, "--import", "needing.py", "--method", "needing", *SMALL]
    ended = study("sensitivity", *words, "--out", "out", cwd=folder, env=env)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "cannot use plug-in needing.py, line 1: ModuleNotFoundError: No module named 'only_here'" in ended.stderr
