"""A dry run refuses what a run would: data that are here, sets, networks of plug-ins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS
from studies.architectures import STUDY as ARCHITECTURES
from studies.baselines import STUDY as BASELINES
from studies.cost import STUDY as COST
from studies.dataset_bias import STUDY as BIAS
from studies.engine.command import main
from studies.engine.data_checks import require_networks
from studies.engine.metadata import configuration_of
from studies.engine.options import parse_options
from studies.engine.study import Study
from studies.noisy_labels import STUDY as NOISE
from studies.score import STUDY as SCORE

MODULE = """
from dataclasses import dataclass

from torch import nn

from mim4dd.networks import NETWORKS, ModuleNetwork
from mim4dd.registry import knob


@NETWORKS.add("{name}")
@dataclass(frozen=True, kw_only=True)
class Net(ModuleNetwork):
    \"\"\"One layer, without blocks.\"\"\"

    scores: int = knob(0, low=0, high=100, help="other than a class each")

    def module(self, shape, classes):
        if self.scores == 1:
            raise ZeroDivisionError("of mine")
        return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], self.scores or classes))
"""

BASE = """
from dataclasses import dataclass

from mim4dd.methods import DM, METHODS


@METHODS.add("{name}")
@dataclass(frozen=True, kw_only=True)
class Base(DM):
    def update_steps(self, task, learnable, labels, iteration, features=False):
        {body}
        yield from super().update_steps(task, learnable, labels, iteration, features)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"judge_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(name=name))
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


