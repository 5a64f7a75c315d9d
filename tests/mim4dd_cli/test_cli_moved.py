"""A run and its data on a stranger's machine: another folder, moved or replaced data, tampered files, full disks."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mim4dd.durable
from mim4dd.data import located
from mim4dd.records import Synthetic
from mim4dd_cli.main import main

FAST = ("--networks", "1", "--set", "epochs=2")
SET = "synthetic.safetensors"


def shell(*words: str | Path) -> subprocess.CompletedProcess[str]:
    told, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(complained):
        status = main([*map(str, words)])
    return subprocess.CompletedProcess([], status, told.getvalue(), complained.getvalue())


def refused(*words: str | Path) -> str:
    ran = shell(*words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1
    return ran.stderr


def save(path: Path, seed: int = 0) -> None:
    images = np.random.default_rng(seed).integers(0, 255, (60, 8, 8), dtype=np.uint8)
    np.savez(path, train_images=images, train_labels=np.arange(60) % 3, class_names=np.array(["café", "τ", "z"]))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a data set and a run that was made from it by a relative path."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "toy.npz")
    ran = shell("distill", "--quick", "--set", "iterations=2", "--dataset", "npz:toy.npz", "--out", "run")
    assert (ran.returncode, ran.stderr) == (0, "")
    return tmp_path


def changed(run: Path, **config: Any) -> None:
    """Change a run's recorded configuration; None removes an entry."""
    found = Synthetic.load(run / SET)
    kept = {key: value for key, value in {**found.config, **config}.items() if value is not None}
    replace(found, config=kept).save(run / SET)


def test_a_run_is_evaluated_from_any_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = place / "else" / "where"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    ran = shell("evaluate", "../../run", *FAST)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("validation accuracy")
    assert json.loads((place / "run" / "validation.json").read_text("utf-8"))["classes"] == ["café", "τ", "z"]


def test_data_that_has_moved_is_pointed_to(place: Path) -> None:
    before = shell("evaluate", "run", *FAST).stdout
    (place / "far").mkdir()
    shutil.move("toy.npz", "far")
    told = refused("evaluate", "run", *FAST)
    assert f"{place / 'toy.npz'} cannot be read: No such file or directory; run names it: if it has moved, say" in told
    assert shell("evaluate", "run", "--dataset", "npz:far/toy.npz", *FAST).stdout == before


def test_a_data_root_is_recorded(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert located("mnist", "sets") == ("mnist", str(place / "sets"))
    assert located("npz:toy.npz") == (f"npz:{place / 'toy.npz'}", "")
    assert "'digits' does not use it" in refused("distill", "--quick", "--data-root", "sets", "--out", "digits")


def test_other_images_under_the_same_name_are_refused(place: Path) -> None:
    save(place / "toy.npz", seed=1)
    told = refused("evaluate", "run", *FAST)
    assert f"npz:{place}/toy.npz must hold the images that run was distilled from, under the same name" in told
    assert not (place / "run" / "validation.json").exists()


def test_a_run_of_before_says_that_its_images_are_not_compared(place: Path) -> None:
    changed(place / "run", data_digest=None, data_root=None, dataset="npz:toy.npz")
    ran = shell("evaluate", "run", *FAST)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("note: run does not say which images it was distilled from: they are not compared\n")


TAMPERED: dict[str, tuple[dict[str, Any], str]] = {
    "dataset": ({"dataset": 3}, "dataset must be text, got 3"),
    "split seed": ({"split_seed": "x"}, "split_seed must be a whole number, got 'x'"),
    "lacking": ({"network": None, "evaluation": None}, "it lacks network, evaluation"),
    "root": ({"data_root": [1]}, "data_root must be text, got [1]"),
    "network": ({"network": "nix"}, "unknown network 'nix'"),
    "epochs": ({"evaluation.epochs": 10**12}, "standard.epochs must be in [1, 1000000], got 1000000000000"),
    "beyond floats": ({"evaluation.epochs": 10**400}, "standard.epochs must be a whole number, got 1000"),
    "width": ({"network.width": [64]}, "convnet.width must be a whole number, got [64]"),
    "unknown": ({"network.wdth": 3}, "unknown knob of network convnet 'wdth'"),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_tampered_configuration_says_what_must_hold(case: str, place: Path) -> None:
    config, message = TAMPERED[case]
    changed(place / "run", **config)
    told = refused("evaluate", "run", *FAST)
    assert told.startswith("error: run does not say how it was distilled: ")
    assert message in told


def test_a_set_that_is_not_finite_is_refused(place: Path) -> None:
    found = Synthetic.load(place / "run" / SET)
    replace(found, images=np.full_like(found.images, np.nan)).save(place / "run" / SET)
    assert "the synthetic images must be finite to train on" in refused("evaluate", "run", *FAST)


def full(file: Path) -> Any:
    """A `write_all` for a disk that is full when this file is written, and not when it is tried."""

    def write_all(opened: io.FileIO, content: bytes) -> None:
        if content != mim4dd.durable.BLOCK:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        opened.write(content)

    return write_all


def test_a_disk_that_fills_costs_no_score(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = shell("evaluate", "run", *FAST).stdout
    file = Path("run") / "validation.json"
    file.unlink()
    monkeypatch.setattr(mim4dd.durable, "write_all", full(file))
    ran = shell("evaluate", "run", *FAST)
    assert (ran.returncode, ran.stdout) == (1, expected)
    assert ran.stderr.startswith(f"error: cannot write {file} (No space left on device): free space")
    for words in (["show", "run"], ["distill", "--quick", "--set", "iterations=1", "--out", "new"]):
        ran = shell(*words)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.startswith("error: cannot write ")
        assert ran.stderr.count("\n") == 1
    assert [path.name for path in (place / "run").iterdir()] == [SET]
    assert list((place / "new").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_known_before_the_work(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(opened: io.FileIO, content: bytes) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def worked(*_: object) -> None:
        raise AssertionError("data were read before the folder was tried")

    monkeypatch.setattr(mim4dd.durable, "write_all", read_only)
    monkeypatch.setattr("mim4dd.data.load", worked)
    assert "run/validation.json cannot be written: Read-only file system" in refused("evaluate", "run", *FAST)
    monkeypatch.undo()
    monkeypatch.chdir(place)
    monkeypatch.setattr(mim4dd.durable, "write_all", read_only)
    assert "--out new cannot be written: Read-only file system" in refused("distill", "--quick", "--out", "new")
