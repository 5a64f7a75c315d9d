"""`mim4dd evaluate | show | export` on files of other code."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mim4dd_cli.main import main

QUICK = ["--quick", "--networks", "2", "--set", "epochs=20"]


def shell(*words: str | Path) -> tuple[int, str, str]:
    told, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(complained):
        status = main([*map(str, words)])
    return status, told.getvalue(), complained.getvalue()


def answer(*words: str | Path) -> list[str]:
    status, told, complained = shell(*words)
    assert (status, complained) == (0, "")
    return told.splitlines()


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """MTT's files, of real digits."""
    from mim4dd import load
    from mim4dd.data import channel_statistics, standardise

    train = load("digits").train
    rows = np.concatenate([np.flatnonzero(train.labels == c)[:2] for c in range(10)])
    images = standardise(train.images[rows], *channel_statistics(train.images))
    folder = tmp_path / "logged"
    folder.mkdir()
    torch.save(torch.tensor(images), folder / "images_best.pt")
    torch.save(torch.tensor(train.labels[rows]), folder / "labels_best.pt")
    torch.save(torch.tensor(0.5), folder / "lr_best.pt")
    return folder / "images_best.pt"


def test_a_file_is_scored_and_nothing_is_written_beside_it(foreign: Path, tmp_path: Path) -> None:
    before = sorted(foreign.parent.iterdir())
    said = answer("evaluate", foreign, "--dataset", "digits", *QUICK)
    assert said[:2] == ["images_best.pt: labels: labels_best.pt", "images_best.pt: learning rate: lr_best.pt"]
    assert said[2].startswith("images_best.pt: normalised as channels: ")
    assert said[4].startswith("validation accuracy ")
    assert float(said[4].split()[2].rstrip("%,")) > 40
    assert said[-2].startswith("one set: the deviation is that of networks")
    assert "--set evaluation.lr=0.5" in said[-1]
    assert sorted(foreign.parent.iterdir()) == before
    said = answer("evaluate", foreign, "--dataset", "digits", *QUICK, "--set", "evaluation.lr=0.5", "--out", tmp_path)
    assert said[-1].startswith("one set")
    scores = json.loads((tmp_path / "validation.json").read_text())
    assert (len(scores["accuracy"]), scores["evaluation.lr"], scores["set"]["syn_lr"]) == (2, 0.5, 0.5)
    assert scores["set"]["origin"] == "images_best.pt"


def test_how_it_was_normalised_can_be_said(foreign: Path) -> None:
    said = answer("evaluate", foreign, "--dataset", "digits", *QUICK, "--standard", "0.3/0.4", "--network", "mlp")
    assert "images_best.pt: normalised by 0.3/0.4, as asked" in said
    assert any("(mlp, 20 epochs" in line for line in said)


def test_a_file_is_shown_and_exported_and_the_export_scored(foreign: Path, tmp_path: Path) -> None:
    assert answer("show", foreign, "--dataset", "digits", "--out", tmp_path / "new")[-1].endswith("new/synthetic.png")
    for form, name in (("pt", "a.pt"), ("dc", "b.pt"), ("npz", "c.npz"), ("folder", "d")):
        where = tmp_path / name
        assert answer("export", foreign, "--dataset", "digits", "--as", form, "--out", where)[-1] == str(where)
    accuracies = set()
    for name in ("a.pt", "b.pt", "c.npz"):
        said = answer("evaluate", tmp_path / name, "--dataset", "digits", *QUICK)
        accuracies |= {line for line in said if line.startswith("validation accuracy")}
    assert len(accuracies) <= 2  # pixels and back rounds
    answer("export", foreign, "--dataset", "digits", "--image", "3", "--out", tmp_path / "3.png")


def test_a_run_is_exported_and_its_file_scored(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["distill", "--quick", "--method", "random", "--set", "standard=zca", "--out", run]
    answer(*words)
    said = answer("export", run, "--as", "pt", "--out", tmp_path / "set.pt")
    assert "whitening" in said[0]
    whole = answer("evaluate", run, *QUICK)
    assert answer("evaluate", run / "synthetic.safetensors", *QUICK) == whole
    again = answer("evaluate", tmp_path / "set.pt", "--dataset", "digits", *QUICK)
    assert whole[0] in again
    assert sorted(path.name for path in run.iterdir()) == ["synthetic.safetensors", "validation.json"]


BAD = {
    "no data set": (["evaluate", "{file}"], "does not say what it was distilled from: say it with --dataset"),
    "no labels": (["evaluate", "{alone}", "--dataset", "digits"], "holds images alone"),
    "standard": (["evaluate", "{file}", "--dataset", "digits", "--standard", "zac"], "unknown standard 'zac'"),
    "which": (["evaluate", "{file}", "--dataset", "digits", "--which", "1"], "holds one set; leave which out"),
    "method's knob": (["evaluate", "{file}", "--dataset", "digits", "--set", "temperature=1"], "unknown knob"),
    "two protocols": (
        ["evaluate", "{file}", "--dataset", "digits", "--quick", "--protocol", "paper"],
        "give one of them",
    ),
    "show": (["show", "{file}", "--dataset", "digits"], "give --out, the picture's folder"),
    "no form": (["export", "{file}", "--dataset", "digits", "--out", "{tmp}/x"], "export needs --as"),
    "form": (["export", "{file}", "--as", "zip", "--out", "{tmp}/x"], "invalid choice: 'zip'"),
    "taken": (["export", "{file}", "--as", "pt", "--dataset", "digits", "--out", "{file}"], "exists already"),
    "image": (
        ["export", "{file}", "--image", "20", "--dataset", "digits", "--out", "{tmp}/x"],
        "image must be in [0, 19]",
    ),
    "missing": (["evaluate", "{tmp}/none.pt", "--dataset", "digits"], "No such file"),
    "missing folder": (["evaluate", "{tmp}/none"], "is no synthetic set written by mim4dd"),
    "other": (["evaluate", "{tmp}/x.csv", "--dataset", "digits"], "must end in .pt, .pth, .npz, .safetensors"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case: str, foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2")
    alone = tmp_path / "images.pt"
    torch.save(torch.zeros(20, 1, 8, 8), alone)
    words, expected = BAD[case]
    for name, place in (("{file}", foreign), ("{alone}", alone), ("{tmp}", tmp_path)):
        words = [word.replace(name, str(place)) for word in words]
    status, _, complained = shell(*words)
    assert status == 2
    assert complained.startswith("error: ")
    assert expected in complained
    assert complained.count("\n") == 1
