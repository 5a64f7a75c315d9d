"""What every registered perturbation keeps: the walk over the register."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mim4dd.records import ImageData
from mim4dd.registry import knobs
from perturbations import PERTURBATIONS, Perturbation, chain, parse_chain, pixel_corruptions, text_of

# Of each one that works, and one that is the control; a planted cue and a cleaning have none.
TEXTS: dict[str, tuple[str, ...]] = {
    "asymmetric": ("rate=0.4,classes_as=digits", "rate=0,classes_as=digits"),
    "colour": ("correlation=0.8",),
    "corruption_cue": ("correlation=0.8",),
    "grey": ("correlation=0.8",),
    "dropped": ("by=loss,share=0.2",),
    "exponential": ("factor=10", "factor=1"),
    "human": ("file=people.npz,labels=worse,classes_as=cifar10", "file=people.npz,labels=aggre,classes_as=cifar10"),
    "instance": ("rate=0.4", "rate=0"),
    "matrix": ("file=T.csv", "file=I.csv"),
    "pairflip": ("rate=0.4", "rate=0"),
    "step": ("factor=10", "factor=1"),
    "symmetric": ("rate=0.4", "rate=0"),
} | {name: ("severity=5", "severity=0") for name in pixel_corruptions()}
REALISED = {
    "label noise": {"flips", "rate", "transition", "asked", "counts"},
    "imbalance": {"counts", "factor"},
    "planted cue": {"correlation", "aligned", "conflicting", "cue_counts"},
    "pixel corruption": {"severity", "mean_change"},
    "cleaning": {"share", "counts", "wrong_dropped", "right_dropped", "wrong_left"},
}


@pytest.fixture(autouse=True)
def files(train: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that TEXTS name, in the working folder: people who call 1 of 3 images another digit."""
    clean = np.zeros(train.index.max() + 1, np.int64)
    clean[train.index] = train.labels
    worse = np.where(np.arange(len(clean)) % 3 == 0, (clean + 1) % 10, clean)
    np.savez(tmp_path / "people.npz", clean_label=clean, aggre_label=clean, worse_label=worse)
    np.savetxt(tmp_path / "T.csv", 0.7 * np.eye(10) + 0.03, delimiter=",")
    np.savetxt(tmp_path / "I.csv", np.eye(10), delimiter=",")
    monkeypatch.chdir(tmp_path)


def built(name: str, control: bool = False) -> Perturbation:
    return parse_chain([f"{name}:{TEXTS[name][control]}"])[0]


def fitting(name: str, train: ImageData) -> ImageData:
    """The digits, in colour for the cue that only colour images can have."""
    if name != "grey":
        return train
    colours = np.array([1, 0.5, 0.2], np.float32)[:, None, None]
    return ImageData(train.images * colours, train.labels, train.index, train.classes, train.source)


def test_all_are_walked() -> None:
    assert sorted(TEXTS) == PERTURBATIONS.names()


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_inputs_are_never_written_and_what_was_realised_is_said(name: str, train: ImageData) -> None:
    train = fitting(name, train)
    train.images.setflags(write=False)
    digest = ImageData(train.images, train.labels, train.index, train.classes, train.source).digest
    made = built(name)(train, seed=0)
    assert not train.images.flags.writeable  # writing would have failed
    assert ImageData(train.images, train.labels, train.index, train.classes, train.source).digest == digest
    assert made.data.digest != train.digest
    stage = built(name).stage
    assert set(made.realised) == REALISED[stage]
    assert json.loads(json.dumps(made.realised)) == made.realised
    if stage != "label noise":
        assert (made.data.labels == made.clean_labels).all()
    if stage == "label noise":
        assert made.data.images is train.images
        assert made.clean_labels is train.labels


@pytest.mark.parametrize("name", sorted(name for name, texts in TEXTS.items() if len(texts) > 1))
def test_its_control_is_the_very_same_data(name: str, train: ImageData) -> None:
    assert built(name, control=True)(train, seed=0).data is train


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_it_travels_and_has_a_text(name: str, train: ImageData) -> None:
    train, there = fitting(name, train), pickle.loads(pickle.dumps(built(name)))
    assert there == built(name)
    assert hash(there) == hash(built(name))
    assert there(train, seed=1).data.digest == built(name)(train, seed=1).data.digest
    assert parse_chain([text_of([there])]) == (there,)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_another_seed_gives_other_bits_where_anything_is_drawn(name: str, train: ImageData) -> None:
    train = fitting(name, train)
    made = [built(name)(train, seed=seed).data.digest for seed in (0, 0, 1)]
    assert made[0] == made[1]
    drawn = built(name).stage != "pixel corruption" or name in {
        *("gaussian_noise", "shot_noise", "impulse_noise", "occlusion")
    }
    assert (made[0] != made[2]) == (drawn and name != "human")


def test_every_knob_has_a_help_and_every_class_a_source() -> None:
    for name in PERTURBATIONS.names():
        assert all(declared.help for declared in knobs(PERTURBATIONS.get(name)).values()), name
        assert "Source:" in (PERTURBATIONS.get(name).__doc__ or "") or name == "matrix", name


def test_another_process_makes_the_same_bits(train: ImageData, tmp_path: Path) -> None:
    texts = [f"{name}:{TEXTS[name][0]}" for name in sorted(TEXTS) if name != "grey"]
    code = (
        "import sys\nfrom mim4dd.data import load\nfrom perturbations import chain, parse_chain\n"
        "train = load('digits').train\n"
        "for text in sys.argv[1:]: print(chain(parse_chain([text]), train, seed=7).data.digest)"
    )
    alone = {**os.environ, "PYTHONHASHSEED": "5", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, "-c", code, *texts]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=alone, timeout=100)
    assert ran.returncode == 0, ran.stderr
    here = [chain(parse_chain([text]), train, seed=7).data.digest for text in texts]
    assert ran.stdout.split() == here
