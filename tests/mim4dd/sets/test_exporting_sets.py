"""Exports, each read by plain torch, numpy, Pillow or torchvision alone, and again by the library."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mim4dd
from mim4dd.errors import InputError
from mim4dd.methods import RandomReal
from mim4dd.records import Splits, Synthetic
from mim4dd.sets import FORMS, export_image, export_set
from mim4dd.sets.export import folder_names


@pytest.fixture(scope="module")
def digits() -> Splits:
    return mim4dd.load("digits")


@pytest.fixture(scope="module")
def synthetic(digits: Splits) -> Synthetic:
    """Two real digits a class, one pixel of which has left [0, 1]."""
    made = mim4dd.distill(digits.train, method=RandomReal(), network=mim4dd.ConvNet(width=4), ipc=2)
    made.images[3, 0, 4, 4] = 40
    return made


def elsewhere(code: str, *words: Path) -> str:
    """What a program prints that cannot import the library."""
    blocked = "import sys; sys.modules['mim4dd'] = None\n" + code
    ran = subprocess.run([sys.executable, "-c", blocked, *map(str, words)], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_a_folder_is_read_by_torchvision(synthetic: Synthetic, tmp_path: Path) -> None:
    notes = export_set(synthetic, tmp_path / "out", "folder")
    assert notes[0] == "20 PNG files of 10 classes"
    assert notes[1] == f"numbers clipped to [0, 1]: {((synthetic.pixels < 0) | (synthetic.pixels > 1)).sum()} of 1,280"
    code = """
from torchvision.datasets import ImageFolder
import numpy as np
found = ImageFolder(sys.argv[1])
sums = [int(np.asarray(image)[..., 0].sum()) for image, _ in found]
print(found.classes, [label for _, label in found.samples], sums)
"""
    levels = (synthetic.pixels.clip(0, 1) * 255).round().astype(int).sum((1, 2, 3)).tolist()
    expected = f"{[str(c) for c in range(10)]} {synthetic.labels.tolist()} {levels}\n"
    assert elsewhere(code, tmp_path / "out") == expected
    said = json.loads((tmp_path / "out" / "set.json").read_text())
    assert (said["classes"], said["files"]["3/0001.png"]) == ([str(c) for c in range(10)], "3")
    assert said["config"]["method"] == "random"


@pytest.mark.slow
def test_tensors_are_read_by_torch_and_again(synthetic: Synthetic, digits: Splits, tmp_path: Path) -> None:
    soft = (0.5 * np.eye(10) + 0.05)[synthetic.labels].astype(np.float32)
    made = replace(synthetic, soft=soft, config={**synthetic.config, "syn_lr": 0.25})
    export_set(made, tmp_path / "set.pt", "pt")
    code = """
import torch
found = torch.load(sys.argv[1], weights_only=True)
print({name: str(getattr(one, "dtype", one)) for name, one in found.items()}, list(found["images"].shape))
"""
    said = elsewhere(code, tmp_path / "set.pt")
    for text in ("'images': 'torch.float32'", "'labels': 'torch.int64'", "'syn_lr': '0.25'", "[20, 1, 8, 8]"):
        assert text in said
    again, notes = mim4dd.read_set(tmp_path / "set.pt", data=digits)
    for name in ("images", "labels", "mean", "std", "soft"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    assert again.config["syn_lr"] == 0.25
    assert "normalised by the file's own numbers" in notes


def test_a_whitened_set_comes_back(digits: Splits, tmp_path: Path) -> None:
    made = mim4dd.distill(digits.train, method=RandomReal(standard="zca"), network=mim4dd.ConvNet(width=4))
    export_set(made, tmp_path / "set.pt", "pt")
    again, _ = mim4dd.read_set(tmp_path / "set.pt", data=digits)
    np.testing.assert_array_equal(again.pixels, made.pixels)
    notes = export_set(made, tmp_path / "dc.pt", "dc")
    assert "then whitened" in notes[0]
    same, _ = mim4dd.read_set(tmp_path / "dc.pt", data=digits, standard="zca")
    np.testing.assert_array_equal(same.pixels, made.pixels)


def test_dcs_layout_is_read_as_its_code_does(synthetic: Synthetic, digits: Splits, tmp_path: Path) -> None:
    export_set(synthetic, tmp_path / "set.pt", "dc")
    code = "import torch; images, labels = torch.load(sys.argv[1])['data'][-1]; print(images.shape, labels.dtype)"
    assert elsewhere(code, tmp_path / "set.pt") == "torch.Size([20, 1, 8, 8]) torch.int64\n"
    again, _ = mim4dd.read_set(tmp_path / "set.pt", data=digits)
    np.testing.assert_array_equal(again.images, synthetic.images)
    soft = replace(synthetic, soft=np.eye(10, dtype=np.float32)[synthetic.labels])
    with pytest.raises(InputError, match="DC's layout has no place for soft labels; export as pt"):
        export_set(soft, tmp_path / "soft.pt", "dc")


def test_arrays_are_read_by_numpy_and_again(synthetic: Synthetic, digits: Splits, tmp_path: Path) -> None:
    export_set(synthetic, tmp_path / "set.npz", "npz")
    code = "import numpy as np; found = np.load(sys.argv[1]); print(found['pixels'].shape, *found['class_names'])"
    assert elsewhere(code, tmp_path / "set.npz") == "(20, 1, 8, 8) 0 1 2 3 4 5 6 7 8 9\n"
    again, notes = mim4dd.read_set(tmp_path / "set.npz", data=digits)
    np.testing.assert_allclose(again.images, synthetic.images, atol=1e-4)
    assert notes[0].startswith("normalised as pixels: ")


def test_one_image_is_a_png(synthetic: Synthetic, tmp_path: Path) -> None:
    notes = export_image(synthetic, 3, tmp_path / "one.png")
    assert notes[0] == "image 3, of class 1"
    code = (
        "from PIL import Image; image = Image.open(sys.argv[1]); print(image.mode, image.size, image.getpixel((4, 4)))"
    )
    assert elsewhere(code, tmp_path / "one.png") == "L (8, 8) 255\n"
    with pytest.raises(InputError, match=r"image must be in \[0, 19\], the images of the set, got 20"):
        export_image(synthetic, 20, tmp_path / "two.png")


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_overwritten(form: str, synthetic: Synthetic, tmp_path: Path) -> None:
    for place in ("file", "folder"):
        where = tmp_path / place
        if place == "file":
            where.write_text("mine")
        else:
            where.mkdir()
            (where / "mine").write_text("mine")
        with pytest.raises(InputError, match="exists already and is not overwritten"):
            export_set(synthetic, where, form)
    with pytest.raises(InputError, match="the images must be finite to be exported"):
        export_set(replace(synthetic, images=synthetic.images * np.float32("nan")), tmp_path / "new", form)
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "new").exists()


def test_unknown_form(synthetic: Synthetic, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown form 'fodler'; did you mean 'folder'\?"):
        export_set(synthetic, tmp_path / "new", "fodler")


def test_names_of_classes_become_names_of_folders() -> None:
    assert folder_names(("a b", "c/d", "..", "é")) == ["a b", "c_d", "_", "é"]
    assert folder_names(("a/b", "a_b", "A_B")) == ["0000-a_b", "0001-a_b", "0002-A_B"]
