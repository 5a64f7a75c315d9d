"""Perturbations from a shell: a perturbed training split, tails, and corrupted test images."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mim4dd.data import load
from mim4dd.evaluation import score, train_on
from mim4dd.networks import NETWORKS
from mim4dd.networks.precision import multiplying
from mim4dd.records import Synthetic
from mim4dd.registry import unflatten
from mim4dd.train import RECIPES
from mim4dd_cli.main import main
from perturbations import parse_chain
from perturbations.cues.planting import ALIGNED, CONFLICTING, UNBIASED, shown

FAST = ("--quick", "--set", "iterations=10")


def shell(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line in this process: importing torch again for each would take most of the time."""
    told, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(complained):
        status = main([*map(str, words)])
    return subprocess.CompletedProcess([], status, told.getvalue(), complained.getvalue())


def test_a_chain_is_applied_told_and_kept_with_the_set(tmp_path: Path) -> None:
    chain = ("--perturb", "exponential:factor=50", "--perturb", "symmetric:rate=0.4")
    ran = shell("distill", *FAST, *chain, "--ipc", "20", "--out", tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    told = ran.stdout.splitlines()
    assert told[0].startswith("exponential: counts [106, 68, 44, 28, 18, 12, 7, 5, 3, 2]")
    assert told[1].startswith("symmetric: flips 117, rate 0.399")
    assert told[2] == "tail repeat: 20 images are drawn of each class; fewer are in 5, 6, 7, 8, 9"
    assert told[3] == "tail repeat: 16 real images per batch are drawn of each class; fewer are in 8, 9"
    config = Synthetic.load(tmp_path / "synthetic.safetensors").config
    text = "exponential:factor=50.0,order=label + symmetric:rate=0.4,include_own=False"
    assert config["perturb"] == text
    assert config["tail"] == "repeat"
    assert config["realised"]["symmetric"]["flips"] == 117
    assert len(config["realised"]["symmetric"]["transition"]) == 10


def test_no_class_is_told_to_be_short_of_its_share(tmp_path: Path) -> None:
    words = ("--perturb", "exponential:factor=50", "--ipc", "5", "--set", "ipc_shares=proportional")
    ran = shell("distill", *FAST, *words, "--set", "batch_shares=proportional", "--out", tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [line.partition(":")[0] for line in ran.stdout.splitlines()[:-1]] == ["exponential"]
    labels = Synthetic.load(tmp_path / "synthetic.safetensors").labels
    assert np.bincount(labels).tolist() == [18, 11, 7, 5, 3, 2, 1, 1, 1, 1]


def test_cap_gives_rare_classes_fewer_images_and_they_can_be_evaluated(tmp_path: Path) -> None:
    words = ("--perturb", "exponential:factor=50", "--ipc", "5", "--tail", "cap")
    ran = shell("distill", *FAST, *words, "--out", tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    labels = Synthetic.load(tmp_path / "synthetic.safetensors").labels
    assert np.bincount(labels).tolist() == [5] * 8 + [3, 2]
    ran = shell("evaluate", tmp_path, "--networks", "1", "--set", "epochs=5")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_corrupted_test_images_are_scored_apart_and_cost_accuracy(tmp_path: Path) -> None:
    assert shell("distill", "--quick", "--ipc", "2", "--out", tmp_path).returncode == 0
    scored = {}
    for corrupt in ((), ("--corrupt", "occlusion:severity=5"), ("--corrupt", "occlusion:severity=0")):
        ran = shell("evaluate", tmp_path, "--test", "--networks", "2", *corrupt)
        assert (ran.returncode, ran.stderr) == (0, "")
        scored[corrupt] = ran.stdout.splitlines()[0]
    clean, hard, none = (
        json.loads((tmp_path / f"{name}.json").read_text())["accuracy"]
        for name in ("test", "test-occlusion-5", "test-occlusion-0")
    )
    assert np.mean(hard) < np.mean(clean) - 0.05
    assert none == clean
    assert "under occlusion:severity=5" in scored["--corrupt", "occlusion:severity=5"]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_set_with_a_planted_cue_is_scored_unbiased_aligned_and_in_conflict(tmp_path: Path, precision: str) -> None:
    out, cue = tmp_path / "out", "colour:correlation=0.95"
    assert shell("distill", "--quick", "--set", "iterations=1", "--perturb", cue, "--out", out).returncode == 0
    # So short a training leaves images undecided, which rounding then decides otherwise.
    words = ["--test", "--networks", "8", "--set", "epochs=1", "--set", f"evaluation.precision={precision}"]
    ran = shell("evaluate", out, *words)
    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads((out / "test.json").read_text(encoding="utf-8"))
    synthetic, test = Synthetic.load(out / "synthetic.safetensors"), load("digits").test
    config = {key: told[key] for key in told if key.partition(".")[0] in ("network", "evaluation")}
    network, recipe = unflatten(NETWORKS, config, "network"), unflatten(RECIPES, config, "evaluation")
    params, (planted,) = train_on(synthetic, network, recipe), parse_chain([cue])
    found = {}
    with multiplying(precision):
        for part in (UNBIASED, ALIGNED, CONFLICTING):
            images = shown(planted, test, part)(test, seed=0).data
            found[part] = score(params, network, synthetic, images).accuracy.tolist()
    assert told["accuracy"] == found[UNBIASED]
    assert {part: entry["accuracy"] for part, entry in told["planted_cue"].items()} == {
        part: found[part] for part in (ALIGNED, CONFLICTING)
    }
    assert f"where the planted cue is {ALIGNED} in every image" in ran.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("distill", *FAST, "--ipc", "200", "--out", "{tmp}/out"),
            "ipc must be at most the images of the smallest class",
        ),
        (("distill", *FAST, "--perturb", "pairflip:rate=0.6", "--out", "{tmp}/out"), "allow_unidentifiable"),
        (("distill", *FAST, "--perturb", "human:file=nix.npz", "--out", "{tmp}/out"), "nix.npz"),
        (
            (
                "distill",
                *FAST,
                "--perturb",
                "exponential:factor=99",
                "--tail",
                "error",
                "--ipc",
                "9",
                "--out",
                "{tmp}/out",
            ),
            "ipc must be at most",
        ),
        (("distill", *FAST, "--classes-as", "mnit", "--out", "{tmp}/out"), "did you mean 'mnist'"),
        (("distill", *FAST, "--tail", "cut", "--out", "{tmp}/out"), "invalid choice"),
        (("evaluate", "{tmp}/out", "--corrupt", "symmetric:rate=0.1"), "no synthetic set"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    ran = shell(*(word.replace("{tmp}", str(tmp_path)) for word in words))
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_label_noise_is_no_test_time_corruption(tmp_path: Path) -> None:
    assert shell("distill", *FAST, "--out", tmp_path).returncode == 0
    ran = shell("evaluate", tmp_path, "--corrupt", "symmetric:rate=0.1", "--networks", "1")
    assert ran.returncode == 2
    assert ran.stderr == "error: --corrupt takes pixel corruptions, symmetric:rate=0.1 is label noise\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m mim4dd_cli list perturbations | head -1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=100)
    assert (ran.stdout, ran.stderr) == ("asymmetric\n", "")