def refused(study: Study, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:  # type: ignore[type-arg]
    assert main(study, [*words, "--offline", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_of_named_data_it_refuses_what_can_be_known_without_reading_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [f"MNIST/raw/{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    words = ["--quick", "--dataset", "mnist", "--data-root", str(tmp_path)]
    assert main(NOISE, [*words, "--offline", "--dry-run"]) == 0
    assert "is not under" not in capsys.readouterr().out
    assert "mnist has 5400 of a class on average, got 6000" in refused(NOISE, [*words, "--ipc", "6000"], capsys)
    assert "grey" in refused(BIAS, [*words, "--cue", "grey"], capsys)
    assert main(BIAS, [*words, "--cue", "colour", "--offline", "--dry-run"]) == 0


def test_named_data_that_are_to_be_fetched_are_told_and_a_folder_without_them_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIM4DD_DATA", raising=False)
    words = ["--quick", "--dataset", "mnist"]
    for more in ([], ["--download"], ["--download", "--data-root", str(tmp_path)]):
        assert main(NOISE, [*words, *more, "--offline", "--dry-run"]) == 0
        assert "mnist is not under" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert "mnist is not under" in refused(NOISE, [*words, "--data-root", str(tmp_path)], capsys)


def test_sets_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.arange(10)
    for name, images in (
        ("small", np.zeros((10, 4, 4), np.float32)),
        ("nan", np.full((10, 8, 8), np.nan, np.float32)),
        ("good", np.zeros((10, 8, 8), np.float32)),
    ):
        np.savez(tmp_path / f"{name}.npz", images=images, labels=labels)
    assert main(SCORE, [str(tmp_path / "good.npz"), "--quick", "--offline", "--dry-run"]) == 0
    capsys.readouterr()
    assert "small of 4x4; give --dataset" in refused(SCORE, [str(tmp_path / "small.npz"), "--quick"], capsys)
    assert "nan.npz" in refused(SCORE, [str(tmp_path / "nan.npz"), "--quick"], capsys)
    assert "standard" in refused(SCORE, [str(tmp_path / "good.npz"), "--quick", "--standard", "odd"], capsys)


def test_a_network_without_blocks_may_judge_and_one_with_other_scores_may_not(
    plugin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--quick", "--method", "dm", "--distil-on", "none", "--import", f"{plugin}.py", "--network"]
    assert main(ARCHITECTURES, [*words, plugin, "--offline", "--dry-run"]) == 0
    capsys.readouterr()
    assert "must give 10 class scores, got 3" in refused(ARCHITECTURES, [*words, f"{plugin}:scores=3"], capsys)
    told = refused(ARCHITECTURES, [*words, f"{plugin}:scores=1"], capsys)
    assert f"{plugin}:scores=1 cannot be used with these data: " in told
    assert "of mine" in told
    own = ["--quick", "--import", f"{plugin}.py", "--set", f"network={plugin}"]
    assert "must name `blocks`" in refused(NOISE, own, capsys), "the term's heads follow the blocks"
    for study, methods in ((BASELINES, ("dm", "dc", "random")), (COST, ("dm",))):
        without_term = [word for method in methods for word in ("--method", method)]
        assert main(study, [*own, *without_term, "--offline", "--dry-run"]) == 0, "its class scores are the only block"


def test_a_network_without_blocks_may_judge_a_set(plugin: str, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("set.npz", images=np.zeros((10, 8, 8), np.float32), labels=np.arange(10))
    words = ["set.npz", "--quick", "--import", f"{plugin}.py", "--offline", "--dry-run"]
    for named in (["--network", plugin], ["--set", f"network={plugin}"]):
        assert main(SCORE, [*words, *named]) == 0
        assert plugin in capsys.readouterr().out
    assert "must give 10 class scores, got 3" in refused(
        SCORE, [*words[:-2], "--network", f"{plugin}:scores=3"], capsys
    )
    told = refused(SCORE, [*words[:-2], "--network", f"{plugin}:scores=1"], capsys)
    assert "cannot be used with these data: ZeroDivisionError: of mine" in told


def test_a_network_that_is_set_brings_knobs_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "set.npz", images=np.zeros((10, 8, 8), np.float32), labels=np.arange(10))
    knobs = ["--quick", "--set", "network=vit", "--set", "network.heads=2"]
    for study, words in (
        (BASELINES, ["--method", "dc", "--method", "random"]),
        (SCORE, [str(tmp_path / "set.npz")]),
        (NOISE, ["--method", "dc"]),
    ):
        assert main(study, [*words, *knobs, "--offline", "--dry-run"]) == 0
        capsys.readouterr()
        assert "must be a multiple of vit.heads" in refused(study, [*words, *knobs[:-1], "network.heads=3"], capsys)
    options = parse_options("", BASELINES.script, BASELINES.flags, ["--method", "dc", *knobs])
    assert {
        one.config["network.heads"] for one in BASELINES.plan(options, configuration_of(BASELINES, options)).trials
    } == {2}


@pytest.mark.parametrize("fault", ["none", "features", "torch"])
def test_a_base_without_features_is_refused_before_any_trial(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"plug_base_{fault}.py"
    body = {"none": "", "features": "features = False", "torch": "raise RuntimeError('no kernel')"}[fault]
    path.write_text(BASE.format(name=path.stem, body=body), encoding="utf-8")
    monkeypatch.setattr(METHODS, "_classes", dict(METHODS._classes))
    words = ["--quick", "--import", str(path), "--base", path.stem]
    if fault == "features":
        assert f"{path.stem} gives the MI term no features" in refused(NOISE, words, capsys)
    else:  # what only this machine may lack is for the trials to tell
        assert main(NOISE, [*words, "--offline", "--dry-run"]) == 0


def test_the_check_of_networks_reads_each_once(plugin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mim4dd.data import load
    from mim4dd.plugins import load_plugins
    from mim4dd.registry import flatten
    from studies.engine.trial import Trial

    load_plugins([f"{plugin}.py"])
    network = NETWORKS.build(plugin)
    calls: list[object] = []
    monkeypatch.setattr(type(network), "initial", lambda self, *_: calls.append(self))
    trials = [Trial.of({**flatten(network, "network"), "seed": seed}) for seed in range(5)]
    require_networks(trials, load("digits"))
    assert len(calls) == 1


@pytest.mark.parametrize("out", ["file/out", "file"])
def test_an_out_below_a_file_is_refused(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[[Callable[[], object]], str]
) -> None:
    from studies.engine.options import parse_options

    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    told = refusal(lambda: parse_options("", NOISE.script, NOISE.flags, ["--out", out]))
    assert told.startswith("--out must be a folder, ")
    assert told.endswith("file is a file")


def test_a_file_of_another_kind_is_no_plug_in(tmp_path: Path) -> None:
    from mim4dd.plugins import load_plugins

    (tmp_path / "set.npz").touch()
    with pytest.raises(InputError, match=r"; a file is named as FILE\.py"):
        load_plugins([str(tmp_path / "set.npz")])
